import { isNotFound } from '../../../src/kube/api-error.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import type { KubeObject, Stored } from '../../../src/kube/object.ts';
import {
  configMaps,
  deployments,
  ingresses,
  jobs,
  networkPolicies,
  persistentVolumeClaims,
  podDisruptionBudgets,
  secrets,
  services,
  type ResourceType,
} from '../../../src/kube/resources.ts';
import { foreignKinds } from '../../../src/operator/foreign-kinds.ts';
import { registries, registryGCs } from '../../../src/operator/resource-types.ts';

const KINDS: readonly ResourceType<KubeObject>[] = [
  registries,
  registryGCs,
  secrets,
  configMaps,
  services,
  persistentVolumeClaims,
  deployments,
  podDisruptionBudgets,
  networkPolicies,
  ingresses,
  jobs,
  foreignKinds.HTTPRoute[0],
  foreignKinds.ServiceMonitor[0],
  foreignKinds.PrometheusRule[0],
];

/** Keys of Secrets and ConfigMaps whose values are random, or follow from what is. */
const RANDOM_KEYS = ['tls.crt', 'tls.key', 'ca.crt', 'password', 'htpasswd', '.dockerconfigjson'];
const FINGERPRINT = 'stevedore.dev/applied';
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export type Essence = Readonly<Record<string, KubeObject>>;

/**
 * Everything there is, in one namespace or in all, by kind and name, without what differs from one time to the next by
 * nature.
 */
export async function essence(client: KubeClient, namespace?: string): Promise<Essence> {
  const lists = await Promise.all(KINDS.map((type) => listIfInstalled(client, type, namespace)));
  const all = lists.flat();
  const owners = new Map(
    all.map((object) => [object.metadata.uid, `${object.kind} ${object.metadata.name}`]),
  );
  return Object.fromEntries(
    all
      .map((object) => essenceOf(object, owners, namespace))
      .map(
        (object) => [`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`, object] as const,
      )
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A real cluster need not have the kinds of others. */
async function listIfInstalled(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  namespace: string | undefined,
): Promise<readonly Stored<KubeObject>[]> {
  try {
    return (await client.listAll(type, { namespace })).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

function essenceOf(
  object: Stored<KubeObject>,
  owners: ReadonlyMap<string, string>,
  ownNamespace: string | undefined,
): KubeObject {
  const { name, namespace, labels, annotations = {}, ownerReferences = [], finalizers } = object.metadata;
  const metadata = {
    name,
    namespace,
    labels,
    annotations: { ...annotations, ...(FINGERPRINT in annotations && { [FINGERPRINT]: '<some>' }) },
    // An owner that is not there makes an orphan.
    ownerReferences: ownerReferences.map(({ uid }) => owners.get(uid) ?? 'nobody'),
    finalizers,
  };
  // Each of them is an object of JSON.
  const { data, ...rest } = object as Stored<KubeObject> & { readonly data?: object };
  const kept = { ...rest, metadata, ...(data !== undefined && { data: withoutRandom(data) }) };
  const text = JSON.stringify(kept)
    .replace(UUID, '<uid>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/"(serial)":"[0-9a-f]+"/g, '"$1":"<serial>"')
    .replace(/the certificate [0-9a-f]+/g, 'the certificate <serial>')
    .replace(/("stevedore\.dev\/credentials-revision"):"[0-9a-f]+"/g, '$1:"<revision>"')
    .replace(/(127|10)\.96\.\d+\.\d+/g, '<address>')
    .replace(/"resourceVersion":"\d+"/g, '"resourceVersion":"<version>"')
    .replace(/"nodePort":\d+/g, '"nodePort":"<port>"')
    .replace(/pods \\"[a-z0-9-]+\\"/g, 'pods <pod>')
    // Named after the second in which it was asked for.
    .replace(/\bnight-\d{10}\b/g, 'night-<second>');
  // What was an object is one.
  return JSON.parse(
    ownNamespace === undefined ? text : text.replaceAll(ownNamespace, '<namespace>'),
  ) as KubeObject;
}

function withoutRandom(data: object): object {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]: [string, unknown]) => [
      key,
      RANDOM_KEYS.includes(key) ? '<random>' : value,
    ]),
  );
}
