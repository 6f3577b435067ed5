import type { Registry } from 'prom-client';
import type { Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createCacheMetrics } from './cache-metrics.ts';
import { createMemoryCache, noCache, type DescriptorCache } from './descriptor-cache.ts';

/** The cache that `storage.cache` names. @throws Error when a file that the section `redis` names cannot be read. */
export async function openCache(
  { storage, redis }: Config,
  deps: { readonly clock: Clock; readonly log: Logger; readonly metrics: Registry },
): Promise<DescriptorCache> {
  const { blobdescriptor, blobdescriptorsize } = storage.cache;
  if (blobdescriptor !== 'inmemory' && blobdescriptor !== 'redis') return noCache;
  const own = { ...deps, metrics: createCacheMetrics(deps.metrics) };
  if (blobdescriptor === 'inmemory') return createMemoryCache({ ...own, size: blobdescriptorsize });
  if (redis === undefined) throw new Error('the section redis is missing');
  const { connectRedis } = await import('./connect-redis.ts');
  const { RedisCache } = await import('./redis-cache.ts');
  const cache = new RedisCache({ ...own, client: await connectRedis(redis) });
  await cache.connected();
  return cache;
}
