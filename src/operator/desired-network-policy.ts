import type { Registry } from '../api/registry.ts';
import { REGISTRY_PORT, STATUS_PORT } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { NetworkPolicy } from '../kube/resources.ts';
import { childMeta, childNames, serverSelector } from './child-names.ts';
import type { Served } from './served.ts';

type Policy = NonNullable<Registry['spec']['networkPolicy']>;
type Peer = NonNullable<Policy['clients']>[number];
type Rules = NonNullable<NonNullable<NetworkPolicy['spec']>['ingress']>;

/** Who reaches the pods. The kubelet of a node always does, so probes need no rule. */
export function desiredNetworkPolicy(
  registry: Stored<Served>,
  { clients, monitoring = [] }: Policy,
  operatorNamespace: string,
): ApplyFields<NetworkPolicy> {
  return {
    metadata: childMeta(registry, childNames(registry).networkPolicy),
    spec: {
      podSelector: { matchLabels: serverSelector(registry) },
      policyTypes: ['Ingress'],
      ingress: [
        // An empty list of peers would mean everybody.
        ...(clients?.length === 0 ? [] : [{ ports: [port(REGISTRY_PORT)], ...from(clients) }]),
        {
          ports: [port(STATUS_PORT)],
          from: [
            { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': operatorNamespace } } },
            ...monitoring.map(peer),
          ],
        },
      ],
    },
  };
}

function port(number: number): NonNullable<Rules[number]['ports']>[number] {
  return { port: number, protocol: 'TCP' };
}

function from(peers: readonly Peer[] | undefined): Pick<Rules[number], 'from'> {
  return peers === undefined ? {} : { from: peers.map(peer) };
}

function peer({ namespaceLabels, podLabels, cidr }: Peer): NonNullable<Rules[number]['from']>[number] {
  if (cidr !== undefined) return { ipBlock: { cidr } };
  return {
    ...(namespaceLabels !== undefined && { namespaceSelector: { matchLabels: namespaceLabels } }),
    ...(podLabels !== undefined && { podSelector: { matchLabels: podLabels } }),
  };
}
