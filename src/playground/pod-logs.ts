import type { PodLogs } from './api-server/http/resources.ts';
import type { JsonObject } from './api-server/kind.ts';
import { items, object, text } from './api-server/kinds/read.ts';
import type { PlaygroundNode } from './node/node.ts';

/** Answers `kubectl logs` from what the node has; refuses in the words of Kubernetes. */
export function podLogsOf(node: () => PlaygroundNode | undefined): PodLogs {
  return async ({ pod, query, signal }) => {
    const name = text(pod, 'metadata', 'name');
    const previous = query.get('previous') === 'true';
    const container = containerOf(pod, query.get('container') ?? '');
    const status = items(pod, 'status', 'containerStatuses').find(
      (known) => text(known, 'name') === container,
    );
    const hasStarted = text(status, 'containerID') !== '';
    if (!hasStarted) {
      const reason = text(status, 'state', 'waiting', 'reason') || 'ContainerCreating';
      throw new Error(`container "${container}" in pod "${name}" is waiting to start: ${reason}`);
    }
    if (previous && object(status, 'lastState')['terminated'] === undefined) {
      throw new Error(`previous terminated container "${container}" in pod "${name}" not found`);
    }
    const unknown = ['sinceSeconds', 'sinceTime', 'limitBytes', 'timestamps'].find((option) =>
      query.has(option),
    );
    if (unknown !== undefined) throw new Error(`this node does not know ${unknown}`);
    const options = {
      follow: query.get('follow') === 'true',
      tailLines: numberOf(query, 'tailLines'),
    };
    const uid = text(pod, 'metadata', 'uid');
    const found = node()?.log({ uid, previous }, options, signal);
    if (found === undefined) throw new Error(`the node does not know the pod "${name}"`);
    return found;
  };
}

function containerOf(pod: JsonObject, wanted: string): string {
  const name = text(pod, 'metadata', 'name');
  const names = items(pod, 'spec', 'containers').map((container) => text(container, 'name'));
  const [first = '', second] = names;
  if (wanted === '') {
    if (second === undefined) return first;
    throw new Error(
      `a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`,
    );
  }
  if (names.includes(wanted)) return wanted;
  throw new Error(`container ${wanted} is not valid for pod ${name}`);
}

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  return value === null || !/^\d+$/.test(value) ? undefined : Number(value);
}
