import type { Deployment, Pod } from '../kube/resources.ts';

/** How far the pods of a Deployment are. */
export interface Rollout {
  /** A pod serves, perhaps with the previous configuration. */
  readonly available: boolean;
  /** The pods are as the Deployment wants them. */
  readonly complete: boolean;
  /** What keeps a pod from coming up, in the words of the kubelet, the scheduler or the API server. */
  readonly problem: string | undefined;
}

export function rolloutOf(deployment: Deployment, pods: readonly Pod[]): Rollout {
  const { status, spec } = deployment;
  const available = (status?.availableReplicas ?? 0) > 0;
  const wanted = spec?.replicas ?? 1;
  const complete =
    (available || wanted === 0) &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0) &&
    (status?.updatedReplicas ?? 0) >= wanted &&
    (status?.replicas ?? 0) === (status?.updatedReplicas ?? 0);
  return { available, complete, problem: creationProblem(deployment) ?? firstOf(pods, podProblem) };
}

/** A pod that a quota or an admission policy refuses is never made, and only the Deployment tells. */
function creationProblem(deployment: Deployment): string | undefined {
  const failure = deployment.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  return failure === undefined ? undefined : `No pod can be made: ${failure.message ?? failure.reason ?? ''}`;
}

/** What keeps a pod from running, or undefined: it runs, or it is on its way as usual. */
export function podProblem(pod: Pod): string | undefined {
  const { name } = pod.metadata;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return `The pod ${name} finds no node (${scheduled.reason ?? 'Unknown'}): ${scheduled.message ?? ''}`;
  }
  for (const container of pod.status?.containerStatuses ?? []) {
    const { waiting } = container.state ?? {};
    if (waiting === undefined || USUAL.has(waiting.reason ?? '')) continue;
    const last = container.lastState?.terminated?.message?.trim();
    const words = last === undefined || last === '' ? (waiting.message ?? '') : last;
    return `The pod ${name} does not start (${waiting.reason ?? 'Unknown'}): ${words}`;
  }
  return undefined;
}

const USUAL: ReadonlySet<string> = new Set(['', 'ContainerCreating', 'PodInitializing']);

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where servers can be asked for their status: the addresses of the pods that are up and stay, the newest first. */
export function serverAddresses(pods: readonly Pod[]): readonly string[] {
  return pods
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase === 'Running')
    .filter(({ status }) =>
      status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    )
    .toSorted((a, b) =>
      (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''),
    )
    .flatMap(({ status }) => status?.podIP ?? []);
}
