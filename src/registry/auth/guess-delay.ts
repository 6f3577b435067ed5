import { LRUCache } from 'lru-cache';
import type { Clock } from '../../process/clock.ts';

/** Mistypes cost nothing. */
const FREE_FAILURES = 5;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;
const FORGOTTEN_AFTER_MS = 60_000;
const KEYS_AT_MOST = 10_000;
/** A header has room for names of 48 KB, and who guesses chooses them. */
const KEY_LENGTH = 256;

/**
 * Slows down who guesses passwords: the answer to a wrong one is held back, longer with each failure of the same source
 * or for the same user. A right password is never held back, so nobody can be locked out by somebody else's guesses.
 */
export class GuessDelay {
  readonly #clock: Clock;
  readonly #failures: LRUCache<string, number>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#failures = new LRUCache({
      max: KEYS_AT_MOST,
      ttl: FORGOTTEN_AFTER_MS,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
  }

  /** Call before a wrong password is answered. Returns early when the client goes away. */
  async failed(source: string, user: string, signal: AbortSignal): Promise<void> {
    const failures = Math.max(this.#count(`from ${source}`), this.#count(`user ${user}`));
    if (failures <= FREE_FAILURES) return;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES - 1));
    await this.#clock.sleep(delay, signal).catch(() => undefined);
  }

  #count(of: string): number {
    // A copy: a slice would keep the whole text.
    const key = Buffer.from(of.slice(0, KEY_LENGTH)).toString();
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return failures;
  }
}
