import { Counter, Histogram, type Registry } from 'prom-client';

/** Counts under distribution's names of 3.x, and of 2.8. */
export interface CacheMetrics {
  request(hit: boolean): void;
  error(): void;
  /** @param seconds that Redis took. */
  took(operation: string, seconds: number): void;
}

export function createCacheMetrics(registry: Registry): CacheMetrics {
  const registers = [registry];
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const requests = counter(
    'registry_storage_cache_requests_total',
    'Look-ups in the cache of blob descriptors.',
  );
  const hits = counter('registry_storage_cache_hits_total', 'Look-ups that the cache could answer.');
  const errors = counter(
    'registry_storage_cache_errors_total',
    'Look-ups and changes that Redis did not carry out.',
  );
  const total = new Counter({
    name: 'registry_storage_cache_total',
    help: 'Look-ups in the cache of blob descriptors, under the name of 2.8.',
    labelNames: ['type'],
    registers,
  });
  const redis = new Histogram({
    name: 'registry_storage_cache_redis_seconds',
    help: 'Time that Redis took.',
    labelNames: ['operation'],
    registers,
  });
  return {
    request(hit) {
      requests.inc();
      total.inc({ type: 'Request' });
      if (hit) hits.inc();
      total.inc({ type: hit ? 'Hit' : 'Miss' });
    },
    error: () => errors.inc(),
    took: (operation, seconds) => redis.observe({ operation }, seconds),
  };
}
