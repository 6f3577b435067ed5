import type { Clock } from '../process/clock.ts';

export interface RetryOptions {
  /** How often something is tried again. */
  readonly retries: number;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly signal?: AbortSignal;
  /** Milliseconds after which nothing is tried again. */
  readonly patience?: number;
}

/** First and longest pause that grows by itself, and the longest that a registry can ask for; milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
const LONGEST_RETRY_AFTER = 5 * 60_000;

/** Something that may go well the next time. `retryAfter`: milliseconds that were asked for; `status`: of the answer, where there was one. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  readonly retryAfter: number;
  readonly status: number | undefined;
  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly status?: number; readonly retryAfter?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.retryAfter = options.retryAfter ?? 0;
  }
}

/** Tries until it goes well, fails for good, or has failed too often. @throws what the last try met */
export async function withRetries<T>(
  options: RetryOptions,
  attempt: (number: number) => Promise<T>,
): Promise<T> {
  const { retries, clock, patience = Infinity } = options;
  const end = clock.monotonic() + patience;
  for (let number = 0; ; number++) {
    try {
      return await attempt(number);
    } catch (error) {
      if (!(error instanceof TransientError) || number >= retries || clock.monotonic() >= end) throw error;
      await pause(options, number, error.retryAfter);
    }
  }
}

export async function pause(
  { clock, random, signal }: RetryOptions,
  number: number,
  retryAfter: number,
): Promise<void> {
  const own = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** number) * (0.5 + random() / 2);
  await clock.sleep(Math.max(own, Math.min(retryAfter, LONGEST_RETRY_AFTER)), signal);
}
