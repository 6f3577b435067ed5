import type { Clock } from '../../process/clock.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { elapsedForHolder, momentOf, type Moment } from './elapsed.ts';
import type { LeaseParameters } from './parameters.ts';
import { readRuns, runAges } from './run-files.ts';
import { RunObserver } from './run-observer.ts';
import { holdsWrites, type RunRecord } from './run-record.ts';

/** What one look at the runs saw. */
export interface Look {
  /** When the look began: a permission counts from here. */
  readonly began: Moment;
  readonly live: readonly RunRecord[];
  /** Every run on record, live or over. */
  readonly runs: ReadonlySet<string>;
}

/**
 * Looks at the collectors' runs and knows which are live, and until when a look that saw none for which writes are held
 * lets this server write.
 */
export class LeaseWatch {
  readonly #driver: StorageDriver;
  readonly #clock: Clock;
  readonly #parameters: LeaseParameters;
  readonly #observer = new RunObserver();
  #last: Look | undefined;
  #free: Look | undefined;

  constructor(deps: { driver: StorageDriver; clock: Clock; parameters: LeaseParameters }) {
    this.#driver = deps.driver;
    this.#clock = deps.clock;
    this.#parameters = deps.parameters;
  }

  /**
   * Reads the runs now.
   * @param storeNow the store's clock, if the caller just learned it from the stamp of a file it wrote.
   */
  async look(storeNow?: number): Promise<Look> {
    const began = momentOf(this.#clock);
    const records = await readRuns(this.#driver, this.#observer);
    const unfinished = records.filter(({ phase }) => phase !== 'done');
    const ages =
      storeNow === undefined || unfinished.length === 0
        ? new Map<string, number>()
        : await runAges(
            this.#driver,
            unfinished.map(({ run }) => run),
            storeNow,
            this.#parameters.stampMargin,
          );
    const monotonic = this.#clock.monotonic();
    this.#observer.observe(records, monotonic, ages);
    const look = {
      began,
      live: this.#observer.live(monotonic),
      runs: new Set(records.map(({ run }) => run)),
    };
    this.#last = look;
    if (!look.live.some(holdsWrites) && (this.#free === undefined || isLater(began, this.#free.began))) {
      this.#free = look;
    }
    return look;
  }

  get last(): Look | undefined {
    return this.#last;
  }

  /** Live runs as of the last look; runs lapse without another look. */
  live(): readonly RunRecord[] {
    return this.#last === undefined ? [] : this.#observer.live(this.#clock.monotonic());
  }

  /** The look that lets this server write now, or undefined when it has no permission. */
  permission(): Look | undefined {
    const free = this.#free;
    return free !== undefined && elapsedForHolder(this.#clock, free.began) < this.#parameters.permission
      ? free
      : undefined;
  }

  /** Gives the permission up, before the server says that it is idle. */
  forget(): void {
    this.#free = undefined;
  }
}

function isLater(a: Moment, b: Moment): boolean {
  return a.monotonic > b.monotonic;
}
