import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Time as a parameter. Wall time is for what people and other machines read; monotonic time is for measuring how long
 * something took. Both are milliseconds.
 */
export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction. */
  now(): number;
  /** Milliseconds from an arbitrary origin. Never goes back; stops while the machine is suspended. */
  monotonic(): number;
  /** Resolves after `milliseconds`. Rejects with the signal's reason when it is aborted first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** Timers longer than this fire at once in Node (2^31 - 1 ms), so long waits are cut into pieces. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    signal?.throwIfAborted();
    try {
      for (let left = milliseconds; left > 0; left -= LONGEST_TIMER_MS) {
        await sleep(Math.min(left, LONGEST_TIMER_MS), undefined, signal ? { signal } : {});
      }
    } catch (error) {
      // Node rejects with an AbortError of its own.
      signal?.throwIfAborted();
      throw error;
    }
  },
};
