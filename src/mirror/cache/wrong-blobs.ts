import { LRUCache } from 'lru-cache';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Clock } from '../../process/clock.ts';
import { UpstreamError } from '../upstream.ts';

/** So many times in a row, since once may be a fault of the network. */
const TIMES = 2;

/** How long it is not fetched again then; milliseconds. Longer than clients wait before they pull once more. */
const HOLDS = 30_000;

/** Blobs that are remembered. */
const MOST = 10_000;

/**
 * Blobs that came with the bytes of others. Whoever had the first bytes of one before that was known, and the rest from
 * elsewhere, has failed; the next time nothing of it comes from here, and all of it from elsewhere.
 */
export class WrongBlobs {
  readonly #clock: Clock;
  readonly #wrong = new LRUCache<string, { readonly times: number; readonly until: number }>({ max: MOST });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws UpstreamError */
  assertNot(repository: RepositoryName, digest: Digest): void {
    const { times = 0, until = 0 } = this.#wrong.get(keyOf(repository, digest)) ?? {};
    const retryAfter = until - this.#clock.monotonic();
    if (times < TIMES || retryAfter <= 0) return;
    const message = `${digest} came wrong ${times} times (not asked again yet)`;
    throw new UpstreamError('invalid', message, { retryAfter });
  }

  /** @param failure of a fetch; undefined when the bytes were right */
  note(repository: RepositoryName, digest: Digest, failure: unknown): void {
    const key = keyOf(repository, digest);
    if (failure === undefined) this.#wrong.delete(key);
    if (!(failure instanceof UpstreamError) || failure.kind !== 'invalid') return;
    const times = (this.#wrong.get(key)?.times ?? 0) + 1;
    this.#wrong.set(key, { times, until: this.#clock.monotonic() + HOLDS });
  }
}

function keyOf(repository: RepositoryName, digest: Digest): string {
  return `${repository}@${digest}`;
}
