import type {
  V1ConfigMap,
  V1CustomResourceDefinition,
  V1Deployment,
  V1EndpointSlice,
  V1Ingress,
  V1Job,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1Secret,
  V1Service,
  V1ServiceAccount,
} from '@kubernetes/client-node';
import type { KubeObject, Wire } from './object.ts';

declare const objectType: unique symbol;

/** One kind of object and where the API server keeps it. `T` is what it holds, so that calls infer it. */
export interface ResourceType<T extends KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never there at run time; ties the type to the value. */
  readonly [objectType]?: T;
}

/** Ties the place of a kind to its type: `resourceType<Registry>({ group: 'stevedore.dev', … })`. */
export function resourceType<T extends KubeObject>(place: {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}): ResourceType<T> {
  return place;
}

/** `v1` for the core group, else `group/version`. */
export function apiVersionOf(type: { readonly group: string; readonly version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

type Model<T> = Omit<Wire<T>, 'apiVersion' | 'kind' | 'metadata'> & KubeObject;

export type Secret = Model<V1Secret>;
export type ConfigMap = Model<V1ConfigMap>;
export type Service = Model<V1Service>;
export type PersistentVolumeClaim = Model<V1PersistentVolumeClaim>;
export type Deployment = Model<V1Deployment>;
export type Pod = Model<V1Pod>;
export type Job = Model<V1Job>;
export type Namespace = Model<V1Namespace>;
export type Node = Model<V1Node>;
export type ServiceAccount = Model<V1ServiceAccount>;
export type EndpointSlice = Model<V1EndpointSlice>;
export type CustomResourceDefinition = Model<V1CustomResourceDefinition>;
export type PodDisruptionBudget = Model<V1PodDisruptionBudget>;
export type NetworkPolicy = Model<V1NetworkPolicy>;
export type Ingress = Model<V1Ingress>;

/** A kind of another project, which need not be installed: fields as its documentation says. */
export interface ForeignObject extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** coordination.k8s.io/v1. The times are MicroTime: RFC 3339 with exactly six digits of a second, in UTC. */
export interface Lease extends KubeObject {
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** events.k8s.io/v1. `eventTime` and `lastObservedTime` are MicroTime. */
export interface Event extends KubeObject {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly note: string;
  readonly type: 'Normal' | 'Warning';
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

export const secrets = core<Secret>('secrets', 'Secret');
export const configMaps = core<ConfigMap>('configmaps', 'ConfigMap');
export const services = core<Service>('services', 'Service');
export const persistentVolumeClaims = core<PersistentVolumeClaim>(
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const pods = core<Pod>('pods', 'Pod');
export const namespaces = resourceType<Namespace>({
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
});
export const nodes = resourceType<Node>({
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
});
export const serviceAccounts = core<ServiceAccount>('serviceaccounts', 'ServiceAccount');
export const customResourceDefinitions = resourceType<CustomResourceDefinition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});
export const endpointSlices = grouped<EndpointSlice>('discovery.k8s.io', 'endpointslices', 'EndpointSlice');
export const deployments = grouped<Deployment>('apps', 'deployments', 'Deployment');
export const jobs = grouped<Job>('batch', 'jobs', 'Job');
export const podDisruptionBudgets = grouped<PodDisruptionBudget>(
  'policy',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
);
export const networkPolicies = grouped<NetworkPolicy>(
  'networking.k8s.io',
  'networkpolicies',
  'NetworkPolicy',
);
export const ingresses = grouped<Ingress>('networking.k8s.io', 'ingresses', 'Ingress');
export const leases = grouped<Lease>('coordination.k8s.io', 'leases', 'Lease');
export const events = grouped<Event>('events.k8s.io', 'events', 'Event');

function core<T extends KubeObject>(plural: string, kind: string): ResourceType<T> {
  return grouped<T>('', plural, kind);
}

function grouped<T extends KubeObject>(group: string, plural: string, kind: string): ResourceType<T> {
  return resourceType<T>({ group, version: 'v1', plural, kind, namespaced: true });
}
