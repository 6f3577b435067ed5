import { createHash } from 'node:crypto';
import { RUN_AT_ANNOTATION } from '../api/names.ts';
import type { RegistryGC } from '../api/registry-gc.ts';
import type { Stored } from '../kube/object.ts';
import type { Job } from '../kube/resources.ts';
import type { CollectionRun } from './desired-collection-job.ts';
import type { Schedule } from './schedule.ts';

/** What is to be run. Times are milliseconds since the epoch. */
export interface CollectionPlan {
  /** The run that is due now, if nothing stands in its way. */
  readonly due?: CollectionRun;
  /** A scheduled run that is due is left out after this. */
  readonly dueUntil?: number;
  /** For the status: when the next scheduled run is due, or was due while it has not started. */
  readonly nextRunTime?: number;
}

/**
 * Decides which run is due, from what is written: the spec, the status, and the Jobs that exist. Nothing is kept in
 * memory, so that any operator at any time comes to the same answer, and the name of the Job makes it one run.
 *
 * A scheduled run is due when the time has come that the status announced as `nextRunTime`, so that an edit of the
 * schedule announces anew and never starts anything.
 */
export function planCollection(
  gc: Stored<RegistryGC>,
  schedule: Schedule | undefined,
  jobs: readonly Job[],
  now: number,
): CollectionPlan {
  const scheduled = schedule === undefined ? {} : planSchedule(gc, schedule, jobs, now);
  const due = runByHand(gc, jobs) ?? (schedule === undefined ? firstRun(gc, jobs) : undefined);
  return due === undefined ? scheduled : { ...omitDue(scheduled), due };
}

function omitDue({ nextRunTime }: CollectionPlan): CollectionPlan {
  return nextRunTime === undefined ? {} : { nextRunTime };
}

function runByHand(gc: Stored<RegistryGC>, jobs: readonly Job[]): CollectionRun | undefined {
  const runAt = runAtOf(gc);
  if (runAt === undefined || isFirstRunPending(gc, jobs) || handledRunAt(gc, jobs) === runAt)
    return undefined;
  // The uid, so that a RegistryGC made anew with the same annotation does not find the Job of the old one.
  const hash = createHash('sha256').update(`${gc.metadata.uid}\0${runAt}`).digest('hex').slice(0, 10);
  return { name: `${gc.metadata.name}-${hash}`, runAt };
}

/** The value of the annotation that was answered last, for the status. */
export function handledRunAt(gc: RegistryGC, jobs: readonly Job[]): string | undefined {
  const runAt = runAtOf(gc);
  const answered = jobs.some((job) => job.metadata.annotations?.[RUN_AT_ANNOTATION] === runAt);
  return runAt !== undefined && answered ? runAt : gc.status?.lastHandledRunAt;
}

function runAtOf(gc: RegistryGC): string | undefined {
  return gc.metadata.annotations?.[RUN_AT_ANNOTATION];
}

/** Without a schedule there is one run, when the RegistryGC is made; an annotation that it has by then means that run. */
function firstRun(gc: Stored<RegistryGC>, jobs: readonly Job[]): CollectionRun | undefined {
  if (gc.spec.suspend || !isFirstRunPending(gc, jobs)) return undefined;
  const runAt = runAtOf(gc);
  const name = `${gc.metadata.name}-${Math.floor(Date.parse(gc.metadata.creationTimestamp) / 1000)}`;
  return { name, ...(runAt !== undefined && { runAt }) };
}

/** `Idle` is the phase of what has a schedule: who takes the schedule away has not asked for a run. */
export function isFirstRunPending(gc: RegistryGC, jobs: readonly Job[]): boolean {
  const { schedule } = gc.spec;
  return (
    schedule === undefined &&
    gc.status?.lastRun === undefined &&
    gc.status?.phase !== 'Idle' &&
    jobs.length === 0
  );
}

function planSchedule(
  gc: Stored<RegistryGC>,
  schedule: Schedule,
  jobs: readonly Job[],
  now: number,
): CollectionPlan {
  if (gc.spec.suspend) return {};
  const next = schedule.next(now);
  const later = next === undefined ? {} : { nextRunTime: next };
  const announced = gc.status?.nextRunTime === undefined ? undefined : Date.parse(gc.status.nextRunTime);
  const time = announced === undefined ? undefined : missedRun(schedule, announced, now);
  if (time === undefined) return later;
  const dueUntil = time + gc.spec.startingDeadlineSeconds * 1000;
  const name = `${gc.metadata.name}-${Math.floor(time / 1000)}`;
  const started = gc.status?.lastRun?.name === name || jobs.some((job) => job.metadata.name === name);
  return started || now > dueUntil ? later : { due: { name }, dueUntil, nextRunTime: time };
}

/** The latest of the runs that have come due since the announced one; undefined when none has, or none was. */
function missedRun(schedule: Schedule, announced: number, now: number): number | undefined {
  if (announced > now || schedule.last(announced) !== announced) return undefined;
  return schedule.last(now);
}
