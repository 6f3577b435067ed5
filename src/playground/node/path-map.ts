import { join, normalize } from 'node:path';

/** What a process of a pod is told of its surroundings. */
export interface PodPlace {
  /** The loopback address that stands for "any address" when the process listens. */
  readonly address: string;
  /** Absolute paths as the program knows them, and the folders or files that are meant. */
  readonly mounts: readonly Mount[];
  /** What lies below these is meant as it is written: the program itself, and what is meant by mounts. */
  readonly untouched: readonly string[];
}

interface Mount {
  readonly path: string;
  readonly target: string;
}

/**
 * The file that a program means by `path`: the one below the target of the deepest mount, as with mounts of a kernel.
 * Relative paths, and absolute ones below no mount, are themselves. What comes out goes in again unchanged.
 */
export function mapPath({ mounts, untouched }: Pick<PodPlace, 'mounts' | 'untouched'>, path: string): string {
  if (!path.startsWith('/')) return path;
  const asked = normalize(path);
  if (untouched.some((folder) => isBelow(asked, folder))) return path;
  let deepest: Mount | undefined;
  for (const mount of mounts) {
    if (isBelow(asked, mount.path) && mount.path.length > (deepest?.path.length ?? -1)) deepest = mount;
  }
  return deepest === undefined ? path : join(deepest.target, asked.slice(deepest.path.length));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
