import { createHash } from 'node:crypto';
import { MANAGED_BY_LABEL, PART_OF_LABEL, PROGRAM } from '../api/names.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { ObjectMeta, Stored } from '../kube/object.ts';
import type { ConfigMap, Namespace, Secret } from '../kube/resources.ts';
import { childNames, ownerReference } from './child-names.ts';
import { passwordSecretName } from './desired-users.ts';
import { registryHost } from './registry-url.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/** What a Registry puts into other namespaces: the bundle that clients trust, and Secrets for pulling. */

/** On a namespace: the namespace from which it takes bundles and pull secrets, or `any`. */
const ACCEPTS_LABEL = 'stevedore.dev/accepts-from';
const ACCEPTS_ANY = 'any';

/** On what is shared: which resource did it. A hash, since a label has no room for two names. */
export const SHARED_BY_LABEL = 'stevedore.dev/shared-by';
const SHARED_BY_ANNOTATION = 'stevedore.dev/shared-by';

type Key = { readonly namespace: string; readonly name: string };

export function sharedBy(kind: Served['kind'], { namespace, name }: Key): string {
  // Of a Registry as it always was, and never that of a mirror of the same name.
  const owner = kind === 'Registry' ? `${namespace}/${name}` : `${kind}/${namespace}/${name}`;
  return createHash('sha256').update(owner).digest('hex').slice(0, 32);
}

/** Why nothing may be put into a namespace, for people; undefined when it may. */
export function sharingObstacle(
  from: string,
  target: string,
  allowedFrom: readonly string[],
  namespace: Namespace | undefined,
): string | undefined {
  if (target === from) return undefined;
  if (!allowedFrom.includes(from)) {
    return `Registries of the namespace ${from} may put nothing into other namespaces. Ask who installed Stevedore to add it to the value shareFromNamespaces.`;
  }
  const accepted = namespace?.metadata.labels?.[ACCEPTS_LABEL];
  if (accepted === from || accepted === ACCEPTS_ANY) return undefined;
  return namespace === undefined
    ? `There is no namespace ${target}.`
    : `The namespace ${target} does not take it. Whoever may change it can: kubectl label namespace ${target} ${ACCEPTS_LABEL}=${from}`;
}

export function sharedBundle(
  registry: Stored<Served>,
  target: string,
  trusted: string,
): ApplyFields<ConfigMap> {
  const name = `${registry.metadata.namespace}.${childNames(registry).trustBundle}`;
  return { metadata: sharedMeta(registry, target, name), data: { 'ca.crt': trusted } };
}

/** https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/ */
export function pullSecret(
  registry: Stored<Served>,
  target: string,
  user: string,
  password: Buffer,
): ApplyFields<Secret> {
  const { namespace } = registry.metadata;
  const host = registryHost(registry);
  const credentials = {
    username: user,
    password: password.toString('utf8'),
    auth: Buffer.concat([Buffer.from(`${user}:`), password]).toString('base64'),
  };
  return {
    metadata: sharedMeta(registry, target, `${namespace}.${passwordSecretName(registry, user)}`),
    type: 'kubernetes.io/dockerconfigjson',
    data: encodeData({ '.dockerconfigjson': JSON.stringify({ auths: { [host]: credentials } }) }),
  };
}

/** Beside the Registry it goes with it; elsewhere no owner reference is possible. */
function sharedMeta(registry: Stored<Served>, target: string, name: string): ObjectMeta {
  const { metadata } = registry;
  return {
    name,
    namespace: target,
    labels: {
      [PART_OF_LABEL]: PROGRAM,
      [MANAGED_BY_LABEL]: PROGRAM,
      [SHARED_BY_LABEL]: sharedBy(registry.kind, metadata),
    },
    annotations: { [SHARED_BY_ANNOTATION]: `${metadata.namespace}/${metadata.name}` },
    ...(target === metadata.namespace && { ownerReferences: [ownerReference(registry)] }),
  };
}
