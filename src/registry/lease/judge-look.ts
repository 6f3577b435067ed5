import type { RunRecord } from './run-record.ts';

/** What a look at the runs saw: those that may hold the lease now, and all that are on record. */
export interface RunsSeen {
  readonly live: readonly RunRecord[];
  readonly runs: ReadonlySet<string>;
}

/** Runs that were over at a look: what the next one is compared with. One that is live has to be met again when it is over. */
export function overAt({ live, runs }: RunsSeen): ReadonlySet<string> {
  return new Set([...runs].filter((run) => !live.some((other) => other.run === run)));
}

export interface Judgement {
  /**
   * `refuse`: a live run is marking and may have missed the write. `verify`: a run came and went since the last look, and
   * may have taken what was there before. A run that calls or drains has read nothing yet.
   */
  readonly verdict: 'unchanged' | 'verify' | 'refuse';
  /** What the next look is compared with. */
  readonly known: ReadonlySet<string>;
}

/**
 * Judges a look that was made behind a visible write, before it is acknowledged.
 * @param known runs that were over at the look which gave the permission to write, or the last one behind a write.
 */
export function judgeLook(known: ReadonlySet<string>, seen: RunsSeen): Judgement {
  if (seen.live.some(({ phase }) => phase === 'marking')) return { verdict: 'refuse', known };
  const over = overAt(seen);
  return { verdict: [...over].some((run) => !known.has(run)) ? 'verify' : 'unchanged', known: over };
}
