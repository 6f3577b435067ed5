import type { Deployment } from '../../kube/resources.ts';

type DeploymentSpec = NonNullable<Deployment['spec']>;

/** What counts of a pod for a rollout. */
export interface RolloutPod {
  readonly name: string;
  readonly uid: string;
  /** Of the present template. */
  readonly isNew: boolean;
  readonly isTerminating: boolean;
  readonly isAvailable: boolean;
  readonly createdAt: string;
}

export interface RolloutPlan {
  /** Pods to make of the present template. */
  readonly create: number;
  readonly remove: readonly RolloutPod[];
}

/**
 * The next step of a rollout. Recreate: all old pods are gone before the first new one is made. Otherwise one pod at a
 * time: there is at most one more than `replicas`, and none that is available goes before there are enough of them,
 * whatever maxSurge and maxUnavailable would allow.
 */
export function planRollout(spec: DeploymentSpec, pods: readonly RolloutPod[]): RolloutPlan {
  const wanted = spec.replicas ?? 1;
  const present = pods.filter(({ isTerminating }) => !isTerminating);
  const fresh = present.filter(({ isNew }) => isNew).toSorted(byWorth);
  const old = present.filter(({ isNew }) => !isNew).toSorted(byWorth);
  const surplus = fresh.slice(0, Math.max(0, fresh.length - wanted));
  const missing = Math.max(0, wanted - fresh.length);
  if (spec.strategy?.type === 'Recreate') {
    // The old ones may hold what the new ones need until their last process has ended.
    if (pods.some(({ isNew }) => !isNew)) return { create: 0, remove: [...old, ...surplus] };
    return { create: missing, remove: surplus };
  }
  const create = Math.max(0, Math.min(missing, wanted + 1 - present.length));
  const spare = present.filter(({ isAvailable }) => isAvailable).length - wanted;
  const serving = old.filter(({ isAvailable }) => isAvailable).slice(0, Math.max(0, spare));
  // One that serves nobody is never missed.
  const idle = old.filter(({ isAvailable }) => !isAvailable);
  return { create, remove: [...idle, ...serving, ...surplus] };
}

/** Those that can be spared come first: not available, then young. */
function byWorth(a: RolloutPod, b: RolloutPod): number {
  return Number(a.isAvailable) - Number(b.isAvailable) || b.createdAt.localeCompare(a.createdAt);
}
