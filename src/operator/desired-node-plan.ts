import { InvalidObjectError } from '../api/parse.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { Registry } from '../api/registry.ts';
import {
  isCertificateBundle,
  NODE_RUNTIMES,
  parseNodePlanId,
  parseOriginUrl,
  parseRegistryHost,
  type NodePlan,
  type NodePlanEntry,
  type NodeRuntime,
} from '../contract/node-plan.ts';
import type { Stored } from '../kube/object.ts';
import { childNames } from './child-names.ts';
import { mirrorEndpoint, serviceEndpoint } from './desired-clients.ts';
import { ownUrlOf } from './desired-upstream.ts';
import { passwordSecretName } from './desired-users.ts';
import { passwordIn, passwordUnder, type Password } from './password.ts';
import { readRegistry, readRegistryMirror, type UnreadObject } from './resource-types.ts';
import type { Served } from './served.ts';
import type { World } from './world.ts';

/** What is to be on nodes, made from what the caches hold: whoever makes it makes the same. */

/** What a resource asks of nodes; undefined: nothing. */
export function nodesWanted(registry: Served):
  | {
      readonly selector: Readonly<Record<string, string>> | undefined;
      readonly runtimes: readonly NodeRuntime[];
    }
  | undefined {
  if (registry.kind === 'Registry') {
    const { nodeTrust } = registry.spec;
    return nodeTrust?.enabled === true
      ? { selector: nodeTrust.selector, runtimes: NODE_RUNTIMES }
      : undefined;
  }
  const { nodes } = registry.spec;
  return nodes?.enabled === true ? { selector: nodes.selector, runtimes: nodes.runtimes } : undefined;
}

/** Why a resource may have nothing written on nodes, for people; undefined when it may. */
export function nodesObstacle(
  { kind, metadata: { namespace } }: Stored<Served>,
  nodeAccessNamespaces: readonly string[],
): string | undefined {
  if (nodeAccessNamespaces.includes(namespace)) return undefined;
  const field = kind === 'Registry' ? 'nodeTrust' : 'nodes';
  return `Nothing of the namespace ${namespace} may be written on nodes. Remove spec.${field}, or ask who installed Stevedore to add the namespace to the value nodeAccess.namespaces.`;
}

/** The plan for all nodes. Of two resources that want the same host the older has it. */
export function nodePlanOf(world: World, nodeAccessNamespaces: readonly string[]): NodePlan {
  const all = [
    ...world.registries.list().map((object) => readOrSkip(object, readRegistry)),
    ...world.registryMirrors.list().map((object) => readOrSkip(object, readRegistryMirror)),
  ];
  const entries = all
    .filter((registry) => registry !== undefined)
    .filter((registry) => nodesObstacle(registry, nodeAccessNamespaces) === undefined)
    .toSorted((a, b) => order(a).localeCompare(order(b)))
    .flatMap((registry) => nodePlanEntry(world, registry) ?? []);
  return { entries };
}

function order({ metadata: { creationTimestamp, uid } }: Stored<Served>): string {
  return `${creationTimestamp} ${uid}`;
}

/** One that is being deleted wants nothing any more, and one that can't be read says nothing. */
function readOrSkip<R>(
  object: Stored<UnreadObject>,
  read: (object: Stored<UnreadObject>) => R,
): R | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return undefined;
  try {
    return read(object);
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    return undefined;
  }
}

/** What one resource wants. Undefined: nothing, or what it takes is not there yet. */
export function nodePlanEntry(world: World, registry: Stored<Served>): NodePlanEntry | undefined {
  const wanted = nodesWanted(registry);
  const id = parseNodePlanId(registry.metadata.uid);
  if (wanted === undefined || id === undefined) return undefined;
  const authority = authorityOf(world, registry);
  const part =
    registry.kind === 'Registry' ? trustPart(registry, authority) : mirrorPart(world, registry, authority);
  if (part === undefined) return undefined;
  const { namespace, name } = registry.metadata;
  return {
    id,
    kind: registry.kind,
    namespace,
    name,
    nodes: wanted.selector === undefined ? 'all' : nodesOf(world, wanted.selector),
    runtimes: wanted.runtimes,
    ...part,
  };
}

/** The names of the nodes with all of the labels; without labels, of all. */
export function nodesOf(world: World, labels: Readonly<Record<string, string>> = {}): readonly string[] {
  return world.nodes
    .list()
    .filter(({ metadata }) =>
      Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value),
    )
    .map(({ metadata }) => metadata.name)
    .toSorted();
}

/** What clients are to trust. One thing that is no certificate would make agents refuse the whole plan. */
function authorityOf(world: World, registry: Stored<Served>): string | undefined {
  const key = { namespace: registry.metadata.namespace, name: childNames(registry).trustBundle };
  const bundle = world.configMaps.get(key)?.data?.['ca.crt'];
  return bundle !== undefined && isCertificateBundle(bundle) ? bundle : undefined;
}

type Part = Pick<NodePlanEntry, 'hosts' | 'ca' | 'trust'>;

function trustPart({ spec: { hostname } }: Registry, ca: string | undefined): Part | undefined {
  const host = parseRegistryHost(hostname ?? '');
  return host === undefined || ca === undefined ? undefined : { hosts: [], trust: [{ host, ca }] };
}

function mirrorPart(world: World, mirror: Stored<RegistryMirror>, ca: string | undefined): Part | undefined {
  const { upstreams, nodes, tls } = mirror.spec;
  const { namespace } = mirror.metadata;
  const service = world.services.get({ namespace, name: childNames(mirror).service });
  // A certificate from elsewhere need not be good for the address of the Service, which nodes know without any DNS.
  const place = tls.mode === 'Secret' ? mirrorEndpoint(mirror, service) : serviceEndpoint(mirror, service);
  const endpoint = parseOriginUrl(place ?? '');
  const header = headerFor(world, mirror);
  // Of a certificate from elsewhere there need be nothing to verify it with.
  const lacksAuthority = tls.mode === 'Managed' && ca === undefined;
  if (endpoint === undefined || header === undefined || lacksAuthority) return undefined;
  const mirrored = upstreams.filter(({ host }) => nodes?.registries?.includes(host) ?? true);
  const hosts = mirrored.flatMap((upstream) => {
    const host = parseRegistryHost(upstream.host);
    if (host === undefined) return [];
    const server = parseOriginUrl(ownUrlOf(upstream) ?? '');
    return [
      {
        host,
        ...(server !== undefined && { server }),
        endpoint,
        capabilities: ['pull', 'resolve'] as const,
        ...header,
      },
    ];
  });
  return { hosts, trust: [], ...(ca !== undefined && { ca }) };
}

/** As whom nodes pull: without that they would be asked, and answer with what pods have for the registry itself. Undefined: not known yet. */
function headerFor(
  world: World,
  mirror: Stored<RegistryMirror>,
): { readonly header?: Readonly<Record<string, string>> } | undefined {
  const user = mirror.spec.nodes?.user;
  if (user === undefined) return {};
  const found = passwordOf(world, mirror, user);
  if (found === undefined || 'problem' in found) return undefined;
  const credentials = Buffer.concat([Buffer.from(`${user}:`), found.password]).toString('base64');
  return { header: { authorization: `Basic ${credentials}` } };
}

function passwordOf(world: World, mirror: Stored<RegistryMirror>, name: string): Password | undefined {
  const user = mirror.spec.auth?.htpasswd?.users.find((one) => one.name === name);
  const { namespace } = mirror.metadata;
  if (user?.passwordSecretRef !== undefined) {
    const { name: secretName, key } = user.passwordSecretRef;
    return passwordIn({ name, secretName, key }, world.credentials.get({ namespace, name: secretName }));
  }
  const secretName = passwordSecretName(mirror, name);
  const secret = world.secrets.get({ namespace, name: secretName });
  return secret && passwordUnder({ name, secretName, key: 'password' }, secret);
}
