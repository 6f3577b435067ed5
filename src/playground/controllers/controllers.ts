import { isConflict, isNotFound } from '../../kube/api-error.ts';
import type { Random } from '../../kube/backoff.ts';
import { Cache } from '../../kube/cache.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ownersOfKind, runController, triggeredBy } from '../../kube/controller.ts';
import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { KubeMetrics } from '../../kube/metrics.ts';
import type { KubeObject, NamespacedName } from '../../kube/object.ts';
import { waiting, type Outcome } from '../../kube/outcome.ts';
import { listWatchSource, reflect } from '../../kube/reflector.ts';
import {
  configMaps,
  customResourceDefinitions,
  deployments,
  endpointSlices,
  jobs,
  persistentVolumeClaims,
  pods,
  resourceType,
  secrets,
  services,
  type ResourceType,
} from '../../kube/resources.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createClaimReconciler } from './claim.ts';
import { DependentCollector, ownerIndexes, type OwnedCache } from './dependents.ts';
import { createDeploymentReconciler } from './deployment.ts';
import { createEndpointsReconciler } from './endpoints.ts';
import { createJobReconciler } from './job.ts';

export interface ControllersOptions {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  /** For a folder of each claim. */
  readonly volumes: string;
}

export interface ControllerTools extends ControllersOptions {
  readonly caches: ReturnType<typeof createCaches>;
}

const AFTER_CONFLICT_MS = 200;

function owned<T extends KubeObject>(type: ResourceType<T>, log: Logger): Cache<T, 'uid' | 'owner'> {
  return new Cache<T, 'uid' | 'owner'>(type, { log, indexes: ownerIndexes });
}

function createCaches(log: Logger) {
  return {
    pods: owned(pods, log),
    deployments: owned(deployments, log),
    jobs: owned(jobs, log),
    services: owned(services, log),
    endpointSlices: owned(endpointSlices, log),
    claims: owned(persistentVolumeClaims, log),
    secrets: owned(secrets, log),
    configMaps: owned(configMaps, log),
    definitions: owned(customResourceDefinitions, log),
  };
}

/**
 * The controllers that the operator relies on, against any API server: Deployments, Jobs, EndpointSlices, claims and the
 * collection of dependents. Runs until the signal is aborted; resolves when the work in progress has ended.
 */
export async function runControllers(options: ControllersOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, random, log, metrics } = options;
  const caches = createCaches(log);
  const tools: ControllerTools = { ...options, caches };
  const collector = new DependentCollector(tools);

  function follow<T extends KubeObject>(
    cache: Cache<T, 'uid' | 'owner'>,
    signal: AbortSignal,
  ): Promise<void> {
    // The collector reads metadata alone, which is the same in all kinds.
    collector.add(cache as unknown as OwnedCache);
    const source = listWatchSource(client, cache.type);
    return reflect({ resource: cache.type.plural, source, target: cache, clock, random, log }, signal);
  }
  function run<T extends KubeObject>(
    name: string,
    primary: Cache<T, 'uid' | 'owner'>,
    reconcile: (key: NamespacedName) => Promise<Outcome>,
    triggers: Parameters<typeof runController>[0]['triggers'] = [],
  ): Promise<void> {
    const again = async (key: NamespacedName): Promise<Outcome> => {
      try {
        return await reconcile(key);
      } catch (error) {
        // What it looked at has changed, and the change brings it here once more; this is for when that came first.
        if (isConflict(error) || isNotFound(error)) return waiting(AFTER_CONFLICT_MS, 'Conflict');
        throw error;
      }
    };
    return runController({ name, primary, reconcile: again, triggers, clock, random, log, metrics }, signal);
  }

  const custom = followCustomKinds(
    caches.definitions,
    (type, signal) => follow(owned(type, log), signal),
    signal,
  );
  const reflectors = Object.values(caches).map((cache) =>
    // One of the caches, of whatever kind.
    follow(cache as unknown as OwnedCache, signal),
  );
  const listed = Promise.all(Object.values(caches).map((cache) => cache.synced));
  void listed.then(() => collector.start());
  await Promise.all([
    ...reflectors,
    custom,
    run('deployment', caches.deployments, createDeploymentReconciler(tools), [
      triggeredBy(caches.pods, ownersOfKind('Deployment')),
    ]),
    run('job', caches.jobs, createJobReconciler(tools), [triggeredBy(caches.pods, ownersOfKind('Job'))]),
    run('endpoints', caches.services, createEndpointsReconciler(tools), [
      triggeredBy(caches.pods, ({ metadata }) =>
        caches.services
          .list({ namespace: metadata.namespace })
          .filter(({ spec }) =>
            Object.entries(spec?.selector ?? {}).every(([key, value]) => metadata.labels?.[key] === value),
          )
          .map((service) => ({ namespace: metadata.namespace ?? '', name: service.metadata.name })),
      ),
      triggeredBy(caches.endpointSlices, ownersOfKind('Service')),
    ]),
    run('claim', caches.claims, createClaimReconciler(tools, options.volumes), [
      triggeredBy(caches.pods, ({ metadata, spec }) =>
        (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
          claim === undefined ? [] : [{ namespace: metadata.namespace ?? '', name: claim.claimName }],
        ),
      ),
    ]),
  ]);
  await collector.stop();
}

/** Watches the kinds that CustomResourceDefinitions define, while they do. */
async function followCustomKinds(
  definitions: ReturnType<typeof createCaches>['definitions'],
  follow: (type: ResourceType<KubeObject>, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  definitions.onChange(({ type, object }) => {
    const { group, names, scope, versions } = object.spec;
    const { name } = object.metadata;
    if (type === 'deleted') {
      running.get(name)?.stop.abort();
      running.delete(name);
      return;
    }
    const version = versions.find(({ served }) => served)?.name;
    const isServed = object.status?.conditions?.some(
      ({ type, status }) => type === 'Established' && status === 'True',
    );
    if (running.has(name) || version === undefined || isServed !== true) return;
    const { plural, kind } = names;
    const kindType = resourceType<KubeObject>({
      group,
      version,
      plural,
      kind,
      namespaced: scope === 'Namespaced',
    });
    const stop = new AbortController();
    running.set(name, { stop, ended: follow(kindType, AbortSignal.any([stop.signal, signal])) });
  });
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.all([...running.values()].map(({ ended }) => ended));
}
