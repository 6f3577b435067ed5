import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { ApiError } from './api-error.ts';
import type { Random } from './backoff.ts';
import type { Cache } from './cache.ts';
import type { KubeMetrics } from './metrics.ts';
import { formatKey, keyOf, parseKey, type KubeObject, type NamespacedName, type Stored } from './object.ts';
import type { Outcome } from './outcome.ts';
import { WorkQueue } from './work-queue.ts';

/** Changes of other objects that are a reason to reconcile. Made by `triggeredBy`. */
export interface Trigger {
  readonly synced: Promise<void>;
  subscribe(enqueue: (key: NamespacedName) => void): void;
}

/** Reconciles what `keysOf` names whenever an object of the cache changes; asked before and after each change. */
export function triggeredBy<T extends KubeObject, Index extends string>(
  cache: Cache<T, Index>,
  keysOf: (object: Stored<T>) => Iterable<NamespacedName>,
): Trigger {
  return {
    synced: cache.synced,
    subscribe(enqueue) {
      cache.onChange((change) => {
        if (change.type === 'updated') for (const key of keysOf(change.previous)) enqueue(key);
        for (const key of keysOf(change.object)) enqueue(key);
      });
    },
  };
}

/** For children: the object of that kind that is their controller, in the same namespace. */
export function ownersOfKind(kind: string): (object: KubeObject) => NamespacedName[] {
  return ({ metadata: { namespace, ownerReferences = [] } }) =>
    ownerReferences
      .filter((owner) => owner.controller === true && owner.kind === kind)
      .flatMap(({ name }) => (namespace === undefined ? [] : [{ namespace, name }]));
}

export interface ControllerOptions<T extends KubeObject, Index extends string> {
  /** For metrics and logs: the kind in lower case. */
  readonly name: string;
  /** The objects that are reconciled. */
  readonly primary: Cache<T, Index>;
  readonly triggers?: readonly Trigger[];
  /**
   * Makes the world as one object wants it, or cleans up after one that is gone from the cache. Never runs twice at a
   * time for one key. A throw is retried with backoff. The signal is aborted when a shutdown can wait no longer.
   */
  readonly reconcile: (key: NamespacedName, signal: AbortSignal) => Promise<Outcome>;
  readonly workers?: number;
  readonly resyncMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
}

/** A reconcile mostly waits for the API server, and so many keep a server of a few cores busy. */
export const WORKERS = 12;
const RESYNC_MS = 600_000;
/** How long work in progress may take after a shutdown began; less than a pod's usual 30 s, to release the lease in. */
const SHUTDOWN_GRACE_MS = 20_000;

/**
 * Runs a controller until the signal is aborted: waits for all caches, reconciles every object, and again when it or
 * what it depends on changes, after the time its outcome asks for, and every 10 minutes ±10 %. Resolves when the work
 * in progress has ended.
 */
export async function runController<T extends KubeObject, Index extends string>(
  options: ControllerOptions<T, Index>,
  signal: AbortSignal,
): Promise<void> {
  const { name, primary, triggers = [], clock, random, metrics, workers = WORKERS } = options;
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const outOfTime = new AbortController();
  const queue = new WorkQueue({
    name,
    workers,
    handle: (key) => reconcileOnce(options, queue, key, outOfTime.signal),
    clock,
    random,
    metrics,
  });
  metrics.maxConcurrentReconciles.set({ controller: name }, workers);
  primary.onChange((change) => queue.add(formatKey(keyOf(change.object))));
  for (const trigger of triggers) trigger.subscribe((key) => queue.add(formatKey(key)));

  await Promise.race([aborted, Promise.all([primary.synced, ...triggers.map((trigger) => trigger.synced)])]);
  if (!signal.aborted) {
    for (const object of primary.list()) queue.add(formatKey(keyOf(object)));
    queue.start();
    await aborted;
  }
  const stopGrace = new AbortController();
  clock.sleep(SHUTDOWN_GRACE_MS, stopGrace.signal).then(
    () => outOfTime.abort(new Error('the shutdown can wait no longer')),
    () => undefined,
  );
  await queue.stop();
  stopGrace.abort();
}

async function reconcileOnce<T extends KubeObject, Index extends string>(
  options: ControllerOptions<T, Index>,
  queue: WorkQueue,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const { name, primary, clock, random, metrics, log, resyncMs = RESYNC_MS } = options;
  const labels = { controller: name };
  const { namespace = '', name: objectName } = parseKey(text);
  const key = { namespace, name: objectName };
  const startedAt = clock.monotonic();
  metrics.activeWorkers.inc(labels);
  try {
    const outcome = await options.reconcile(key, signal);
    queue.forget(text);
    metrics.reconciles.inc({ ...labels, result: resultOf(outcome) });
    // That somebody's Registry is wrong is told by its conditions and is no error of the operator.
    if (outcome.kind === 'stalled') metrics.terminalReconcileErrors.inc(labels);
    logOutcome(log, labels, text, outcome);
    const resync = resyncMs * (0.9 + 0.2 * random());
    const afterMs = outcome.kind === 'done' ? undefined : outcome.afterMs;
    if (afterMs !== undefined) queue.addAfter(text, Math.min(afterMs, resync));
    else if (primary.get(key) !== undefined) queue.addAfter(text, resync);
  } catch (error) {
    metrics.reconciles.inc({ ...labels, result: 'error' });
    metrics.reconcileErrors.inc(labels);
    const panic = isFaultOfProgram(error);
    if (panic) metrics.reconcilePanics.inc(labels);
    const retryMs = queue.retry(text, error instanceof ApiError ? error.retryAfterMs : undefined);
    log.error({ error, ...labels, key: text, panic, retryMs: Math.round(retryMs) }, 'reconcile failed');
  } finally {
    metrics.activeWorkers.dec(labels);
    metrics.reconcileSeconds.observe(labels, (clock.monotonic() - startedAt) / 1000);
  }
}

function resultOf(outcome: Outcome): 'success' | 'requeue_after' {
  return outcome.kind === 'waiting' ? 'requeue_after' : 'success';
}

function logOutcome(log: Logger, labels: object, key: string, outcome: Outcome): void {
  const { kind, ...fields } = outcome;
  log.debug({ ...labels, key, outcome: kind, ...fields }, 'reconciled');
}

/** What Go would call a panic: a bug in our own code, in distinction from a refusal by the outside world. */
function isFaultOfProgram(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError
  );
}
