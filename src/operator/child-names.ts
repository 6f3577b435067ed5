import {
  API_VERSION,
  COMPONENT_LABEL,
  INSTANCE_LABEL,
  MANAGED_BY_LABEL,
  NAME_LABEL,
  PART_OF_LABEL,
  PROGRAM,
  REGISTRY_GC_LABEL,
  REGISTRY_LABEL,
  REGISTRY_MIRROR_LABEL,
} from '../api/names.ts';
import type { RegistryGC } from '../api/registry-gc.ts';
import type { KubeObject, ObjectMeta, OwnerReference, Stored } from '../kube/object.ts';
import type { Served } from './served.ts';

/**
 * Names and labels of everything the operator makes, in one place:
 *
 *     Registry NAME
 *     ├── Secret      NAME-ca        the authority's key and certificate; never mounted into a pod
 *     ├── Secret      NAME-ca-2 …    the authority that takes over from it
 *     ├── ConfigMap   NAME-ca        ca.crt, for clients
 *     ├── Secret      NAME-tls       the server's key and certificate
 *     ├── Secret      NAME-htpasswd  users and bcrypt hashes
 *     ├── Secret      NAME-user-USER a generated password
 *     ├── Secret      NAME-token     keys that sign tokens
 *     ├── ConfigMap   NAME-client-ca authorities of client certificates
 *     ├── ConfigMap   NAME-access    who may do what
 *     ├── ConfigMap   NAME-config    config.yml of the server
 *     ├── Secret      NAME-credentials  what of it is secret, as variables of the environment
 *     ├── Service     NAME-status    for monitoring
 *     ├── PersistentVolumeClaim, Deployment, Service, PodDisruptionBudget, NetworkPolicy, Ingress, HTTPRoute or
 *     │   TLSRoute, ServiceMonitor and PrometheusRule NAME
 *     RegistryMirror NAME: as a Registry, with NAME-mirror for NAME, and
 *     ├── Secret      NAME-mirror-upstream-HASH  credentials and authorities of one upstream
 *     ├── ConfigMap   NAME-mirror-clients        configurations of clients
 *     the operator
 *     ├── Secret      stevedore-shared-ca, stevedore-shared-ca-2 …  the authority that Registries share, in its namespace
 *     RegistryGC NAME
 *     ├── ConfigMap   NAME-retention  rules of retention
 *     └── Job         NAME-SECONDS or NAME-HASH, one a run
 */
export function childNames({ kind, metadata }: Named) {
  // Not those of a Registry of the same name.
  const name = kind === 'RegistryMirror' ? `${metadata.name}-mirror` : metadata.name;
  return {
    authority: `${name}-ca`,
    trustBundle: `${name}-ca`,
    certificate: `${name}-tls`,
    /** Where cert-manager writes the certificate; that is not what the pod mounts: it is checked in between. */
    issued: `${name}-issued`,
    users: `${name}-htpasswd`,
    password: (user: string) => `${name}-user-${user}`,
    tokenKeys: `${name}-token`,
    access: `${name}-access`,
    clientAuthorities: `${name}-client-ca`,
    config: `${name}-config`,
    /** Of an upstream of a mirror, by what stands for its host. */
    upstream: (host: string) => `${name}-upstream-${host}`,
    clients: `${name}-clients`,
    credentials: `${name}-credentials`,
    statusService: `${name}-status`,
    claim: name,
    deployment: name,
    service: name,
    disruptionBudget: name,
    networkPolicy: name,
    ingress: name,
    route: name,
    serviceMonitor: name,
    prometheusRule: name,
    certManagerCertificate: name,
  };
}

/** What tells whose an object is, with its namespace. */
export interface Named {
  readonly kind: Served['kind'];
  readonly metadata: { readonly name: string };
}

/** The names of those Secrets that are authorities of a Registry, by age. */
export function authoritiesAmong(registry: Named, secrets: readonly KubeObject[]): readonly string[] {
  return secrets
    .map(({ metadata }) => metadata.name)
    .filter((name) => authorityNumber(registry, name) !== undefined)
    .toSorted((a, b) => (authorityNumber(registry, a) ?? 0) - (authorityNumber(registry, b) ?? 0));
}

/** The place of an authority in the line of a Registry's, from 1; undefined: the Secret is none of it. */
function authorityNumber(registry: Named, secret: string): number | undefined {
  const first = childNames(registry).authority;
  if (secret === first) return 1;
  const number = secret.startsWith(`${first}-`) ? secret.slice(first.length + 1) : '';
  return /^([2-9]|[1-9]\d{1,5})$/.test(number) ? Number(number) : undefined;
}

/** The name of the authority that takes over from that one, or of the first. */
export function nextAuthorityName(registry: Named, before?: string): string {
  if (before === undefined) return childNames(registry).authority;
  return `${childNames(registry).authority}-${(authorityNumber(registry, before) ?? 0) + 1}`;
}

type Component = 'registry' | 'mirror' | 'garbage-collection';

/** Selects what the operator made, for its caches. */
export const MANAGED_SELECTOR = `${MANAGED_BY_LABEL}=${PROGRAM}`;

/** What a selector of the servers' pods matches. It can't change in a Deployment that exists. */
export function serverSelector({ kind, metadata }: Named): Readonly<Record<string, string>> {
  return selector(metadata.name, COMPONENTS[kind]);
}

const COMPONENTS = { Registry: 'registry', RegistryMirror: 'mirror' } as const satisfies Record<
  Served['kind'],
  Component
>;

function selector(instance: string, component: Component): Readonly<Record<string, string>> {
  return { [NAME_LABEL]: PROGRAM, [INSTANCE_LABEL]: instance, [COMPONENT_LABEL]: component };
}

/** Labels of each child of a Registry, its pods included. */
export function childLabels(registry: Named): Readonly<Record<string, string>> {
  return {
    ...serverSelector(registry),
    [PART_OF_LABEL]: PROGRAM,
    [MANAGED_BY_LABEL]: PROGRAM,
    ...ownerLabel(registry),
  };
}

/** By which a child says whose it is, also where it carries no owner reference. */
export function ownerLabel({ kind, metadata }: Named): Readonly<Record<string, string>> {
  return { [kind === 'Registry' ? REGISTRY_LABEL : REGISTRY_MIRROR_LABEL]: metadata.name };
}

/** Selects what carries `ownerLabel`. */
export function ownerSelector(registry: Named): string {
  return selectorText(ownerLabel(registry));
}

/** A selector of labels as it stands in a query. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
}

/** Whether a pod is one of the resource's own servers, and not a collector's. */
export function isServer({ metadata }: { readonly metadata: ObjectMeta }): boolean {
  const component = metadata.labels?.[COMPONENT_LABEL];
  return Object.values<string | undefined>(COMPONENTS).includes(component);
}

/** Labels of a run's Job and its pod. The Service of the registry must not select them. */
export function collectionLabels(gc: RegistryGC): Readonly<Record<string, string>> {
  return {
    ...selector(gc.metadata.name, 'garbage-collection'),
    [PART_OF_LABEL]: PROGRAM,
    [MANAGED_BY_LABEL]: PROGRAM,
    [REGISTRY_LABEL]: gc.spec.registryRef.name,
    [REGISTRY_GC_LABEL]: gc.metadata.name,
  };
}

/** The ConfigMap with the rules of retention of a RegistryGC. */
export function retentionName({ metadata }: { readonly metadata: ObjectMeta }): string {
  return `${metadata.name}-retention`;
}

/** Whether Kubernetes deletes a child with its Registry. What is retained carries no owner reference. */
export type Ownership = 'owned' | 'retained';

/** What becomes of the volume and the authority when the Registry is deleted. */
export function contentOwnership(registry: Served): Ownership {
  return registry.spec.storage.filesystem?.deletionPolicy === 'Delete' ? 'owned' : 'retained';
}

export function childMeta(
  registry: Stored<Served>,
  name: string,
  ownership: Ownership = 'owned',
): ObjectMeta {
  return {
    name,
    namespace: registry.metadata.namespace,
    labels: childLabels(registry),
    ...(ownership === 'owned' && { ownerReferences: [ownerReference(registry)] }),
  };
}

/** Makes `owner` the controller of an object, so that Kubernetes deletes the object after it. */
export function ownerReference({
  kind,
  metadata: { name, uid },
}: Stored<Served | RegistryGC>): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind,
    name,
    uid,
    controller: true,
  };
}
