import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, waiting, type Outcome } from '../../kube/outcome.ts';
import { jobs, pods, type Job, type Pod } from '../../kube/resources.ts';
import type { ControllerTools } from './controllers.ts';
import { podFromTemplate, podsOf, randomName } from './pods-of.ts';
import { rfc3339 } from '../api-server/kinds/read.ts';
import { writeStatus } from './write-status.ts';

/** A pod that failed has its successor after this long, twice as long each time. */
const RETRY = { firstMs: 10_000, longestMs: 600_000 };

/** What a Job's pods come to, by its status and what is there of them now. */
export interface JobTally {
  /** Neither over nor being deleted. */
  readonly active: readonly Stored<Pod>[];
  readonly terminating: readonly Stored<Pod>[];
  readonly succeeded: number;
  readonly failed: number;
  /** When the last of those that are still there failed, in milliseconds since the epoch. */
  readonly failedAt: number | undefined;
}

/**
 * Counts pods. Those that are over and were counted may have been deleted since, so numbers never go back; a pod that
 * was active and is neither active nor newly succeeded has failed, also when it is gone.
 */
export function tallyPods(status: Job['status'], all: readonly Stored<Pod>[]): JobTally {
  const phase = (wanted: string) => all.filter(({ status }) => status?.phase === wanted);
  const going = all.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  const before = {
    active: (status?.active ?? 0) + (status?.terminating ?? 0),
    succeeded: status?.succeeded ?? 0,
    failed: status?.failed ?? 0,
  };
  const succeeded = Math.max(before.succeeded, phase('Succeeded').length);
  const lost = before.active - going.length - (succeeded - before.succeeded);
  const ends = phase('Failed').flatMap(({ status }) =>
    (status?.containerStatuses ?? []).map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? '')),
  );
  return {
    active: going.filter(({ metadata }) => metadata.deletionTimestamp === undefined),
    terminating: going.filter(({ metadata }) => metadata.deletionTimestamp !== undefined),
    succeeded,
    failed: Math.max(before.failed + Math.max(0, lost), phase('Failed').length),
    failedAt: ends.length === 0 ? undefined : Math.max(...ends),
  };
}

/** Runs one pod after another until one has succeeded or too many have failed. */
export function createJobReconciler({ client, caches, clock, random, events }: ControllerTools) {
  return async (key: NamespacedName): Promise<Outcome> => {
    const job = caches.jobs.get(key);
    if (job?.spec === undefined || job.metadata.deletionTimestamp !== undefined || isDone(job)) return done;
    const { activeDeadlineSeconds: deadline = Infinity, template } = job.spec;
    const now = clock.now();
    const tally = tallyPods(job.status, await podsOf(client, job, job.spec.selector));
    const startTime = job.status?.startTime ?? rfc3339(now);
    const verdict = verdictOf(job, tally, startTime, now);
    const record = (type: 'Normal' | 'Warning', reason: string, note: string) =>
      events.record(job, { type, reason, action: 'Running', note });

    const isMissing = verdict === undefined && needsPod(job, tally);
    const pause = isMissing ? retryPause(tally, now) : 0;
    if (isMissing && pause === 0) {
      const name = randomName(`${key.name}-`, random);
      await client.create(pods, podFromTemplate(job, template, { name }));
      record('Normal', 'SuccessfulCreate', `Created pod: ${name}`);
    }
    for (const { metadata } of verdict === undefined ? [] : tally.active) {
      await client.delete(pods, { ...key, name: metadata.name }, { uid: metadata.uid });
    }
    // What failed is told when the last pod has ended, so that nobody takes the work for over while it goes on.
    const isOver = verdict !== undefined && tally.active.length + tally.terminating.length === 0;
    if (isOver && verdict.type === 'Complete') record('Normal', 'Completed', 'Job completed');
    if (isOver && verdict.type === 'Failed') record('Warning', verdict.reason, verdict.message);
    const activeCount = tally.active.length + Number(isMissing && pause === 0);
    const counted = { ...tally, activeCount };
    const status = jobStatus(job, counted, startTime, verdict, isOver, rfc3339(now));
    await writeStatus(client, jobs, job, status);

    const left = Math.max(1, Date.parse(startTime) + deadline * 1000 - now);
    const next = pause > 0 ? Math.min(pause, left) : left;
    return verdict === undefined && Number.isFinite(next) ? waiting(next, 'Running') : done;
  };
}

interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

function verdictOf(job: Job, tally: JobTally, startTime: string, now: number): Verdict | undefined {
  const { backoffLimit = 6, activeDeadlineSeconds = Infinity } = job.spec ?? {};
  // While its pod ends, a Job stays failed for the reason that ended it.
  const decided = job.status?.conditions?.find(({ type }) => type === 'FailureTarget');
  if (decided !== undefined) {
    return { type: 'Failed', reason: decided.reason ?? '', message: decided.message ?? '' };
  }
  if (tally.succeeded > 0) {
    const message = 'Reached expected number of succeeded pods';
    return { type: 'Complete', reason: 'CompletionsReached', message };
  }
  const failed = (reason: string, message: string): Verdict => ({ type: 'Failed', reason, message });
  const restarts = tally.active.flatMap(({ status }) => status?.containerStatuses ?? []);
  const failures = tally.failed + restarts.reduce((sum, { restartCount }) => sum + restartCount, 0);
  if (failures > backoffLimit) {
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const isLate = now - Date.parse(startTime) >= activeDeadlineSeconds * 1000;
  return isLate ? failed('DeadlineExceeded', 'Job was active longer than specified deadline') : undefined;
}

/** Whether a pod is to be made: one that is on its way out may still count. */
function needsPod(job: Job, { active, terminating }: JobTally): boolean {
  const waitsForEnd = job.spec?.podReplacementPolicy === 'Failed';
  return active.length === 0 && (!waitsForEnd || terminating.length === 0);
}

/** Milliseconds until the next pod may be made. */
function retryPause({ failed, failedAt }: JobTally, now: number): number {
  if (failedAt === undefined) return 0;
  return Math.max(0, failedAt + Math.min(RETRY.longestMs, RETRY.firstMs * 2 ** (failed - 1)) - now);
}

function jobStatus(
  { status }: Job,
  { activeCount, terminating, succeeded, failed }: JobTally & { readonly activeCount: number },
  startTime: string,
  verdict: Verdict | undefined,
  isOver: boolean,
  now: string,
) {
  const numbers = { active: activeCount, terminating: terminating.length, succeeded, failed };
  const before = status?.conditions ?? [];
  const types = verdict && [
    ...(verdict.type === 'Failed' ? ['FailureTarget'] : []),
    ...(isOver ? [verdict.type] : []),
  ];
  const fresh = (types ?? []).filter((type) => before.every((condition) => condition.type !== type));
  return {
    startTime,
    ...Object.fromEntries(Object.entries(numbers).filter(([, number]) => number > 0)),
    ...(isOver && verdict?.type === 'Complete' && { completionTime: now }),
    conditions: [
      ...before,
      ...fresh.map((type) => ({ ...verdict, type, status: 'True', lastTransitionTime: now })),
    ],
  };
}

function isDone({ status }: Job): boolean {
  return (
    status?.conditions?.some(
      ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
    ) === true
  );
}
