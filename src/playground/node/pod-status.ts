import type { Pod } from '../../kube/resources.ts';
import { sinceWhen } from '../controllers/write-status.ts';

export type PodStatus = NonNullable<Pod['status']>;
type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
export type ContainerState = NonNullable<ContainerStatus['state']>;
type Condition = NonNullable<PodStatus['conditions']>[number];

/** What the node knows of one container. */
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

/** What the node knows of a pod beside its containers. */
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
export function podStatus(pod: Pod, containers: readonly ContainerRecord[], facts: PodFacts): PodStatus {
  const { hostIP, podIP, startTime } = facts;
  const phase = podPhase(pod, containers, facts.ending);
  return {
    phase,
    conditions: conditionsOf(pod, phase, containers, facts),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    podIP,
    podIPs: [{ ip: podIP }],
    startTime,
    containerStatuses: containers.map((container) => ({
      name: container.name,
      image: container.image,
      imageID: container.containerID === undefined ? '' : container.image,
      ...(container.containerID !== undefined && { containerID: container.containerID }),
      state: container.state,
      lastState: container.lastState,
      restartCount: container.restartCount,
      ready: container.ready,
      started: container.started,
    })),
  };
}

export function isOver(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function podPhase(pod: Pod, containers: readonly ContainerRecord[], ending: boolean): string {
  const ended = containers.flatMap(({ state }) => state.terminated ?? []);
  if (ended.length < containers.length) {
    const isWaiting = containers.some(
      ({ state, lastState }) => state.waiting !== undefined && lastState.terminated === undefined,
    );
    return isWaiting ? 'Pending' : 'Running';
  }
  const policy = pod.spec?.restartPolicy;
  const hasFailed = ended.some(({ exitCode }) => exitCode !== 0);
  if (!ending && (policy === 'Always' || (policy === 'OnFailure' && hasFailed))) return 'Running';
  return hasFailed ? 'Failed' : 'Succeeded';
}

function conditionsOf(
  pod: Pod,
  phase: string,
  containers: readonly ContainerRecord[],
  facts: PodFacts,
): readonly Condition[] {
  const unready = containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const message = `containers with unready status: [${unready.join(' ')}]`;
  const why = isOver(phase)
    ? { reason: `Pod${phase === 'Failed' ? 'Failed' : 'Completed'}` }
    : { reason: 'ContainersNotReady', message };
  const isReady = phase === 'Running' && unready.length === 0;
  const own: readonly Omit<Condition, 'lastTransitionTime'>[] = [
    { type: 'PodReadyToStartContainers', status: facts.prepared && !isOver(phase) ? 'True' : 'False' },
    { type: 'Initialized', status: 'True', ...(phase === 'Succeeded' && why) },
    { type: 'Ready', status: isReady ? 'True' : 'False', ...(!isReady && why) },
    { type: 'ContainersReady', status: isReady ? 'True' : 'False', ...(!isReady && why) },
  ];
  const before = pod.status?.conditions ?? [];
  const others = before.filter(({ type }) => own.every((condition) => condition.type !== type));
  const scheduled: readonly Condition[] = others.some(({ type }) => type === 'PodScheduled')
    ? []
    : [{ type: 'PodScheduled', status: 'True', lastTransitionTime: facts.startTime }];
  return [...own.map((condition) => sinceWhen(before, condition, facts.now)), ...scheduled, ...others];
}
