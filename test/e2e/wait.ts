import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** In milliseconds; a minute unless said. */
  readonly timeout?: number;
  /** In milliseconds, between two looks. */
  readonly interval?: number;
}

/**
 * Looks again and again until there is something to see, and returns it: the first result that is not undefined or false. What a
 * look throws counts as not yet. Throws after the timeout, with what the last look saw.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const { timeout = 60_000, interval = 100 } = options;
  const end = performance.now() + timeout;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`after ${timeout / 1000} s not yet: ${what}`, { cause: last });
    await delay(interval);
  }
}
