import { dirname, join, resolve } from 'node:path';
import { importsOf } from './containerd-config.ts';
import type { HostFiles } from './host-files.ts';

/**
 * containerd's configuration and what it imports, as far as it can be seen from here: first the file itself.
 * @param hostRoot where the node's file system is
 * @param path of `config.toml` on the node
 * @returns nothing when there is no such file
 */
export async function readContainerdConfig(
  files: Pick<HostFiles, 'list' | 'read'>,
  hostRoot: string,
  path: string,
): Promise<readonly string[]> {
  const config = await files.read(join(hostRoot, path));
  if (config === undefined) return [];
  const texts = [config];
  for (const pattern of importsOf(config)) {
    const [folder, name] = splitPath(resolve(dirname(path), pattern));
    // What is elsewhere on the node is not to be seen.
    const names = await files.list(join(hostRoot, folder)).catch(() => undefined);
    for (const found of names?.filter((one) => matches(name, one)) ?? []) {
      const text = await files.read(join(hostRoot, folder, found));
      if (text !== undefined) texts.push(text);
    }
  }
  return texts;
}

function splitPath(path: string): readonly [folder: string, name: string] {
  return [dirname(path), path.slice(path.lastIndexOf('/') + 1)];
}

/** Of Go's patterns the one that is used: `*`. */
function matches(pattern: string, name: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${escaped.join('.*')}$`).test(name);
}
