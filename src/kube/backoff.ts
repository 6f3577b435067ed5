/** A number in [0, 1), as Math.random gives it. */
export type Random = () => number;

/**
 * Exponential backoff with full jitter: the n-th wait is uniform between nothing and `firstMs` · 2^n, at most
 * `longestMs`, so that many clients of a server that came back spread out.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #random: Random;
  #failures = 0;

  constructor(options: { readonly firstMs: number; readonly longestMs: number; readonly random: Random }) {
    this.#firstMs = options.firstMs;
    this.#longestMs = options.longestMs;
    this.#random = options.random;
  }

  /** Counts one more failure and gives the milliseconds to wait. */
  next(): number {
    const ceiling = exponential(this.#firstMs, this.#longestMs, this.#failures);
    this.#failures += 1;
    return ceiling * this.#random();
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** `firstMs` · 2^failures, at most `longestMs`. */
export function exponential(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures, 52));
}
