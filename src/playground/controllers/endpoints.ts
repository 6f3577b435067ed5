import { ApiError } from '../../kube/api-error.ts';
import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, stalled, type Outcome } from '../../kube/outcome.ts';
import { endpointSlices, pods, type Pod, type Service } from '../../kube/resources.ts';
import { isDeepStrictEqual } from 'node:util';
import { isReady, targetPort } from '../node/service-relay.ts';
import type { ControllerTools } from './controllers.ts';
import { controllerReference } from './pods-of.ts';

/** Keeps one EndpointSlice for each Service that selects pods. */
export function createEndpointsReconciler({ client, caches }: ControllerTools) {
  return async (key: NamespacedName): Promise<Outcome> => {
    const service = caches.services.get(key);
    const selector = service?.spec?.selector;
    // The slice of a Service that is gone goes with its owner.
    if (service === undefined || selector === undefined || Object.keys(selector).length === 0) return done;
    const selected = caches.pods.list({ namespace: key.namespace, labels: selector });
    const wanted = desiredSlice(service, selected);
    const there = caches.endpointSlices.get({ namespace: key.namespace, name: wanted.metadata.name });
    if (
      isDeepStrictEqual(there?.endpoints ?? [], wanted.endpoints) &&
      isDeepStrictEqual(there?.ports, wanted.ports)
    ) {
      return done;
    }
    try {
      await client.apply(endpointSlices, wanted);
    } catch (error) {
      // Another API server refuses loopback addresses here; the relay does not need the slices.
      if (error instanceof ApiError && error.status === 422) return stalled('Refused', error.message);
      throw error;
    }
    return done;
  };
}

function desiredSlice(service: Stored<Service>, selected: readonly Stored<Pod>[]) {
  const { name, namespace, labels } = service.metadata;
  const up = selected
    .filter(
      ({ status }) =>
        status?.podIP !== undefined && status.phase !== 'Succeeded' && status.phase !== 'Failed',
    )
    .toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const [first] = up;
  return {
    metadata: {
      name: `${name}-endpoints`,
      ...(namespace !== undefined && { namespace }),
      labels: {
        ...labels,
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: [controllerReference(service)],
    },
    addressType: 'IPv4',
    // Pods that differ in what a port's name means would need slices of their own; here the first says it.
    ports: (service.spec?.ports ?? []).flatMap((port) => {
      const number = first === undefined ? undefined : targetPort(first, port);
      if (number === undefined) return [];
      return [{ name: port.name ?? '', port: number, protocol: port.protocol ?? 'TCP' }];
    }),
    endpoints: up.map((pod) => endpointOf(pod, service)),
  };
}

function endpointOf(pod: Stored<Pod>, service: Service) {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata;
  const serving =
    pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  return {
    addresses: [pod.status?.podIP ?? ''],
    conditions: {
      ready: isReady(pod) || service.spec?.publishNotReadyAddresses === true,
      serving,
      terminating: deletionTimestamp !== undefined,
    },
    nodeName: pod.spec?.nodeName ?? '',
    targetRef: { kind: pods.kind, name, namespace: namespace ?? '', uid },
  };
}
