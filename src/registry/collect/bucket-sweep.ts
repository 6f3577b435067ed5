import { forEachAtOnce } from '../../process/at-once.ts';
import { UnansweredError, type CollectorLease } from '../lease/collector-lease.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import { inBatches, type Take } from './take.ts';

/** Requests under way at once: what a bucket is asked takes its time to travel. */
const AT_ONCE = 32;

/** As many go in one request as a slow store deletes in a second or two, and of these a few at once. */
const BATCH = 100;
const BATCHES_AT_ONCE = 8;

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
  const fenced = <T>(what: string, request: (left: number) => Promise<T>, absent: T): Promise<T> =>
    lease.fenced(async (left) => {
      try {
        return await request(left);
      } catch (error) {
        if (error instanceof PathNotFoundError) return absent;
        throw new UnansweredError(
          `it is not known whether ${what} was deleted; the run stopped and its lease lapses`,
          { cause: error },
        );
      }
    });
  const removeOne = async (path: string, left: number): Promise<boolean> => {
    await (driver.deleteWithin?.(path, left) ?? driver.delete(path));
    return true;
  };
  return async (items, taken) => {
    if (driver.deleteAllWithin === undefined) {
      return forEachAtOnce(items, AT_ONCE, async (item) => {
        signal.throwIfAborted();
        if (await fenced(item.path, (left) => removeOne(item.path, left), false)) taken(item);
      });
    }
    return forEachAtOnce(inBatches(items, BATCH), BATCHES_AT_ONCE, async (batch) => {
      signal.throwIfAborted();
      const paths = batch.map(({ path }) => path);
      await fenced(paths[0] ?? '', async (left) => driver.deleteAllWithin?.(paths, left), undefined);
      // The mark saw them, and a request tells no more.
      for (const item of batch) taken(item);
    });
  };
}
