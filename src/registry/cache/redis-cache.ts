import type { ChainableCommander, Cluster, Redis } from 'ioredis';
import type { Digest } from '../../oci/digest.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { CacheMetrics } from './cache-metrics.ts';
import { ENTRY_LIFE, type DescriptorCache } from './descriptor-cache.ts';

/** After a failure Redis is left alone for so long, so that one that hangs costs little; milliseconds. */
const REST = 1000;

const MEDIA_TYPE = 'application/octet-stream';

export interface RedisCacheDependencies {
  readonly client: Redis | Cluster;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: CacheMetrics;
}

/**
 * Keeps descriptors where docker distribution does, so that both may share a Redis: a hash `blobs::<digest>` with
 * `digest`, `size` and `mediatype`. A Redis that is away makes the registry slower and nothing else.
 */
export class RedisCache implements DescriptorCache {
  readonly #deps: RedisCacheDependencies;
  /** Monotonic time until which Redis is left alone; undefined while all is well. */
  #restUntil: number | undefined;

  constructor(deps: RedisCacheDependencies) {
    this.#deps = deps;
    // Without a listener an error of the connection would end the process; commands tell of it anyway.
    deps.client.on('error', (error: Error) => this.#failed(error));
  }

  /** Waits for the first connection, but not for a Redis that is away. */
  async connected(): Promise<void> {
    const { client, clock } = this.#deps;
    const tried = new AbortController();
    for (const event of ['ready', 'error']) client.once(event, () => tried.abort());
    if (client.status !== 'ready') await clock.sleep(REST, tried.signal).catch(() => undefined);
  }

  async get(canonical: Digest): Promise<number | undefined> {
    const fields = await this.#ask('Stat', (client) => client.hmget(key(canonical), 'digest', 'size'));
    const size = fields?.[0] === canonical ? parseSize(fields[1]) : undefined;
    this.#deps.metrics.request(size !== undefined);
    return size;
  }

  async set(canonical: Digest, size: number): Promise<void> {
    await this.#ask('SetDescriptor', (client) =>
      allOf(
        client
          .pipeline()
          .hset(key(canonical), 'digest', canonical, 'size', size)
          .hsetnx(key(canonical), 'mediatype', MEDIA_TYPE)
          .expire(key(canonical), ENTRY_LIFE / 1000),
      ),
    );
  }

  async delete(canonical: Digest): Promise<void> {
    await this.#ask('Clear', (client) => client.hdel(key(canonical), 'digest', 'size', 'mediatype'));
  }

  async close(): Promise<void> {
    this.#deps.client.disconnect();
  }

  async #ask<T>(operation: string, command: (client: Redis | Cluster) => Promise<T>): Promise<T | undefined> {
    const { client, clock, metrics, log } = this.#deps;
    const began = clock.monotonic();
    if (this.#restUntil !== undefined && began < this.#restUntil) return undefined;
    try {
      const answer = await command(client);
      metrics.took(operation, (clock.monotonic() - began) / 1000);
      if (this.#restUntil !== undefined) log.info({}, 'the cache in Redis is there again');
      this.#restUntil = undefined;
      return answer;
    } catch (error) {
      metrics.error();
      this.#failed(error);
      return undefined;
    }
  }

  /** One warning, until it was there again. */
  #failed(error: unknown): void {
    const { clock, log } = this.#deps;
    if (this.#restUntil === undefined) {
      log.warn({ error }, 'the cache in Redis cannot be used: the store is asked each time');
    }
    this.#restUntil = clock.monotonic() + REST;
  }
}

/** A pipeline succeeds though its commands fail. @throws what the first of them met */
async function allOf(commands: ChainableCommander): Promise<void> {
  for (const [error] of (await commands.exec()) ?? []) if (error) throw error;
}

function key(canonical: Digest): string {
  return `blobs::${canonical}`;
}

function parseSize(text: string | null | undefined): number | undefined {
  const size = /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
