import {
  COMPONENT_LABEL,
  REGISTRY_GC_LABEL,
  REGISTRY_LABEL,
  REGISTRY_MIRROR_LABEL,
  USE_CREDENTIALS,
  USE_LABEL,
} from '../api/names.ts';
import { Cache } from '../kube/cache.ts';
import { formatKey, type KubeObject, type NamespacedName, type Stored } from '../kube/object.ts';
import {
  configMaps,
  deployments,
  ingresses,
  jobs,
  networkPolicies,
  nodes,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  secrets,
  services,
  type ConfigMap,
  type Job,
  type Pod,
  type Secret,
} from '../kube/resources.ts';
import type { Logger } from '../process/logger.ts';
import { MANAGED_SELECTOR } from './child-names.ts';
import { fieldAt } from './field-at.ts';
import { claimedNames } from './names-of-others.ts';
import { SHARED_AUTHORITY_LABEL } from './shared-authority.ts';
import { SHARED_BY_LABEL, sharedBy } from './desired-shares.ts';
import { registries, registryGCs, registryMirrors, type UnreadObject } from './resource-types.ts';
import type { Served } from './served.ts';

/** What the operator sees of the cluster, kept up to date by reflectors. All but the first four hold only what it made. */
export type World = ReturnType<typeof createWorld>;

/** Which objects of each cache's kind are watched. */
export const worldSelectors: Readonly<Record<keyof World, string | undefined>> = {
  registries: undefined,
  registryMirrors: undefined,
  registryGCs: undefined,
  credentials: `${USE_LABEL}=${USE_CREDENTIALS}`,
  sharedAuthorities: `${SHARED_AUTHORITY_LABEL}=true`,
  secrets: MANAGED_SELECTOR,
  configMaps: MANAGED_SELECTOR,
  services: MANAGED_SELECTOR,
  claims: MANAGED_SELECTOR,
  deployments: MANAGED_SELECTOR,
  disruptionBudgets: MANAGED_SELECTOR,
  networkPolicies: MANAGED_SELECTOR,
  ingresses: MANAGED_SELECTOR,
  pods: MANAGED_SELECTOR,
  jobs: MANAGED_SELECTOR,
  nodes: undefined,
  nodeAgents: `${COMPONENT_LABEL}=node-agent`,
};

export function createWorld(log: Logger) {
  return {
    /** By the Secrets that they name, the namespace in which they find more, and the names that they go by. */
    registries: new Cache(registries, { log, indexes: byReferences }),
    registryMirrors: new Cache(registryMirrors, { log, indexes: byReferences }),
    /** By the Registry they collect in. */
    registryGCs: new Cache(registryGCs, { log, indexes: { registry: registryOfCollection } }),
    credentials: new Cache(secrets, { log }),
    /** In the operator's namespace. */
    sharedAuthorities: new Cache(secrets, { log }),
    secrets: new Cache<Secret, 'registry' | 'mirror' | 'sharedBy'>(secrets, {
      log,
      indexes: { registry: byLabels.registry, mirror: byLabels.mirror, sharedBy: sharedByOf },
    }),
    configMaps: new Cache<ConfigMap, 'sharedBy'>(configMaps, { log, indexes: { sharedBy: sharedByOf } }),
    services: new Cache(services, { log }),
    claims: new Cache(persistentVolumeClaims, { log }),
    deployments: new Cache(deployments, { log }),
    disruptionBudgets: new Cache(podDisruptionBudgets, { log }),
    networkPolicies: new Cache(networkPolicies, { log }),
    ingresses: new Cache(ingresses, { log }),
    pods: new Cache<Pod, 'registry' | 'mirror' | 'collection'>(pods, { log, indexes: byLabels }),
    /** Empty where nothing may be written on nodes, like the next. */
    nodes: new Cache(nodes, { log }),
    /** Pods in the operator's namespace. */
    nodeAgents: new Cache(pods, { log }),
    jobs: new Cache<Job, 'registry' | 'mirror' | 'collection'>(jobs, { log, indexes: byLabels }),
  };
}

const byReferences = {
  secret: namedSecrets,
  selectorIn: namespaceOfSelector,
  sharedBy: ownShares,
  name: claimedNames,
  authority: authorityOf,
};

const byLabels = {
  registry: (object: KubeObject) => registryOf(object).map(formatKey),
  mirror: (object: KubeObject) => mirrorOf(object).map(formatKey),
  collection: (object: KubeObject) => collectionOf(object).map(formatKey),
};

/** The Registry that an object was made for, by its label. */
export function registryOf(object: KubeObject): NamespacedName[] {
  return labelled(object, REGISTRY_LABEL);
}

/** The RegistryMirror that an object was made for, by its label. */
export function mirrorOf(object: KubeObject): NamespacedName[] {
  return labelled(object, REGISTRY_MIRROR_LABEL);
}

/** What a cache has of the children of a resource. */
export function childrenIn<T extends KubeObject>(
  cache: { byIndex(index: 'registry' | 'mirror', key: string): readonly Stored<T>[] },
  { kind, metadata: { namespace, name } }: Stored<Served>,
): readonly Stored<T>[] {
  return cache.byIndex(kind === 'Registry' ? 'registry' : 'mirror', formatKey({ namespace, name }));
}

/** Where the resources of a kind with servers are seen. */
export function servedIn(world: World, kind: Served['kind']): World['registries'] {
  return kind === 'Registry' ? world.registries : world.registryMirrors;
}

/** What has certificates of the shared authority, of every kind. */
export function sharersOf({
  registries: some,
  registryMirrors: others,
}: World): readonly Stored<UnreadObject>[] {
  return [some, others].flatMap((cache) => cache.byIndex('authority', 'Shared'));
}

/** What goes by a name, as `claimedNames` has it. */
export function claimantsOf({ registries: some, registryMirrors: others }: World, name: string) {
  return [some, others].flatMap((cache) => cache.byIndex('name', name));
}

/** The RegistryGC that an object was made for, by its label. */
export function collectionOf(object: KubeObject): NamespacedName[] {
  return labelled(object, REGISTRY_GC_LABEL);
}

function labelled({ metadata: { namespace, labels } }: KubeObject, label: string): NamespacedName[] {
  const name = labels?.[label];
  return namespace === undefined || name === undefined ? [] : [{ namespace, name }];
}

/** By which a resource knows what it put into other namespaces. */
export function sharedByOf({ metadata }: KubeObject): string[] {
  const value = metadata.labels?.[SHARED_BY_LABEL];
  return value === undefined ? [] : [value];
}

function ownShares({ kind, metadata: { namespace = '', name } }: KubeObject): string[] {
  return kind === 'Registry' || kind === 'RegistryMirror' ? [sharedBy(kind, { namespace, name })] : [];
}

/** Every Secret that the spec names, wherever. Takes the object as it comes: it may not fit its schema. */
function namedSecrets(registry: UnreadObject): string[] {
  const { namespace } = registry.metadata;
  return [...secretNamesIn(registry.spec)].map((name) => formatKey({ namespace, name }));
}

function* secretNamesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, field] of Object.entries<unknown>({ ...value })) {
    const name = key === 'secretName' ? field : /secretRef$/i.test(key) ? fieldAt(field, 'name') : undefined;
    if (typeof name === 'string') yield name;
    else if (key === 'secretRefs' && Array.isArray(field)) {
      for (const ref of field) yield* secretNamesIn({ secretRef: ref });
    } else yield* secretNamesIn(field);
  }
}

/** Which of the two kinds of managed authority the spec asks for by name. */
function authorityOf(registry: UnreadObject): string[] {
  const authority = fieldAt(registry.spec, 'tls', 'authority');
  return typeof authority === 'string' ? [authority] : [];
}

/** The namespace, where the resource finds Secrets by their labels. */
function namespaceOfSelector(registry: UnreadObject): string[] {
  const { namespace } = registry.metadata;
  const selects = fieldAt(registry.spec, 'auth', 'htpasswd', 'selector') !== undefined;
  return selects && namespace !== undefined ? [namespace] : [];
}

/** The key of the Registry that a RegistryGC refers to. */
export function registryOfCollection(gc: UnreadObject): string[] {
  const name = fieldAt(gc.spec, 'registryRef', 'name');
  return typeof name === 'string' ? [formatKey({ namespace: gc.metadata.namespace, name })] : [];
}
