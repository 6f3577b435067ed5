import type { Clock } from '../../process/clock.ts';

/** Keeps readers to so many bytes a second, all together. */
export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  /** Monotonic milliseconds when what was taken so far has its time. */
  #due = 0;

  /** @param bytesPerSecond Infinity for any number */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Waits until so many bytes may be read. What was not used in the past is not made up for. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const begins = Math.max(this.#due, now);
    this.#due = begins + (bytes / this.#bytesPerSecond) * 1000;
    if (begins > now) await this.#clock.sleep(begins - now, signal);
  }
}
