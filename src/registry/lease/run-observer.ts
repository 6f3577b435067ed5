import type { RunRecord } from './run-record.ts';

/** How one run was seen so far. */
export interface Observed {
  readonly record: RunRecord;
  /** Monotonic milliseconds when this record was first seen. */
  readonly since: number;
  /** Whether it has been seen to change: then this process knows better than the store how old it is. */
  readonly watched: boolean;
}

/**
 * Judges the runs of others by what changes, never by clocks they wrote: a run is live until its record has not changed
 * for its duration of this process's own monotonic time. Pure: the caller reads the files and says what time it is.
 */
export class RunObserver {
  readonly #observed: Map<string, Observed>;

  /** @param observed what an observer had seen before. */
  constructor(observed: Iterable<readonly [string, Observed]> = []) {
    this.#observed = new Map(observed);
  }

  /** By run. */
  get observed(): ReadonlyMap<string, Observed> {
    return this.#observed;
  }

  /**
   * Takes in a complete list of the runs.
   * @param monotonic milliseconds, taken after the files were read.
   * @param ages by run, how long ago the store says its file changed, in milliseconds, where that is known: of a run that
   * was not seen to change yet it tells a dead one at once, so that who has not been looking need not wait.
   */
  observe(
    records: readonly RunRecord[],
    monotonic: number,
    ages: ReadonlyMap<string, number> = new Map(),
  ): void {
    const present = new Set(records.map(({ run }) => run));
    for (const run of this.#observed.keys()) if (!present.has(run)) this.#observed.delete(run);
    for (const record of records) {
      const before = this.#observed.get(record.run);
      const changed = before !== undefined && !sameRecord(before.record, record);
      const watched = changed || before?.watched === true;
      const since = changed || before === undefined ? monotonic : before.since;
      const atMost = watched ? since : monotonic - (ages.get(record.run) ?? 0);
      this.#observed.set(record.run, { record, since: Math.min(since, atMost), watched });
    }
  }

  /** Runs that may hold the lease now. */
  live(monotonic: number): readonly RunRecord[] {
    return [...this.#observed.values()]
      .filter(({ record, since }) => record.phase !== 'done' && monotonic - since < record.duration)
      .map(({ record }) => record);
  }

  /** The record of a run that said `done`: it will not change again. */
  finished(run: string): RunRecord | undefined {
    const record = this.#observed.get(run)?.record;
    return record?.phase === 'done' ? record : undefined;
  }
}

function sameRecord(a: RunRecord, b: RunRecord): boolean {
  return a.phase === b.phase && a.counter === b.counter && a.duration === b.duration;
}
