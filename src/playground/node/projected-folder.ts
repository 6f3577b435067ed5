import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A file of a Secret or ConfigMap volume. */
export interface ProjectedFile {
  readonly content: Buffer;
  readonly mode: number;
}

/**
 * Makes `folder` hold these files, as the kubelet does it, so that a reader sees all old ones or all new ones:
 *
 *     name    → ..data/name
 *     ..data  → ..RANDOM       replaced by one rename
 *     ..RANDOM/name            the files
 *
 * `files`: by path, which may lead into folders. False when they were all there already.
 */
export async function projectFiles(
  folder: string,
  files: ReadonlyMap<string, ProjectedFile>,
): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const data = join(folder, '..data');
  const before = await readlink(data).catch(() => undefined);
  if (before !== undefined && (await holds(join(folder, before), files))) return false;

  // Not by join, which would take the dots for the folder above.
  const fresh = await mkdtemp(`${folder}/..`);
  for (const [path, { content, mode }] of files) {
    await mkdir(dirname(join(fresh, path)), { recursive: true });
    await writeFile(join(fresh, path), content, { mode });
  }
  await rm(`${data}_tmp`, { force: true });
  await symlink(fresh.slice(folder.length + 1), `${data}_tmp`);
  await rename(`${data}_tmp`, data);

  const wanted = new Set([...files.keys()].map((path) => path.split('/')[0] ?? path));
  for (const name of await readdir(folder)) {
    if (name.startsWith('..') || wanted.delete(name)) continue;
    await rm(join(folder, name), { force: true });
  }
  for (const name of wanted) await symlink(`..data/${name}`, join(folder, name));
  if (before !== undefined) await rm(join(folder, before), { recursive: true, force: true });
  return true;
}

async function holds(folder: string, files: ReadonlyMap<string, ProjectedFile>): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  if (entries.filter((entry) => entry.isFile()).length !== files.size) return false;
  for (const [path, { content }] of files) {
    const found = await readFile(join(folder, path)).catch(() => undefined);
    if (found?.equals(content) !== true) return false;
  }
  return true;
}
