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

/** A number, or that percentage of `whole`. */
function portionOf(value: unknown, whole: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  const text = typeof value === 'string' ? value : '25%';
  return text.endsWith('%') ? round((whole * Number(text.slice(0, -1))) / 100) : Number(text);
}

/**
 * The next step of a rollout. Recreate: all old pods are gone before the first new one is made. Otherwise there are
 * never more than `replicas` + maxSurge, and of those that are available never fewer than `replicas` - maxUnavailable.
 */
export function planRollout(spec: DeploymentSpec, pods: readonly RolloutPod[]): RolloutPlan {
  const wanted = spec.replicas ?? 1;
  const present = pods.filter(({ isTerminating }) => !isTerminating);
  const fresh = present.filter(({ isNew }) => isNew).toSorted(byWorth);
  const old = present.filter(({ isNew }) => !isNew).toSorted(byWorth);
  if (spec.strategy?.type === 'Recreate') {
    // The old ones may hold what the new ones need until their last process has ended.
    if (pods.some(({ isNew }) => !isNew)) return { create: 0, remove: [...old, ...surplus(fresh, wanted)] };
    return { create: Math.max(0, wanted - fresh.length), remove: surplus(fresh, wanted) };
  }
  const { maxSurge, maxUnavailable } = rollingLimits(spec);
  const create = Math.max(0, Math.min(wanted - fresh.length, wanted + maxSurge - present.length));
  const available = present.filter(({ isAvailable }) => isAvailable).length;
  let mayLose = Math.max(0, available - (wanted - maxUnavailable));
  const remove = old.filter(({ isAvailable }) => {
    // One that serves nobody is never missed.
    if (!isAvailable) return true;
    mayLose -= 1;
    return mayLose >= 0;
  });
  return { create, remove: [...remove, ...surplus(fresh, wanted)] };
}

/** As Kubernetes rounds them; both zero would never move. */
export function rollingLimits({ replicas = 1, strategy }: DeploymentSpec): {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
} {
  const maxSurge = portionOf(strategy?.rollingUpdate?.maxSurge, replicas, Math.ceil);
  const maxUnavailable = portionOf(strategy?.rollingUpdate?.maxUnavailable, replicas, Math.floor);
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

function surplus(pods: readonly RolloutPod[], wanted: number): readonly RolloutPod[] {
  return pods.slice(0, Math.max(0, pods.length - wanted));
}

/** Those that can be spared come first: not available, then young. */
function byWorth(a: RolloutPod, b: RolloutPod): number {
  return Number(a.isAvailable) - Number(b.isAvailable) || b.createdAt.localeCompare(a.createdAt);
}
