/**
 * What a collector says of its run in `runs/<run>`, written by its owner alone. `calling`: servers say that they are there,
 * and write as ever. `draining`: new writes are held, uploads that are open may finish. `marking`: nothing may be written.
 * `done`: over.
 */
export interface RunRecord {
  readonly run: string;
  readonly phase: 'calling' | 'draining' | 'marking' | 'done';
  /** Grows with each renewal, so that a change is seen whatever the clocks say. */
  readonly counter: number;
  /** Milliseconds that the lease lasts after a renewal. */
  readonly duration: number;
}

/** Whether servers hold writes for a run that is live. */
export function holdsWrites({ phase }: RunRecord): boolean {
  return phase === 'draining' || phase === 'marking';
}

const VERSION = 1;
const LONGEST_DURATION = 10 * 60_000;

export function encodeRunRecord(record: RunRecord): Buffer {
  return Buffer.from(`${JSON.stringify({ version: VERSION, ...record })}\n`);
}

/**
 * Never fails: a file that cannot be understood (damaged, or of a newer version) is taken for a run that marks, which is
 * the safe reading, and lapses by itself when nobody renews it.
 */
export function decodeRunRecord(run: string, bytes: Uint8Array, fallbackDuration: number): RunRecord {
  const unknown: RunRecord = { run, phase: 'marking', counter: bytes.length, duration: fallbackDuration };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return unknown;
  }
  if (typeof value !== 'object' || value === null) return unknown;
  const { version, phase, counter, duration } = value as Readonly<Record<string, unknown>>;
  if (version !== VERSION || typeof counter !== 'number' || typeof duration !== 'number') return unknown;
  if (phase !== 'calling' && phase !== 'draining' && phase !== 'marking' && phase !== 'done') return unknown;
  return { run, phase, counter, duration: Math.min(Math.max(duration, 0), LONGEST_DURATION) };
}
