import type { StorageDriver } from './driver.ts';

/**
 * Puts back what a collector took from `path`, if its trash still has it.
 * @returns whether something is at `path` now because of it.
 */
export async function restoreFromTrash(_driver: StorageDriver, _path: string): Promise<boolean> {
  return Promise.resolve(false);
}
