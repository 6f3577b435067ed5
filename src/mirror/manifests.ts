import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import type { Tag } from '../oci/tag.ts';
import type { Clock } from '../process/clock.ts';
import type { CacheOutcome } from '../registry/http/exchange.ts';
import type { CachedTag, MirrorCache } from './cache/mirror-cache.ts';
import type { MirroredRegistry } from './mirrored-registry.ts';
import type { Target } from './routing.ts';
import { SingleFlight } from './single-flight.ts';
import { UpstreamError, type UpstreamManifest } from './upstream.ts';

/** How long a refusal is believed without asking again, milliseconds. */
const REFUSAL_HOLDS = 10_000;
/** Tags that were refused and are remembered. */
const MOST_REFUSALS = 10_000;

export interface FoundManifest {
  readonly manifest: UpstreamManifest;
  readonly outcome: CacheOutcome;
  /** Why the upstream did not say whether the tag still leads here. */
  readonly staleBecause?: UpstreamError;
}

interface Refusal {
  readonly error: UpstreamError;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** Where a mirror has manifests from: what it keeps, and the upstreams. */
export class Manifests {
  readonly #cache: MirrorCache;
  readonly #clock: Clock;
  readonly #stopped: AbortSignal;
  readonly #byDigest = new SingleFlight<UpstreamManifest>();
  readonly #byTag = new SingleFlight<FoundManifest>();
  readonly #refusals = new LRUCache<string, Refusal>({ max: MOST_REFUSALS });

  /** @param deps.stopped ends what is asked of upstreams, for whoever waits. */
  constructor(deps: { readonly cache: MirrorCache; readonly clock: Clock; readonly stopped: AbortSignal }) {
    this.#cache = deps.cache;
    this.#clock = deps.clock;
    this.#stopped = deps.stopped;
  }

  /** A digest always names the same bytes, so what is kept is never asked for again. @throws UpstreamError */
  async byDigest(
    target: Target<MirroredRegistry>,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<FoundManifest> {
    const kept = await this.#cache.getManifest(target.stored, digest);
    if (kept !== undefined) return { manifest: kept, outcome: 'hit' };
    const fetch = (): Promise<UpstreamManifest> => this.#fetch(target, digest);
    const { result, joined } = await this.#byDigest.run(`${target.stored}@${digest}`, fetch, signal);
    return { manifest: result, outcome: joined ? 'join' : 'miss' };
  }

  /**
   * What the tag leads to, which the upstream is asked once in `tagfreshness`. While it fails the last answer holds, but
   * never against a no: an image that was taken away or locked up is not served by its tag any more.
   * @throws UpstreamError
   */
  async byTag(target: Target<MirroredRegistry>, tag: Tag, signal: AbortSignal): Promise<FoundManifest> {
    const { stored, upstream } = target;
    const kept = this.#cache.getTag(stored, tag);
    if (kept !== undefined && this.#isYounger(kept, upstream.tagFreshness)) {
      const manifest = await this.#cache.getManifest(stored, kept.digest);
      if (manifest !== undefined) return { manifest, outcome: 'hit' };
    }
    const key = `${stored}:${tag}`;
    const refusal = this.#refusal(key);
    try {
      if (refusal !== undefined) throw refusal;
      const { result, joined } = await this.#byTag.run(key, () => this.#ask(target, tag), signal);
      return joined ? { ...result, outcome: 'join' } : result;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      const stale = kept && (await this.#stale(target, kept, error));
      if (stale === undefined) throw error;
      // The next ones do not wait for the same failure.
      if (error !== refusal) this.#refuse(key, error);
      return stale;
    }
  }

  /** Asks the upstream, for all who want to know. */
  async #ask(target: Target<MirroredRegistry>, tag: Tag): Promise<FoundManifest> {
    const { repository, stored, upstream } = target;
    try {
      const resolved = await upstream.upstream.resolve(repository, tag, this.#stopped);
      const { content } = resolved;
      if (content !== undefined) await this.#cache.putManifest(stored, content);
      const kept = content ?? (await this.#cache.getManifest(stored, resolved.digest));
      const manifest = kept ?? (await this.#fetch(target, resolved.digest));
      await this.#cache.putTag(stored, tag, manifest.digest);
      return { manifest, outcome: kept === undefined || content !== undefined ? 'miss' : 'hit' };
    } catch (error) {
      if (error instanceof UpstreamError && (error.kind === 'not-found' || error.kind === 'denied')) {
        this.#refuse(`${stored}:${tag}`, error);
        await this.#cache.removeTag(stored, tag);
      }
      throw error;
    }
  }

  async #fetch(
    { repository, stored, upstream }: Target<MirroredRegistry>,
    digest: Digest,
  ): Promise<UpstreamManifest> {
    const manifest = await upstream.upstream.manifest(repository, digest, this.#stopped);
    await this.#cache.putManifest(stored, manifest);
    return manifest;
  }

  async #stale(
    { stored, upstream }: Target<MirroredRegistry>,
    kept: CachedTag,
    error: UpstreamError,
  ): Promise<FoundManifest | undefined> {
    const { tagFreshness, staleIfError } = upstream;
    if (error.kind === 'not-found' || error.kind === 'denied') return undefined;
    if (staleIfError !== undefined && !this.#isYounger(kept, tagFreshness + staleIfError)) return undefined;
    const manifest = await this.#cache.getManifest(stored, kept.digest);
    return manifest && { manifest, outcome: 'stale', staleBecause: error };
  }

  #isYounger({ checkedAt }: CachedTag, milliseconds: number): boolean {
    const age = this.#clock.now() - checkedAt;
    // A clock that was put back must not keep a tag fresh for ever.
    return age >= 0 && age < milliseconds;
  }

  #refuse(key: string, error: UpstreamError): void {
    this.#refusals.set(key, { error, until: this.#clock.monotonic() + REFUSAL_HOLDS });
  }

  #refusal(key: string): UpstreamError | undefined {
    const refusal = this.#refusals.get(key);
    return refusal !== undefined && this.#clock.monotonic() < refusal.until ? refusal.error : undefined;
  }
}
