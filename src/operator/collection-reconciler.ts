import type { RegistryGC } from '../api/registry-gc.ts';
import type { Registry } from '../api/registry.ts';
import { isConflict } from '../kube/api-error.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import { formatKey, type NamespacedName, type Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Job, PersistentVolumeClaim, Pod } from '../kube/resources.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { refusalOf, type Kube } from './apply-child.ts';
import { childNames, isServer, ownerSelector } from './child-names.ts';
import type { CollectionFacts, Obstacle } from './collection-facts.ts';
import { collectionObstacle } from './collection-obstacle.ts';
import { handledRunAt, planCollection } from './collection-plan.ts';
import { byAge, expiredJobs, jobState, runOf, type LastRun } from './collection-run.ts';
import { collectionStatus, runEvents } from './collection-status.ts';
import { claimName } from './desired-claim.ts';
import { desiredCollectionJob, type CollectionRun } from './desired-collection-job.ts';
import { credentialsIn } from './desired-credentials.ts';
import { keepRetention } from './keep-retention.ts';
import { readOrLog, readRegistry, readRegistryGC, registryGCs } from './resource-types.ts';
import { parseSchedule, ScheduleError, type Schedule } from './schedule.ts';
import { storageReach } from './storage-reach.ts';
import { transitionEvents } from './transitions.ts';
import type { World } from './world.ts';
import { writeStatus } from './write-status.ts';

export interface CollectionReconcilerOptions {
  readonly world: World;
  readonly kube: Kube;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Of the collector's pod: the operator's own. */
  readonly image: string;
  readonly log: Logger;
}

/** Whoever changed the object in between has woken us already; this is for when that was lost. */
const AFTER_CONFLICT_MS = 500;
/** What a run waits for is mostly seen; this is for what is not. */
const WHILE_BLOCKED_MS = 30_000;
const JOB_NAME_LABEL = 'batch.kubernetes.io/job-name';

/** Starts the runs of one RegistryGC when they are due, and tells in its status what became of them. */
export function createCollectionReconciler(options: CollectionReconcilerOptions) {
  const { world, kube, clock, events, log } = options;
  return async (key: NamespacedName): Promise<Outcome> => {
    const object = world.registryGCs.get(key);
    // Its Jobs carry an owner reference and go with it; a collector that is ended gives its lease back.
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return done;
    const gc = readOrLog(object, readRegistryGC, log);
    if (gc === undefined) return stalled('InvalidSpec', 'The object does not fit its schema.');

    const now = clock.now();
    const jobs = await ownJobs(options, gc);
    const facts = await lookAt(options, gc, jobs, now);
    const started = await startDueRun(options, gc, facts, jobs);
    const allJobs = started.job === undefined ? jobs : [...jobs, started.job];
    const runs = await unrecordedRuns(options, gc, allJobs);
    const current = complete(started.facts, allJobs, runs, now);

    const ended = runs.filter((run) => run.result !== undefined);
    const status = collectionStatus(current, ended, handledRunAt(gc, allJobs), now);
    const result = await writeStatus(kube, registryGCs, gc, status);
    if (result === 'stale') return waiting(AFTER_CONFLICT_MS, 'StatusConflict');
    if (result === 'written') {
      for (const event of [
        ...runEvents(gc.status, status),
        ...transitionEvents(gc.status?.conditions, status.conditions ?? []),
      ]) {
        events.record(gc, event);
      }
    }
    await deleteExpired(options, gc, jobs);
    return nextOutcome(current, now);
  };
}

/** The cache may not have a Job yet that the status tells of; without it the run would pass for lost. */
async function ownJobs(
  { world, kube }: CollectionReconcilerOptions,
  gc: Stored<RegistryGC>,
): Promise<readonly Stored<Job>[]> {
  const { namespace, name, uid } = gc.metadata;
  const isOwn = (job: Job): boolean =>
    job.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  const jobs = world.jobs.byIndex('collection', formatKey({ namespace, name })).filter(isOwn);
  const last = gc.status?.lastRun;
  if (last === undefined || last.result !== undefined || jobs.some((job) => job.metadata.name === last.name))
    return jobs;
  const job = await kube.find<Job>(world.jobs.type, { namespace, name: last.name });
  return job !== undefined && isOwn(job) ? [...jobs, job] : jobs;
}

async function lookAt(
  options: CollectionReconcilerOptions,
  gc: Stored<RegistryGC>,
  jobs: readonly Job[],
  now: number,
): Promise<CollectionFacts> {
  const { world, log } = options;
  const { namespace } = gc.metadata;
  const registryKey = { namespace, name: gc.spec.registryRef.name };
  const object = world.registries.get(registryKey);
  const registry = object === undefined ? undefined : readOrLog(object, readRegistry, log);
  const { schedule, error } = scheduleOf(gc);
  const plan = planCollection(gc, schedule, jobs, now);
  const active = jobs.find((job) => jobState(job) === 'active');
  const claim = registry === undefined ? undefined : await claimOf(options, registry);
  const obstacle = collectionObstacle({
    gc,
    registry,
    rivals: world.registryGCs
      .byIndex('registry', formatKey(registryKey))
      .flatMap((rival) => readOrLog(rival, readRegistryGC, log) ?? []),
    scheduleError: error,
    claim,
    runIsDue: plan.due !== undefined && active === undefined,
  });
  return {
    gc,
    schedule,
    plan,
    pods: active === undefined ? [] : podsOf(world, gc, active),
    ...(registry !== undefined && { registry }),
    ...(claim !== undefined && { claim }),
    ...(obstacle !== undefined && { obstacle }),
    ...(active !== undefined && { active }),
  };
}

function scheduleOf({ spec }: RegistryGC): { readonly schedule?: Schedule; readonly error?: string } {
  if (spec.schedule === undefined) return {};
  try {
    return { schedule: parseSchedule(spec.schedule, spec.timeZone) };
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    return { error: error.message };
  }
}

async function claimOf(
  { world, kube }: CollectionReconcilerOptions,
  registry: Stored<Registry>,
): Promise<PersistentVolumeClaim | undefined> {
  const { filesystem } = registry.spec.storage;
  if (filesystem === undefined) return undefined;
  const key = { namespace: registry.metadata.namespace, name: claimName(registry, filesystem) };
  if (filesystem.existingClaim === undefined) return world.claims.get(key);
  return kube.find<PersistentVolumeClaim>(world.claims.type, key);
}

function podsOf(world: World, gc: Stored<RegistryGC>, job: Job): readonly Pod[] {
  return world.pods
    .byIndex('collection', formatKey({ namespace: gc.metadata.namespace, name: gc.metadata.name }))
    .filter((pod) => pod.metadata.labels?.[JOB_NAME_LABEL] === job.metadata.name);
}

/** Makes the Job of the run that is due, unless something stands in its way. */
async function startDueRun(
  options: CollectionReconcilerOptions,
  gc: Stored<RegistryGC>,
  facts: CollectionFacts,
  jobs: readonly Job[],
): Promise<{ readonly facts: CollectionFacts; readonly job?: Stored<Job> }> {
  const { world } = options;
  const { registry, plan, obstacle } = facts;
  const { due } = plan;
  if (due === undefined || obstacle !== undefined || registry === undefined) return { facts };
  const registryKey = formatKey({ namespace: gc.metadata.namespace, name: registry.metadata.name });
  const collectors = [...world.jobs.byIndex('registry', registryKey), ...jobs];
  if (collectors.some((job) => jobState(job) === 'active')) return { facts };
  // What became of the run before is written down first.
  const last = gc.status?.lastRun;
  if (last !== undefined && last.result === undefined) return { facts };
  const unwritten = await keepRetention(options, gc);
  if (unwritten !== undefined) return { facts: { ...facts, obstacle: unwritten } };
  const job = await createJob(options, { ...facts, registry }, due);
  return 'reason' in job ? { facts: { ...facts, obstacle: job } } : { facts, job };
}

async function createJob(
  options: CollectionReconcilerOptions,
  { gc, registry, claim }: CollectionFacts & { readonly registry: Registry },
  run: CollectionRun,
): Promise<Stored<Job> | Obstacle> {
  const { kube, world } = options;
  const { namespace, uid } = gc.metadata;
  // A Job stays as it is made, so the caches are not trusted that there is nothing.
  const credentials = { namespace, name: childNames(registry).credentials };
  const inputs = {
    image: registry.spec.podTemplate?.image ?? options.image,
    besideServer: storageReach(registry, claim) === 'node' && (await hasServer(options, registry)),
    credentials: credentialsIn(
      world.secrets.get(credentials) ?? (await kube.find(world.secrets.type, credentials)),
    ),
  };
  try {
    return await kube.create<Job>(world.jobs.type, desiredCollectionJob(gc, registry, run, inputs));
  } catch (error) {
    if (isConflict(error)) {
      // Made by an earlier look that was cut off, or by another operator: the name says that it is the same run.
      const job = await kube.find<Job>(world.jobs.type, { namespace, name: run.name });
      if (job?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true) return job;
      const message = `There is a Job ${run.name} that does not belong to this RegistryGC. Delete it.`;
      return { reason: 'NameConflict', message, stalled: true };
    }
    const message = refusalOf(error, 'Job', run.name);
    if (message === undefined) throw error;
    return { reason: 'Refused', message, stalled: true };
  }
}

async function hasServer({ kube, world }: CollectionReconcilerOptions, registry: Registry): Promise<boolean> {
  const { namespace, name } = registry.metadata;
  if (world.pods.byIndex('registry', formatKey({ namespace, name })).some(isServer)) return true;
  const labelSelector = ownerSelector(registry);
  return (await kube.listAll(world.pods.type, { namespace, labelSelector })).items.some(isServer);
}

/** The runs that the status does not tell the end of. */
async function unrecordedRuns(
  options: CollectionReconcilerOptions,
  gc: Stored<RegistryGC>,
  jobs: readonly Stored<Job>[],
): Promise<readonly LastRun[]> {
  const { world, kube } = options;
  const { lastRun, history = [] } = gc.status ?? {};
  const recorded = new Set(history.map(({ name }) => name));
  if (lastRun?.result !== undefined) recorded.add(lastRun.name);
  const runs: LastRun[] = [];
  for (const job of jobs.filter(({ metadata }) => !recorded.has(metadata.name)).toSorted(byAge)) {
    const { namespace, name } = job.metadata;
    const seen = podsOf(world, gc, job);
    // The report is read once, so the cache is not trusted that it is up to date.
    const labelSelector = `${JOB_NAME_LABEL}=${name}`;
    const pods =
      jobState(job) === 'active'
        ? seen
        : (await kube.listAll(world.pods.type, { namespace, labelSelector })).items;
    runs.push(runOf(job, pods));
  }
  return runs;
}

/** The facts once more, with the run that was just started and what became of the ones before. */
function complete(
  facts: CollectionFacts,
  jobs: readonly Stored<Job>[],
  runs: readonly LastRun[],
  now: number,
): CollectionFacts {
  const { gc, schedule } = facts;
  const active = jobs.find((job) => jobState(job) === 'active');
  const lastRun = latestRun(gc, jobs, runs);
  return {
    ...facts,
    plan: planCollection(gc, schedule, jobs, now),
    ...(active !== undefined && { active }),
    ...(lastRun !== undefined && { lastRun }),
  };
}

function latestRun(gc: RegistryGC, jobs: readonly Job[], runs: readonly LastRun[]): LastRun | undefined {
  const before = gc.status?.lastRun;
  const [newest] = runs;
  if (before === undefined) return newest;
  const known = runs.find(({ name }) => name === before.name);
  if (
    newest !== undefined &&
    newest.name !== before.name &&
    (newest.startTime ?? '') >= (before.startTime ?? '')
  ) {
    return newest;
  }
  if (before.result !== undefined) return before;
  if (known !== undefined || jobs.some(({ metadata }) => metadata.name === before.name))
    return known ?? before;
  return { ...before, result: 'Failed', message: 'The Job was deleted before it ended.' };
}

/** Only what the status, as it was read, tells the end of: a Job that goes before that would be forgotten. */
async function deleteExpired(
  { kube, world }: CollectionReconcilerOptions,
  gc: Stored<RegistryGC>,
  jobs: readonly Stored<Job>[],
): Promise<void> {
  const last = gc.status?.lastRun;
  for (const { metadata } of expiredJobs(gc, jobs)) {
    if (last === undefined || (last.name === metadata.name && last.result === undefined)) continue;
    const { namespace, name, uid } = metadata;
    await kube.delete(
      world.jobs.type,
      { ...(namespace !== undefined && { namespace }), name },
      { uid, propagationPolicy: 'Background' },
    );
  }
}

function nextOutcome({ obstacle, plan, active }: CollectionFacts, now: number): Outcome {
  if (obstacle?.stalled === true) return stalled(obstacle.reason, obstacle.message);
  if (plan.due !== undefined && active === undefined) {
    const left = plan.dueUntil === undefined ? Infinity : plan.dueUntil - now + 1000;
    return waiting(Math.max(1000, Math.min(WHILE_BLOCKED_MS, left)), obstacle?.reason ?? 'RunPending');
  }
  // What a run comes to is seen by its Job and its pod.
  const wait = plan.nextRunTime === undefined ? undefined : plan.nextRunTime - now;
  return wait === undefined || wait <= 0 ? done : waiting(wait, 'Scheduled');
}
