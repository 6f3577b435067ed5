import type { Clock } from '../../src/process/clock.ts';

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to. `advance` runs sleepers in the order of their time. */
export class TestClock implements Clock {
  #monotonic = 0;
  #wallOffset: number;
  #sleepers: Sleeper[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = start;
  }

  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Number of sleeps that wait for time to pass. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Milliseconds until the next of them wakes; Infinity when there is none. */
  get untilNext(): number {
    return Math.min(...this.#sleepers.map(({ wakeAt }) => wakeAt)) - this.#monotonic;
  }

  /** Moves the wall clock alone, as an administrator or NTP would. */
  jumpWall(milliseconds: number): void {
    this.#wallOffset += milliseconds;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper: Sleeper = {
        wakeAt: this.#monotonic + Math.max(0, milliseconds),
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Lets time pass, waking each sleeper at its time and letting what it does run before the next. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#monotonic + milliseconds;
    await settle();
    for (;;) {
      const next = this.#sleepers.toSorted((a, b) => a.wakeAt - b.wakeAt)[0];
      if (next === undefined || next.wakeAt > end) break;
      this.#monotonic = Math.max(this.#monotonic, next.wakeAt);
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      next.wake();
      await settle();
    }
    this.#monotonic = end;
    await settle();
  }
}

/** Lets promise callbacks and finished I/O run. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve));
}
