import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, waiting, type Outcome } from '../../kube/outcome.ts';
import { pods, type Node, type Pod } from '../../kube/resources.ts';
import type { ControllerTools } from './controllers.ts';
import { sinceWhen, timeText } from './write-status.ts';

const UNSCHEDULABLE_RETRY_MS = 5_000;

/**
 * Gives each pod to a node that is ready and has the labels of its nodeSelector. Affinity between pods always holds:
 * where there is one node there is no other choice.
 */
export function createScheduler({ client, caches, clock, events }: ControllerTools) {
  return async (key: NamespacedName): Promise<Outcome> => {
    const pod = caches.pods.get(key);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return done;
    if (pod.spec === undefined || pod.spec.nodeName !== undefined) return done;
    const nodes = caches.nodes.list();
    const node = nodes.find((candidate) => fits(pod, candidate));
    if (node === undefined) {
      const message = `0/${nodes.length} nodes are available: no node is ready, schedulable and has the labels that the pod selects.`;
      await tell(pod, message);
      return waiting(UNSCHEDULABLE_RETRY_MS, 'Unschedulable');
    }
    await client.bindPod(key, node.metadata.name);
    const note = `Successfully assigned ${key.namespace}/${key.name} to ${node.metadata.name}`;
    events.record(pod, { type: 'Normal', reason: 'Scheduled', action: 'Binding', note });
    return done;
  };

  async function tell(pod: Stored<Pod>, message: string): Promise<void> {
    const before = pod.status?.conditions ?? [];
    const old = before.find(({ type }) => type === 'PodScheduled');
    if (old?.status === 'False' && old.message === message) return;
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    const conditions = [
      ...before.filter(({ type }) => type !== 'PodScheduled'),
      sinceWhen(before, condition, timeText(clock.now())),
    ];
    const { namespace = '', name, uid } = pod.metadata;
    await client.patch(
      pods,
      { namespace, name },
      { metadata: { uid }, status: { conditions } },
      { subresource: 'status' },
    );
    events.record(pod, { type: 'Warning', reason: 'FailedScheduling', action: 'Scheduling', note: message });
  }
}

function fits({ spec }: Pod, { metadata, spec: nodeSpec, status }: Node): boolean {
  const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  const wanted = Object.entries(spec?.nodeSelector ?? {});
  return (
    isReady === true &&
    nodeSpec?.unschedulable !== true &&
    wanted.every(([label, value]) => metadata.labels?.[label] === value)
  );
}
