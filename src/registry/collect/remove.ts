import { UnansweredError, type CollectorLease } from '../lease/collector-lease.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import { moveToTrash } from '../storage/trash.ts';

/** Takes one file away, under the lease's fence. @returns whether it was there. */
export type Remove = (path: string, trashName: string) => Promise<boolean>;

/**
 * How things are taken from a store. Where a move is an atomic rename they go to the trash, from where a server that misses
 * one puts it back. Elsewhere they are deleted for good, by a request that the store refuses once the lease is over; where
 * it cannot, one that was sent within the lease is trusted to land before another lease could begin.
 */
export function removerOf(driver: StorageDriver, lease: CollectorLease): Remove {
  if (driver.movesAtomically) {
    return (path, trashName) => lease.fenced(() => moveToTrash(driver, path, trashName));
  }
  return (path) =>
    lease.fenced(async (left) => {
      try {
        await (driver.deleteWithin?.(path, left) ?? driver.delete(path));
        return true;
      } catch (error) {
        if (error instanceof PathNotFoundError) return false;
        throw new UnansweredError(
          `it is not known whether ${path} was deleted; the run stopped and its lease lapses`,
          { cause: error },
        );
      }
    });
}
