import type { StorageDriver } from './driver.ts';
import {
  deleteIfThere,
  listIfThere,
  moveIfAbsent,
  moveIfThere,
  moveWithFolderIfThere,
  removeWithFolderIfThere,
  statIfThere,
} from './if-there.ts';
import { REGISTRY_ROOT, TRASH_ROOT, trashPath } from './paths.ts';

/*
 * What a collector takes lies at `trash/<run>/<original path>`, in the folder in which it was alone: one rename takes both.
 * Builds before 0.1.0 had it at `trash/<original path>/<run>`. What is found there still comes back, or is destroyed in its
 * time.
 */

/** What would be a run's folder is the first one of a path, as it was laid out before. */
const OLD_LAYOUT = REGISTRY_ROOT.split('/')[1] ?? '';

/** The file names of all that may be taken. */
const NAMES: ReadonlySet<string> = new Set(['data', 'link']);

/** `/…/tags/v1/current/link`, of which there may be several in one run, with a stamp each. */
const TAG_LINK = '/current/link';

/** Something that a collector took away, and where it came from. */
export interface TrashEntry {
  /** Where it lay, and where a server that misses it puts it back. */
  readonly path: string;
  /** Where it lies now. */
  readonly trashPath: string;
  readonly size: number;
  /** When it, or a neighbour, was put there; by the store's clock, milliseconds. */
  readonly trashedAt: number;
}

/** What may be put into the trash. */
export interface Trashed {
  readonly path: string;
  /**
   * Of the link of a tag: when the one that was meant was written, by the store's clock. Unlike other links it does not
   * follow from its path what a tag says, so a move that was held up may take another one; the stamp tells them apart.
   */
  readonly seenAt?: number | undefined;
}

/** Where `run` keeps it. */
export function placeInTrash({ path, seenAt }: Trashed, run: string): string {
  const place = trashPath(path, run);
  return seenAt === undefined ? place : place.replace(/\/link$/, `@${seenAt}/link`);
}

/** Not durable before `settleTrash`. @returns whether it was there to be moved. */
export async function moveToTrash(driver: StorageDriver, what: Trashed, run: string): Promise<boolean> {
  return moveWithFolderIfThere(driver, what.path, placeInTrash(what, run));
}

/** Makes durable that these are in the trash. */
export async function settleTrash(
  driver: StorageDriver,
  taken: readonly Trashed[],
  run: string,
): Promise<void> {
  await driver.settle?.(new Set(taken.map((what) => parent(parent(placeInTrash(what, run))))));
}

/**
 * Puts back what a collector took from `path`, if its trash still has it. Whatever is found will do: a blob's bytes are
 * what its digest says, and a link's content follows from its path.
 * @returns whether something is at `path` now because of it.
 */
export async function restoreFromTrash(driver: StorageDriver, path: string): Promise<boolean> {
  // A bucket has no trash, and each look costs a request.
  if (!driver.movesAtomically) return false;
  let looked = false;
  for await (const twin of twinsOf(driver, path)) {
    looked = true;
    if (await moveIfThere(driver, twin, path)) return true;
  }
  // Another server may have been faster.
  return looked && (await statIfThere(driver, path)) !== undefined;
}

/**
 * Puts back a tag's link that a collector took although it was written after the mark, unless the tag says something by
 * now. @returns whether there may be one at `path` because of it.
 */
export async function restoreNewerTag(driver: StorageDriver, path: string): Promise<boolean> {
  for await (const twin of twinsOf(driver, path)) {
    const stat = await statIfThere(driver, twin);
    if (stat === undefined || stampOf(twin) === String(stat.modifiedAt)) continue;
    if (await moveIfAbsent(driver, twin, path)) return true;
  }
  return false;
}

/** Whether `restoreFromTrash` would find something. */
export async function isInTrash(driver: StorageDriver, path: string): Promise<boolean> {
  for await (const twin of twinsOf(driver, path)) if (await statIfThere(driver, twin)) return true;
  return false;
}

/** Destroys what collectors took from `path`, so that a link which a user deletes does not come back. */
export async function forgetTrash(driver: StorageDriver, path: string): Promise<void> {
  for await (const twin of twinsOf(driver, path)) await deleteIfThere(driver, twin);
}

/** Folders of runs that have taken something; the one of the layout before is among them, as if it were a run's. */
export async function runsInTrash(driver: StorageDriver): Promise<readonly string[]> {
  return driver.movesAtomically ? listIfThere(driver, TRASH_ROOT) : [];
}

/** What lies in the trash of a run, of what was taken from below `root`. */
export async function* listTrash(driver: StorageDriver, run: string, root = ''): AsyncIterable<TrashEntry> {
  const isOld = run === OLD_LAYOUT;
  const top = isOld ? TRASH_ROOT : trashPath('', run);
  const folders = [isOld && root === '' ? trashPath('', run) : top + root];
  let neighbours = { folder: '', changedAt: 0 };
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const names = await listIfThere(driver, folder);
    for (const name of names) {
      const place = `${folder}/${name}`;
      // Folders are many, and most are told by their names.
      const stat = isOld || NAMES.has(name) ? await statIfThere(driver, place) : undefined;
      if (stat === undefined || stat.isDirectory) {
        folders.push(place);
        continue;
      }
      // A rename leaves the file's own date; that of the folder it came into tells when something last came or went.
      const came = isOld ? folder : parent(folder);
      if (came !== neighbours.folder) {
        const changedAt = (await statIfThere(driver, came))?.modifiedAt ?? stat.modifiedAt;
        neighbours = { folder: came, changedAt };
      }
      const path = (isOld ? folder : place).slice(top.length).replace(/@[\d.]+\/link$/, '/link');
      yield { path, trashPath: place, size: stat.size, trashedAt: neighbours.changedAt };
    }
  }
}

/**
 * Destroys what lies there. What a power cut brings back is in the trash again, and goes with a later run: to make each of
 * thousands durable would keep writes waiting for a sync of the disk.
 */
export async function purge(driver: StorageDriver, place: string): Promise<boolean> {
  // In the layout before, a folder holds what several runs took.
  const isOld = place.startsWith(`${TRASH_ROOT}${REGISTRY_ROOT}/`);
  return isOld ? deleteIfThere(driver, place, { durable: false }) : removeWithFolderIfThere(driver, place);
}

/** Where what lay at `path` may be: there may be none, or one of each run. */
async function* twinsOf(driver: StorageDriver, path: string): AsyncIterable<string> {
  for (const run of await runsInTrash(driver)) {
    if (run === OLD_LAYOUT) {
      const folder = TRASH_ROOT + path;
      for (const name of await listIfThere(driver, folder)) yield `${folder}/${name}`;
    } else if (path.endsWith(TAG_LINK)) {
      const folder = parent(parent(trashPath(path, run)));
      for (const name of await listIfThere(driver, folder)) {
        if (name.startsWith('current@')) yield `${folder}/${name}/link`;
      }
    } else {
      yield trashPath(path, run);
    }
  }
}

function stampOf(twin: string): string | undefined {
  return /@([\d.]+)(?:\/link)?$/.exec(twin)?.[1];
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
