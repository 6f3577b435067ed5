import { ApiError } from '../../kube/api-error.ts';
import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, waiting, type Outcome } from '../../kube/outcome.ts';
import { deployments, pods, type Deployment, type Pod } from '../../kube/resources.ts';
import type { ControllerTools } from './controllers.ts';
import { podFromTemplate, podsOf, randomName, templateHash } from './pods-of.ts';
import { planRollout, rollingLimits, type RolloutPod } from './plan-rollout.ts';
import { sinceWhen, timeText, writeStatus, type Condition } from './write-status.ts';

const HASH_LABEL = 'pod-template-hash';

/** A Deployment straight to its pods: there are no ReplicaSets here. */
export function createDeploymentReconciler({ client, caches, clock, random, events }: ControllerTools) {
  return async (key: NamespacedName): Promise<Outcome> => {
    const deployment = caches.deployments.get(key);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return done;
    const { spec } = deployment;
    if (spec === undefined) return done;
    const hash = templateHash(spec.template);
    const now = clock.now();
    const known = (await podsOf(client, deployment, spec.selector)).filter(isActive);
    const rollout = known.map((pod) => rolloutPod(pod, hash, spec.minReadySeconds ?? 0, now));
    const plan = spec.paused === true ? { create: 0, remove: [] } : planRollout(spec, rollout);

    let failure: string | undefined;
    for (let count = 0; count < plan.create && failure === undefined; count++) {
      const name = randomName(`${key.name}-${hash}-`, random);
      try {
        await client.create(
          pods,
          podFromTemplate(deployment, spec.template, { name, labels: { [HASH_LABEL]: hash } }),
        );
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500) throw error;
        failure = error.message;
        events.record(deployment, {
          type: 'Warning',
          reason: 'FailedCreate',
          action: 'Scaling',
          note: `Error creating: ${failure}`,
        });
      }
    }
    for (const { name, uid } of plan.remove) {
      await client.delete(pods, { ...key, name }, { uid });
    }
    if (plan.create > 0 && failure === undefined) {
      const note = `Started ${plan.create} of ${spec.replicas ?? 1} pods of the template ${hash}`;
      events.record(deployment, { type: 'Normal', reason: 'ScalingPods', action: 'Scaling', note });
    }
    // What was made or deleted wakes us again, so the status may be of before.
    const status = deploymentStatus(deployment, rollout, failure, timeText(now));
    await writeStatus(client, deployments, deployment, status);
    if (failure !== undefined) return waiting(5000, 'FailedCreate');
    const soon = rollout.flatMap(({ availableAt }) => (availableAt > now ? [availableAt - now] : []));
    const finite = soon.filter(Number.isFinite);
    return finite.length === 0 ? done : waiting(Math.min(...finite) + 1, 'MinReadySeconds');
  };
}

/** Pods that are over, evicted ones too, are no longer the Deployment's. */
function isActive({ status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

function rolloutPod(
  pod: Stored<Pod>,
  hash: string,
  minReadySeconds: number,
  now: number,
): RolloutPod & { readonly isReady: boolean; readonly availableAt: number } {
  const { metadata, status } = pod;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const isReady = ready?.status === 'True' && metadata.deletionTimestamp === undefined;
  const availableAt = isReady
    ? Date.parse(ready.lastTransitionTime ?? metadata.creationTimestamp) + minReadySeconds * 1000
    : Infinity;
  return {
    name: metadata.name,
    uid: metadata.uid,
    isNew: metadata.labels?.[HASH_LABEL] === hash,
    isTerminating: metadata.deletionTimestamp !== undefined,
    isReady,
    isAvailable: minReadySeconds === 0 ? isReady : availableAt <= now,
    availableAt: minReadySeconds === 0 ? 0 : availableAt,
    createdAt: metadata.creationTimestamp,
  };
}

function deploymentStatus(
  deployment: Stored<Deployment>,
  all: readonly (RolloutPod & { readonly isReady: boolean })[],
  failure: string | undefined,
  now: string,
) {
  const { spec, status, metadata } = deployment;
  const wanted = spec?.replicas ?? 1;
  const rollout = all.filter(({ isTerminating }) => !isTerminating);
  const count = (which: (pod: (typeof rollout)[number]) => boolean): number => rollout.filter(which).length;
  const updated = count(({ isNew }) => isNew);
  const available = count(({ isAvailable }) => isAvailable);
  const name = metadata.name;
  const isComplete = updated === wanted && available >= wanted && rollout.length === updated;
  const maxUnavailable =
    spec === undefined || spec.strategy?.type === 'Recreate' ? 0 : rollingLimits(spec).maxUnavailable;
  const isAvailable = available >= wanted - maxUnavailable;
  const progress = progressOf(deployment, isComplete, now);
  const conditions: readonly Condition[] = [
    isAvailable
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    progress,
    ...(failure === undefined
      ? []
      : [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: failure }]),
  ];
  const numbers = {
    replicas: rollout.length,
    updatedReplicas: updated,
    readyReplicas: count(({ isReady }) => isReady),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(wanted, rollout.length) - available),
  };
  return {
    observedGeneration: metadata.generation,
    // As on the wire elsewhere: what is zero is not there.
    ...Object.fromEntries(Object.entries(numbers).filter(([, number]) => number > 0)),
    conditions: conditions.map((condition) => {
      const since = sinceWhen(status?.conditions, condition, now);
      const old = status?.conditions?.find(({ type }) => type === condition.type);
      const isSame = old?.reason === condition.reason && old?.status === condition.status;
      return { ...since, lastUpdateTime: (isSame ? old?.lastUpdateTime : undefined) ?? now };
    }),
    ...(status?.collisionCount !== undefined && { collisionCount: status.collisionCount }),
  };

  function progressOf({ spec, status }: Deployment, complete: boolean, now: string): Condition {
    if (complete) {
      const message = `Deployment "${name}" has successfully progressed.`;
      return { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message };
    }
    const old = status?.conditions?.find(({ type }) => type === 'Progressing');
    const began = old?.reason === 'NewReplicaSetAvailable' ? now : (old?.lastUpdateTime ?? now);
    const limit = (spec?.progressDeadlineSeconds ?? 600) * 1000;
    return Date.parse(now) - Date.parse(began) > limit
      ? {
          type: 'Progressing',
          status: 'False',
          reason: 'ProgressDeadlineExceeded',
          message: `Deployment "${name}" has timed out progressing.`,
        }
      : {
          type: 'Progressing',
          status: 'True',
          reason: 'ReplicaSetUpdated',
          message: `Deployment "${name}" is progressing.`,
        };
  }
}
