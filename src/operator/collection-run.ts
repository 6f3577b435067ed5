import type { RegistryGC, RegistryGCStatus } from '../api/registry-gc.ts';
import type { CollectionReport } from '../contract/collection-report.ts';
import type { Job, Pod } from '../kube/resources.ts';
import { DRY_RUN_OPTION } from './desired-collection-job.ts';
import { parseCollectionReport } from './parse-collection-report.ts';

export type LastRun = NonNullable<RegistryGCStatus['lastRun']>;
export type FinishedRun = NonNullable<RegistryGCStatus['history']>[number];
export type RunResult = FinishedRun['result'];

export type JobState = 'active' | 'succeeded' | 'failed';

export function jobState(job: Job): JobState {
  const holds = (type: string): boolean =>
    job.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ===
    true;
  if (holds('Complete')) return 'succeeded';
  return holds('Failed') ? 'failed' : 'active';
}

/** The latest first. */
export function byAge(a: Job, b: Job): number {
  const [left, right] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return right.localeCompare(left) || b.metadata.name.localeCompare(a.metadata.name);
}

/** What is known of a run: with its result once the Job has ended. */
export function runOf(job: Job, pods: readonly Pod[]): LastRun {
  const { name } = job.metadata;
  const started = job.status?.startTime ?? job.metadata.creationTimestamp;
  const begun = {
    name,
    ...(started !== undefined && { startTime: started }),
    dryRun: isDryRun(job),
  };
  const state = jobState(job);
  if (state === 'active') return begun;
  const message = terminationMessage(pods);
  const report = message === undefined ? undefined : parseCollectionReport(message);
  const completed = completionTime(job);
  return {
    ...begun,
    ...(completed !== undefined && { completionTime: completed }),
    ...(report === undefined ? withoutReport(job, state, message) : withReport(state, report)),
  };
}

function withReport(state: JobState, report: CollectionReport) {
  const { startTime, completionTime, dryRun, readOnlySeconds } = report;
  const { tagsDeleted, manifestsDeleted, blobsDeleted, bytesReclaimed, bytesInTrash, message } = report;
  // The container's exit code has the last word: a report of success may be followed by a crash.
  const result = state === 'failed' && report.result === 'Succeeded' ? 'Failed' : report.result;
  return {
    result,
    startTime,
    completionTime,
    dryRun,
    readOnlySeconds,
    tagsDeleted,
    manifestsDeleted,
    blobsDeleted,
    bytesReclaimed,
    bytesInTrash,
    message,
  };
}

const LONGEST_MESSAGE = 1024;

function withoutReport(
  job: Job,
  state: JobState,
  message: string | undefined,
): { readonly result: RunResult; readonly message: string } {
  if (state === 'succeeded') return { result: 'Succeeded', message: 'The run ended without a report.' };
  const failure = job.status?.conditions?.find(({ type }) => type === 'Failed');
  if (failure?.reason === 'DeadlineExceeded') {
    return {
      result: 'DeadlineExceeded',
      message: 'The run took longer than activeDeadlineSeconds and was stopped.',
    };
  }
  const words = message?.trim();
  return {
    result: 'Failed',
    message:
      words === undefined || words === ''
        ? `The pod ended without a report: ${failure?.message ?? 'no reason given'}`.slice(0, LONGEST_MESSAGE)
        : lastWords(words).slice(-LONGEST_MESSAGE),
  };
}

/** The end of a log, for people: of a collector that was killed while it logged as usual, the last message. */
function lastWords(log: string): string {
  const message = /"message":"((?:[^"\\]|\\.)*)"\}$/.exec(log)?.[1];
  return message === undefined
    ? log
    : `The collector ended without a report. The last that it logged: ${message}`;
}

function completionTime(job: Job): string | undefined {
  const failure = job.status?.conditions?.find(({ type, status }) => type === 'Failed' && status === 'True');
  return job.status?.completionTime ?? failure?.lastTransitionTime;
}

function terminationMessage(pods: readonly Pod[]): string | undefined {
  return pods
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .map((container) => container.state?.terminated?.message)
    .find((message) => message !== undefined);
}

/** As the Job was told; the spec may have changed since. */
function isDryRun(job: Job): boolean {
  return job.spec?.template.spec?.containers.some(({ args }) => args?.includes(DRY_RUN_OPTION)) === true;
}

/** The line of a run in the history; undefined while it goes on. */
export function finishedRun(run: LastRun): FinishedRun | undefined {
  const { name, result, startTime, completionTime } = run;
  const { tagsDeleted, manifestsDeleted, blobsDeleted, bytesReclaimed } = run;
  if (result === undefined) return undefined;
  return {
    name,
    result,
    ...(startTime !== undefined && { startTime }),
    ...(completionTime !== undefined && { completionTime }),
    ...(tagsDeleted !== undefined && { tagsDeleted }),
    ...(manifestsDeleted !== undefined && { manifestsDeleted }),
    ...(blobsDeleted !== undefined && { blobsDeleted }),
    ...(bytesReclaimed !== undefined && { bytesReclaimed }),
  };
}

/** The runs to remember, the latest first: as many of those that succeeded and of the others as the spec says. */
export function historyOf(gc: RegistryGC, finished: readonly FinishedRun[]): readonly FinishedRun[] {
  const known = gc.status?.history ?? [];
  const fresh = finished.filter(({ name }) => known.every((other) => other.name !== name));
  return withinLimits(
    gc,
    [...fresh, ...known].toSorted((a, b) => (b.completionTime ?? '').localeCompare(a.completionTime ?? '')),
    ({ result }) => result === 'Succeeded',
  );
}

/** The Jobs that have ended and whose time is over. `jobs`: all of this RegistryGC. */
export function expiredJobs<T extends Job>(gc: RegistryGC, jobs: readonly T[]): readonly T[] {
  const ended = jobs.filter((job) => jobState(job) !== 'active').toSorted(byAge);
  const kept = new Set(withinLimits(gc, ended, (job) => jobState(job) === 'succeeded'));
  return ended.filter((job) => !kept.has(job));
}

function withinLimits<T>(gc: RegistryGC, items: readonly T[], succeeded: (item: T) => boolean): readonly T[] {
  const { successfulRunsHistoryLimit, failedRunsHistoryLimit } = gc.spec;
  const good = new Set(items.filter(succeeded).slice(0, successfulRunsHistoryLimit));
  const bad = new Set(items.filter((item) => !succeeded(item)).slice(0, failedRunsHistoryLimit));
  return items.filter((item) => good.has(item) || bad.has(item));
}
