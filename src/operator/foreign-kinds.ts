import { isNotFound } from '../kube/api-error.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import { done, type Outcome } from '../kube/outcome.ts';
import { resourceType, type ForeignObject, type ResourceType } from '../kube/resources.ts';
import { applyChild, type Kube, type Seen } from './apply-child.ts';
import { ownerSelector } from './child-names.ts';
import type { Served } from './served.ts';

/** A kind that a cluster may have or not, in the versions that it may be served in, the newest first. */
export type ForeignKind = readonly [ResourceType<ForeignObject>, ...ResourceType<ForeignObject>[]];

const GATEWAY = 'gateway.networking.k8s.io';
const MONITORING = 'monitoring.coreos.com';

export const foreignKinds = {
  Certificate: versions('cert-manager.io', 'certificates', 'Certificate', 'v1'),
  HTTPRoute: versions(GATEWAY, 'httproutes', 'HTTPRoute', 'v1'),
  TLSRoute: versions(GATEWAY, 'tlsroutes', 'TLSRoute', 'v1', 'v1alpha3', 'v1alpha2'),
  ServiceMonitor: versions(MONITORING, 'servicemonitors', 'ServiceMonitor', 'v1'),
  PrometheusRule: versions(MONITORING, 'prometheusrules', 'PrometheusRule', 'v1'),
} as const;

function versions(
  group: string,
  plural: string,
  kind: string,
  newest: string,
  ...older: readonly string[]
): ForeignKind {
  const type = (version: string) =>
    resourceType<ForeignObject>({ group, version, plural, kind, namespaced: true });
  return [type(newest), ...older.map(type)];
}

/**
 * The objects of such a kind that the Registry has, asked of the API server: a watch of what may not be there would
 * fail for ever. Undefined: the kind is not installed.
 */
export async function seeForeign(
  kube: Pick<Kube, 'listAll'>,
  kind: ForeignKind,
  registry: Stored<Served>,
): Promise<Seen<ForeignObject> | undefined> {
  for (const type of kind) {
    try {
      const labelSelector = ownerSelector(registry);
      const { items } = await kube.listAll(type, { namespace: registry.metadata.namespace, labelSelector });
      return { type, get: (key) => items.find(({ metadata }) => metadata.name === key.name) };
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return undefined;
}

/** Makes the object as desired, where the cluster has its kind. */
export async function applyForeign(
  kube: Pick<Kube, 'listAll' | 'find' | 'apply'>,
  registry: Stored<Served>,
  kind: keyof typeof foreignKinds,
  desired: ApplyFields<ForeignObject>,
): Promise<Outcome | 'not-installed'> {
  const seen = await seeForeign(kube, foreignKinds[kind], registry);
  if (seen === undefined) return 'not-installed';
  const child = await applyChild(kube, seen, registry, desired);
  return child.outcome ?? done;
}
