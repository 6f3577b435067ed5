import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, type Outcome } from '../../kube/outcome.ts';
import { deployments, pods, type Deployment, type Pod } from '../../kube/resources.ts';
import type { ControllerTools } from './controllers.ts';
import { podFromTemplate, podsOf, randomName, templateHash } from './pods-of.ts';
import { planRollout, type RolloutPod } from './plan-rollout.ts';
import { rfc3339 } from '../api-server/kinds/read.ts';
import { sinceWhen, writeStatus, type Condition } from './write-status.ts';

const HASH_LABEL = 'pod-template-hash';

/** A Deployment straight to its pods: there are no ReplicaSets here. */
export function createDeploymentReconciler({ client, caches, clock, random, events }: ControllerTools) {
  return async (key: NamespacedName): Promise<Outcome> => {
    const deployment = caches.deployments.get(key);
    if (deployment?.spec === undefined || deployment.metadata.deletionTimestamp !== undefined) return done;
    const { template, selector } = deployment.spec;
    const hash = templateHash(template);
    const present = (await podsOf(client, deployment, selector)).filter(isActive);
    const rollout = present.map((pod) => rolloutPod(pod, hash));
    const plan = planRollout(deployment.spec, rollout);
    for (let count = 0; count < plan.create; count++) {
      const name = randomName(`${key.name}-${hash}-`, random);
      const labels = { [HASH_LABEL]: hash };
      await client.create(pods, podFromTemplate(deployment, template, { name, labels }));
      const note = `Created the pod ${name} of the template ${hash}`;
      events.record(deployment, { type: 'Normal', reason: 'ScalingPods', action: 'Scaling', note });
    }
    for (const { name, uid } of plan.remove) await client.delete(pods, { ...key, name }, { uid });
    // What was made or deleted wakes us again, so the status may be of before.
    await writeStatus(client, deployments, deployment, deploymentStatus(deployment, rollout, clock.now()));
    return done;
  };
}

/** Pods that are over, evicted ones too, are no longer the Deployment's. */
function isActive({ status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

function rolloutPod({ metadata, status }: Stored<Pod>, hash: string): RolloutPod {
  const isTerminating = metadata.deletionTimestamp !== undefined;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return {
    name: metadata.name,
    uid: metadata.uid,
    isNew: metadata.labels?.[HASH_LABEL] === hash,
    isTerminating,
    isAvailable: ready?.status === 'True' && !isTerminating,
    createdAt: metadata.creationTimestamp,
  };
}

function deploymentStatus(
  { spec, status, metadata }: Stored<Deployment>,
  all: readonly RolloutPod[],
  time: number,
) {
  const now = rfc3339(time);
  const wanted = spec?.replicas ?? 1;
  const rollout = all.filter(({ isTerminating }) => !isTerminating);
  const updated = rollout.filter(({ isNew }) => isNew).length;
  const available = rollout.filter(({ isAvailable }) => isAvailable).length;
  const isComplete = updated === wanted && available >= wanted && rollout.length === updated;
  const numbers = {
    replicas: rollout.length,
    updatedReplicas: updated,
    readyReplicas: available,
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(wanted, rollout.length) - available),
  };
  const isAvailable = available >= wanted;
  const conditions: readonly Condition[] = [
    {
      type: 'Available',
      status: isAvailable ? 'True' : 'False',
      reason: `MinimumReplicas${isAvailable ? 'Available' : 'Unavailable'}`,
      message: `Deployment ${isAvailable ? 'has' : 'does not have'} minimum availability.`,
    },
    {
      type: 'Progressing',
      status: 'True',
      reason: isComplete ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
      message: `Deployment "${metadata.name}" ${isComplete ? 'has successfully progressed' : 'is progressing'}.`,
    },
  ];
  return {
    observedGeneration: metadata.generation,
    // As on the wire elsewhere: what is zero is not there.
    ...Object.fromEntries(Object.entries(numbers).filter(([, number]) => number > 0)),
    conditions: conditions.map((condition) => sinceWhen(status?.conditions, condition, now)),
  };
}
