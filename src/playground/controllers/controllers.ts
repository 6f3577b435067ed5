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
  deployments,
  endpointSlices,
  jobs,
  persistentVolumeClaims,
  pods,
  services,
} from '../../kube/resources.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createClaimReconciler } from './claim.ts';
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

function createCaches(log: Logger) {
  return {
    pods: new Cache(pods, { log }),
    deployments: new Cache(deployments, { log }),
    jobs: new Cache(jobs, { log }),
    services: new Cache(services, { log }),
    endpointSlices: new Cache(endpointSlices, { log }),
    claims: new Cache(persistentVolumeClaims, { log }),
  };
}

/**
 * The controllers that the operator relies on, against any API server: Deployments, Jobs, EndpointSlices and claims; what
 * belongs to others the playground's API server collects by itself. Runs until the signal is aborted; resolves when the work in progress has ended.
 */
export async function runControllers(options: ControllersOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, random, log, metrics } = options;
  const caches = createCaches(log);
  const tools: ControllerTools = { ...options, caches };

  function follow<T extends KubeObject>(cache: Cache<T>): Promise<void> {
    const source = listWatchSource(client, cache.type);
    return reflect({ resource: cache.type.plural, source, target: cache, clock, random, log }, signal);
  }
  /** Follows the objects of a kind and reconciles them. */
  async function run<T extends KubeObject>(
    name: string,
    primary: Cache<T>,
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
    const controller = { name, primary, reconcile: again, triggers, clock, random, log, metrics };
    await Promise.all([follow(primary), runController(controller, signal)]);
  }

  await Promise.all([
    follow(caches.pods),
    follow(caches.endpointSlices),
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
}
