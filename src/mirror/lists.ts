import { LRUCache } from 'lru-cache';
import type { Clock } from '../process/clock.ts';
import type { CacheOutcome } from '../registry/http/exchange.ts';
import type { MirroredRegistry } from './mirrored-registry.ts';
import { SingleFlight } from './single-flight.ts';
import { UpstreamError, type UpstreamPage } from './upstream.ts';

/** Bytes of lists that are kept. */
const MOST_BYTES = 16 * 1024 * 1024;

export interface FoundPage<P> {
  readonly page: P;
  readonly outcome: CacheOutcome;
  readonly staleBecause?: UpstreamError;
}

/** Pages of lists of upstreams, kept in memory as long as tags are fresh, and while the upstream fails. */
export class Lists<P extends UpstreamPage> {
  readonly #clock: Clock;
  readonly #running = new SingleFlight<P>();
  readonly #kept = new LRUCache<string, { readonly page: P; /** Monotonic. */ readonly askedAt: number }>({
    maxSize: MOST_BYTES,
    sizeCalculation: ({ page }, key) => page.bytes.length + key.length + 200,
  });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param key of repository, list and query. @throws UpstreamError */
  async get(
    key: string,
    { tagFreshness, staleIfError = Infinity }: MirroredRegistry,
    ask: () => Promise<P>,
    signal: AbortSignal,
  ): Promise<FoundPage<P>> {
    const kept = this.#kept.get(key);
    const age = kept === undefined ? Infinity : this.#clock.monotonic() - kept.askedAt;
    if (kept !== undefined && age < tagFreshness) return { page: kept.page, outcome: 'hit' };
    try {
      const { result, joined } = await this.#running.run(key, () => this.#ask(key, ask), signal);
      return { page: result, outcome: joined ? 'join' : 'miss' };
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.kind === 'not-found' || error.kind === 'denied') this.#kept.delete(key);
      else if (kept !== undefined && age < tagFreshness + staleIfError)
        return { page: kept.page, outcome: 'stale', staleBecause: error };
      throw error;
    }
  }

  async #ask(key: string, ask: () => Promise<P>): Promise<P> {
    const page = await ask();
    this.#kept.set(key, { page, askedAt: this.#clock.monotonic() });
    return page;
  }
}
