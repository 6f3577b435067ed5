import type { CollectionPhase } from '../../contract/collection-report.ts';
import type { Clock } from '../../process/clock.ts';

/** How far a run is. */
export interface ProgressReport {
  readonly phase: CollectionPhase;
  /** Objects that are done in this phase. */
  readonly done: number;
  /** About how many there are, when that is known. */
  readonly total?: number;
  /** By the pace of this phase so far. */
  readonly secondsLeft?: number;
}

/** Below this no pace can be told; milliseconds. */
const TOO_EARLY = 1000;

/** Knows in which phase a run is, how far, and how long each took. */
export class Progress {
  readonly #clock: Clock;
  readonly #took = new Map<CollectionPhase, number>();
  #phase: CollectionPhase = 'look';
  #began: number;
  #done = 0;
  #total: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#began = clock.monotonic();
  }

  begin(phase: CollectionPhase, total?: number): void {
    this.#end();
    this.#phase = phase;
    this.#total = total;
    this.#done = 0;
  }

  advance(): void {
    this.#done++;
  }

  /** @param total as far as it is known by now. */
  set(done: number, total: number | undefined): void {
    this.#done = done;
    this.#total = total;
  }

  report(): ProgressReport {
    const total = this.#total;
    const took = this.#clock.monotonic() - this.#began;
    return {
      phase: this.#phase,
      done: this.#done,
      ...(total !== undefined && { total: Math.max(Math.round(total), this.#done) }),
      ...(total !== undefined &&
        this.#done > 0 &&
        took >= TOO_EARLY && {
          secondsLeft: Math.round(Math.max(0, (took * (total - this.#done)) / this.#done / 1000)),
        }),
    };
  }

  /** Seconds that each phase took which was gone through, the one that goes on included. */
  seconds(): Readonly<Partial<Record<CollectionPhase, number>>> {
    this.#end();
    return Object.fromEntries([...this.#took].map(([phase, took]) => [phase, Math.round(took / 100) / 10]));
  }

  #end(): void {
    const now = this.#clock.monotonic();
    this.#took.set(this.#phase, (this.#took.get(this.#phase) ?? 0) + now - this.#began);
    this.#began = now;
  }
}
