import type { Pod } from '../../kube/resources.ts';
import { sinceWhen } from '../controllers/write-status.ts';

export type PodStatus = NonNullable<Pod['status']>;
type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
export type ContainerState = NonNullable<ContainerStatus['state']>;
type Condition = NonNullable<PodStatus['conditions']>[number];

/** What the node knows of the container of a pod. */
export interface ContainerRecord {
  readonly name: string;
  readonly image: string;
  state: ContainerState;
  lastState: ContainerState;
  restartCount: number;
  ready: boolean;
  started: boolean;
  containerID?: string;
}

/** What the node knows of a pod beside its container. */
export interface PodFacts {
  readonly now: string;
  readonly hostIP: string;
  readonly podIP: string;
  readonly startTime: string;
  /** The volumes are there. */
  readonly prepared: boolean;
  /** Nothing of it will be started any more. */
  readonly ending: boolean;
}

/** The status of a pod; conditions that are another's, and times of what has not changed, as they are in `pod`. */
export function podStatus(pod: Pod, container: ContainerRecord, facts: PodFacts): PodStatus {
  const { hostIP, podIP, startTime } = facts;
  const phase = podPhase(pod, container, facts.ending);
  return {
    phase,
    conditions: conditionsOf(pod, phase, container, facts),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    podIP,
    podIPs: [{ ip: podIP }],
    startTime,
    containerStatuses: [
      // A copy: the record goes on.
      { ...container, imageID: container.containerID === undefined ? '' : container.image },
    ],
  };
}

export function isOver(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function podPhase(pod: Pod, { state, lastState }: ContainerRecord, ending: boolean): string {
  if (state.terminated === undefined) {
    return state.waiting !== undefined && lastState.terminated === undefined ? 'Pending' : 'Running';
  }
  const policy = pod.spec?.restartPolicy;
  const hasFailed = state.terminated.exitCode !== 0;
  if (!ending && (policy === 'Always' || (policy === 'OnFailure' && hasFailed))) return 'Running';
  return hasFailed ? 'Failed' : 'Succeeded';
}

function conditionsOf(
  pod: Pod,
  phase: string,
  { name, ready }: ContainerRecord,
  { now, startTime, prepared }: PodFacts,
): readonly Condition[] {
  const why = isOver(phase)
    ? { reason: `Pod${phase === 'Failed' ? 'Failed' : 'Completed'}` }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${name}]` };
  const readiness = phase === 'Running' && ready ? { status: 'True' } : { status: 'False', ...why };
  const before = pod.status?.conditions ?? [];
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: startTime };
  const own: readonly Condition[] = [
    { type: 'PodReadyToStartContainers', status: prepared && !isOver(phase) ? 'True' : 'False' },
    { type: 'Initialized', status: 'True', ...(phase === 'Succeeded' && why) },
    { type: 'Ready', ...readiness },
    { type: 'ContainersReady', ...readiness },
    before.find(({ type }) => type === 'PodScheduled') ?? scheduled,
  ];
  const others = before.filter(({ type }) => own.every((condition) => condition.type !== type));
  return [...own.map((condition) => ({ ...sinceWhen(before, condition, now) })), ...others];
}

/** Of a pod that may have run before the node did: then its process is gone, and nobody saw how. */
export function firstRecord(pod: Pod, now: string): ContainerRecord {
  const { name = '', image = '' } = pod.spec?.containers[0] ?? {};
  const known = pod.status?.containerStatuses?.find((status) => status.name === name);
  const { containerID, state = {}, lastState = {}, restartCount = 0 } = known ?? {};
  const waiting = { waiting: { reason: 'ContainerCreating' } };
  const fresh = { name, image, ready: false, started: false, state: waiting, lastState, restartCount };
  if (containerID === undefined) return fresh;
  const lost = { exitCode: 255, reason: 'Unknown', finishedAt: now, containerID };
  const { startedAt } = state.running ?? {};
  const last: ContainerState = state.running
    ? { terminated: { ...lost, ...(startedAt !== undefined && { startedAt }) } }
    : state;
  const policy = pod.spec?.restartPolicy;
  const isDone = policy === 'Never' || (policy === 'OnFailure' && last.terminated?.exitCode === 0);
  if (isDone || isOver(pod.status?.phase)) return { ...fresh, state: last, containerID };
  return { ...fresh, lastState: last.terminated ? last : lastState, restartCount: restartCount + 1 };
}
