import { elapsedForHolder } from '../../../src/registry/lease/elapsed.ts';
import type { RunsSeen } from '../../../src/registry/lease/judge-look.ts';
import { RunObserver, type Observed } from '../../../src/registry/lease/run-observer.ts';
import type { RunRecord } from '../../../src/registry/lease/run-record.ts';
import type { Rules } from './rules.ts';
import { get, runs, type Sight, type World } from './world.ts';

const PHASES = ['calling', 'draining', 'marking', 'done'] as const;
export type Phase = (typeof PHASES)[number];

/** Any moment will do: only differences count. */
const NOW = 1_000;

/** A record in a byte: never 0. */
export function encodeRecord(phase: Phase, counter: number): number {
  return (PHASES.indexOf(phase) + 1) * 32 + counter;
}

export function counterOf(record: number): number {
  return record % 32;
}

export function isUnfinished(record: number): boolean {
  return record !== 0 && PHASES[Math.floor(record / 32) - 1] !== 'done';
}

function decodeRecord(run: number, record: number, rules: Rules): RunRecord {
  const phase = PHASES[Math.floor(record / 32) - 1] ?? 'done';
  return { run: String(run), phase, counter: counterOf(record), duration: rules.duration };
}

/** The run's file says something new. */
export function landRecord(world: World, run: number, record: number, rules: Rules): void {
  const file = runs[rules.ownFiles ? run : 0];
  if (file === undefined) return;
  world[file.record] = record;
  world[file.fresh] = rules.duration + rules.stampMargin;
}

/** What a look at all runs may see, with stamps that are right, and wrong. */
export function looks(
  world: World,
  sights: readonly (Sight | undefined)[],
  rules: Rules,
): readonly { readonly next: World; readonly seen: RunsSeen }[] {
  const errors = rules.stampError === 0 ? [0] : [0, rules.stampError];
  return errors.map((error) => {
    const next = world.slice();
    return { next, seen: look(next, sights, rules, error) };
  });
}

/**
 * A look at all runs, as LeaseWatch makes it, which changes what this process has seen of them.
 * @param error ticks by which the stamps of the store make the runs older than they are.
 */
export function look(
  world: World,
  sights: readonly (Sight | undefined)[],
  rules: Rules,
  error = 0,
): RunsSeen {
  const records: RunRecord[] = [];
  const ages = new Map<string, number>();
  const seen: [string, Observed][] = [];
  for (const [run, sight] of sights.entries()) {
    const file = runs[run];
    if (file === undefined || sight === undefined) continue;
    const record = get(world, file.record);
    if (record !== 0) {
      records.push(decodeRecord(run, record, rules));
      // As the stamps of the store tell it, less the margin.
      ages.set(String(run), rules.duration - get(world, file.fresh) + error);
    }
    const before = get(world, sight.record);
    if (before === 0) continue;
    const since = NOW - (rules.duration - get(world, sight.left));
    const watched = get(world, sight.watched) === 1;
    seen.push([String(run), { record: decodeRecord(run, before, rules), since, watched }]);
  }
  const observer = new RunObserver(seen);
  observer.observe(records, NOW, ages);
  for (const [run, sight] of sights.entries()) {
    if (sight === undefined) continue;
    const now = observer.observed.get(String(run));
    world[sight.record] = now === undefined ? 0 : encodeRecord(now.record.phase, now.record.counter);
    world[sight.left] = now === undefined ? 0 : Math.max(0, rules.duration - (NOW - now.since));
    world[sight.watched] = now?.watched === true ? 1 : 0;
  }
  return { live: observer.live(NOW), runs: new Set(records.map(({ run }) => run)) };
}

/** Ticks that a lease with `left` ticks of its time has when the holder's wall clock jumps. */
export function leftAfterJump(left: number, rules: Rules): number {
  const total = rules.duration - rules.margin;
  const began = { monotonic: NOW - (total - left), wall: NOW - (total - left) };
  const jumped = { monotonic: () => NOW, now: () => NOW + 1_000_000 };
  return Math.max(0, total - elapsedForHolder(jumped, began));
}
