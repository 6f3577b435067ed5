import { randomBytes } from 'node:crypto';
import type { StorageDriver } from './driver.ts';
import { errorCode } from './filesystem/storage-error.ts';
import { deleteIfThere, statIfThere } from './if-there.ts';
import { RESERVE_PATH } from './paths.ts';

/** Room for the files of a run and its servers, and for the first folders of the trash. */
const RESERVE_BYTES = 256 * 1024;

/**
 * Sets some room on a volume aside, so that a collection finds some when the volume is full: to delete, files have to be
 * written first. Does nothing where there is a reserve or no room for one, nor in a bucket, which is never full.
 */
export async function makeReserve(driver: StorageDriver): Promise<void> {
  if (!driver.movesAtomically || (await statIfThere(driver, RESERVE_PATH))) return;
  try {
    // Zeros would take no room on a file system that compresses.
    await driver.putContent(RESERVE_PATH, randomBytes(RESERVE_BYTES));
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** @returns whether there is more room now. */
export async function spendReserve(driver: StorageDriver): Promise<boolean> {
  return driver.movesAtomically && deleteIfThere(driver, RESERVE_PATH);
}

/** `putContent` of a small file that a collection depends on: on a full volume the reserve makes room for it. */
export async function putControlFile(
  driver: StorageDriver,
  path: string,
  content: Uint8Array,
): Promise<void> {
  try {
    await driver.putContent(path, content);
  } catch (error) {
    if (!isFull(error) || !(await spendReserve(driver))) throw error;
    await driver.putContent(path, content);
  }
}

/** Whether a volume has no room left, or a quota is used up. */
export function isFull(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [errorCode(error), errorCode(cause)].some((code) => code === 'ENOSPC' || code === 'EDQUOT');
}
