import { forEachAtOnce } from '../../process/at-once.ts';
import { UnansweredError, type CollectorLease } from '../lease/collector-lease.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import type { Take } from './take.ts';

/** Requests under way at once: what a bucket is asked takes its time to travel. */
const AT_ONCE = 32;

/**
 * How things are taken from a store without a trash. They are deleted for good, by a request that the store refuses once
 * the lease is over; where it cannot, one that was sent within the lease is trusted to land before another lease could
 * begin.
 */
export function bucketTake(deps: {
  readonly driver: StorageDriver;
  readonly lease: CollectorLease;
  readonly signal: AbortSignal;
}): Take {
  const { driver, lease, signal } = deps;
  const remove = (path: string): Promise<boolean> =>
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
  return (items, taken) =>
    forEachAtOnce(items, AT_ONCE, async (item) => {
      signal.throwIfAborted();
      if (await remove(item.path)) taken(item);
    });
}
