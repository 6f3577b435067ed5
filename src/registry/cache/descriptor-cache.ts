import { LRUCache } from 'lru-cache';
import type { Digest } from '../../oci/digest.ts';
import type { Clock } from '../../process/clock.ts';
import type { CacheMetrics } from './cache-metrics.ts';

/** How long an entry is believed; milliseconds. A size never changes, but the data may go. */
export const ENTRY_LIFE = 3600_000;

/**
 * Sizes of blobs by sha256 digest, so that a reader costs one request to the store less. Whether a repository has a blob is
 * never remembered: its link says so each time. An entry says that the data was there once; whoever is told that a blob
 * exists, and not handed its bytes, must not be told so from here. Never throws: what cannot be looked up is not known.
 */
export interface DescriptorCache {
  /** Bytes, undefined when not known. */
  get(canonical: Digest): Promise<number | undefined>;
  set(canonical: Digest, size: number): Promise<void>;
  /** The data was not there. */
  delete(canonical: Digest): Promise<void>;
  close(): Promise<void>;
}

/** For a registry that asks its store each time. */
export const noCache: DescriptorCache = {
  get: () => Promise.resolve(undefined),
  set: () => Promise.resolve(),
  delete: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** @param options.size most entries; 0 for any number. */
export function createMemoryCache(options: {
  readonly size: number;
  readonly clock: Clock;
  readonly metrics: CacheMetrics;
}): DescriptorCache {
  const { size, clock, metrics } = options;
  const common = { ttl: ENTRY_LIFE, ttlResolution: 0, perf: { now: () => clock.monotonic() } };
  const sizes = new LRUCache<Digest, number>(
    // A largest number would be taken as room to set aside.
    size === 0
      ? { ...common, maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 }
      : { ...common, max: size },
  );
  return {
    async get(canonical) {
      const found = sizes.get(canonical);
      metrics.request(found !== undefined);
      return found;
    },
    async set(canonical, bytes) {
      sizes.set(canonical, bytes);
    },
    async delete(canonical) {
      sizes.delete(canonical);
    },
    close: () => Promise.resolve(),
  };
}
