import type { StorageDriver } from './driver.ts';
import { deleteIfThere, listIfThere, moveIfAbsent, moveIfThere, statIfThere } from './if-there.ts';
import { TRASH_ROOT, trashPath } from './paths.ts';

/** Something that a collector took away, and where it came from. */
export interface TrashEntry {
  /** Where it lay, and where a server that misses it puts it back. */
  readonly path: string;
  /** Where it lies now: `trash/<path>/<run>`. */
  readonly trashPath: string;
  readonly size: number;
  /** When it, or a twin of another run, was put there; by the store's clock, milliseconds. */
  readonly trashedAt: number;
}

/**
 * @param name the run's, or for the link of a tag what `tagTrashName` says.
 * @returns whether it was there to be moved.
 */
export async function moveToTrash(driver: StorageDriver, path: string, name: string): Promise<boolean> {
  const moved = await moveIfThere(driver, path, trashPath(path, name));
  await driver.removeIfEmpty(parent(path));
  return moved;
}

/**
 * Puts back what a collector took from `path`, if its trash still has it. Whatever is found will do: a blob's bytes are
 * what its digest says, and a link's content follows from its path.
 * @returns whether something is at `path` now because of it.
 */
export async function restoreFromTrash(driver: StorageDriver, path: string): Promise<boolean> {
  // A bucket has no trash, and each look costs a request.
  if (!driver.movesAtomically) return false;
  const folder = `${TRASH_ROOT}${path}`;
  const runs = await listIfThere(driver, folder);
  for (const run of runs) {
    // Another server may have been faster; then the next look at the path finds it there.
    if (await moveIfThere(driver, `${folder}/${run}`, path)) {
      await driver.removeIfEmpty(folder);
      return true;
    }
  }
  return runs.length > 0;
}

/**
 * The name under which the link of a tag lies in the trash. Unlike other links it does not follow from its path what a tag
 * says, so a move that was held up may take another one than was meant; the stamp tells them apart.
 * @param seenAt when the link that the mark saw was written, by the store's clock.
 */
export function tagTrashName(run: string, seenAt: number): string {
  return `${run}@${seenAt}`;
}

/**
 * Puts back a tag's link that a collector took although it was written after the mark, unless the tag says something by
 * now. @returns whether there may be one at `path` because of it.
 */
export async function restoreNewerTag(driver: StorageDriver, path: string): Promise<boolean> {
  for (const name of await listIfThere(driver, `${TRASH_ROOT}${path}`)) {
    const entry = trashPath(path, name);
    const stat = await statIfThere(driver, entry);
    if (stat === undefined || name.endsWith(`@${stat.modifiedAt}`)) continue;
    if (await moveIfAbsent(driver, entry, path)) return true;
  }
  return false;
}

/** Destroys what collectors took from `path`, so that a link which a user deletes does not come back. */
export async function forgetTrash(driver: StorageDriver, path: string): Promise<void> {
  if (driver.movesAtomically) await deleteIfThere(driver, `${TRASH_ROOT}${path}`);
}

/** All that lies in the trash, of what was taken from below `root`. */
export async function* listTrash(driver: StorageDriver, root = ''): AsyncIterable<TrashEntry> {
  const folder = `${TRASH_ROOT}${root}`;
  for (const name of await listIfThere(driver, folder)) {
    const path = `${folder}/${name}`;
    const stat = await statIfThere(driver, path);
    if (stat?.isDirectory) {
      yield* listTrash(driver, `${root}/${name}`);
    } else if (stat !== undefined) {
      // A rename leaves the file's own date; the folder's tells when something last came or went.
      const trashedAt = (await statIfThere(driver, folder))?.modifiedAt ?? stat.modifiedAt;
      yield { path: root, trashPath: path, size: stat.size, trashedAt };
    }
  }
}

/**
 * Destroys an entry, and the folders that are empty without it. What a power cut brings back is in the trash again, and goes
 * with a later run: to make each of thousands durable would keep writes waiting for a sync of the disk.
 */
export async function purge(driver: StorageDriver, entry: TrashEntry): Promise<boolean> {
  const purged = await deleteIfThere(driver, entry.trashPath, { durable: false });
  let folder = parent(entry.trashPath);
  while (folder !== TRASH_ROOT && (await driver.removeIfEmpty(folder))) folder = parent(folder);
  return purged;
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
