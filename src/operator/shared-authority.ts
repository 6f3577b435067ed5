import { PART_OF_LABEL, PROGRAM } from '../api/names.ts';
import { isConflict } from '../kube/api-error.ts';
import type { Stored } from '../kube/object.ts';
import { stalled, waiting, type Stalled } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import type { Child } from './apply-child.ts';
import { authoritiesAmong, type Named } from './child-names.ts';
import type { RegistryTools } from './registry-look.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/*
 * The authority that Registries share is in the operator's namespace. It is made and replaced in the steps of whichever
 * of them looks first, and nobody owns it: what clients trust outlives them all.
 */

export const SHARED_AUTHORITY_LABEL = 'stevedore.dev/shared-authority';

/** By which its Secrets are named: `stevedore-shared-ca`, `stevedore-shared-ca-2` and so on. */
export const SHARED: Named = { kind: 'Registry', metadata: { name: 'stevedore-shared' } };

/** In the chart's list of namespaces: all of them. */
const EVERY_NAMESPACE = '*';

type Tools = Pick<RegistryTools, 'kube' | 'world' | 'operatorNamespace' | 'sharedAuthorityNamespaces'>;

export function usesSharedAuthority({ spec: { tls } }: Served): boolean {
  return tls.mode === 'Managed' && tls.authority === 'Shared';
}

/** Why a Registry may not have certificates of the shared authority; undefined: it may, or does not ask for them. */
export function sharedAuthorityObstacle(
  { sharedAuthorityNamespaces: allowed }: Tools,
  registry: Stored<Served>,
): Stalled | undefined {
  const namespace = registry.metadata.namespace ?? '';
  if (!usesSharedAuthority(registry)) return undefined;
  if (allowed.includes(namespace) || allowed.includes(EVERY_NAMESPACE)) return undefined;
  return stalled(
    'NotPermitted',
    `Registries of the namespace ${namespace} may not use the shared certificate authority. Remove spec.tls.authority, or ask who installed Stevedore to add the namespace to the value sharedAuthorityNamespaces.`,
  );
}

/** The names of its Secrets, by age. */
export async function sharedAuthorityNames({
  kube,
  world: { sharedAuthorities },
  operatorNamespace: namespace,
}: Tools): Promise<readonly string[]> {
  const seen = authoritiesAmong(SHARED, sharedAuthorities.list());
  if (seen.length > 0) return seen;
  const labelSelector = `${SHARED_AUTHORITY_LABEL}=true`;
  const { items } = await kube.listAll<Secret>(sharedAuthorities.type, { namespace, labelSelector });
  return authoritiesAmong(SHARED, items);
}

/** The Secret of that name, which is made if the API server says that there is none. */
export async function keepSharedAuthority(
  { kube, world: { sharedAuthorities }, operatorNamespace: namespace }: Tools,
  name: string,
  make: () => Promise<CertificatePair>,
): Promise<Child<Secret>> {
  const { type } = sharedAuthorities;
  const found = sharedAuthorities.get({ namespace, name }) ?? (await kube.find(type, { namespace, name }));
  if (found?.metadata.labels?.[SHARED_AUTHORITY_LABEL] === 'true') return { object: found };
  if (found !== undefined) {
    const message = `There is a Secret ${name} in the namespace of the operator that is not the shared certificate authority. Whoever installed Stevedore can delete it, or label it ${SHARED_AUTHORITY_LABEL}=true.`;
    return { outcome: stalled('NameConflict', message) };
  }
  try {
    return { object: await kube.create(type, desiredSharedAuthority(namespace, name, await make())) };
  } catch (error) {
    if (!isConflict(error)) throw error;
    // Another Registry was quicker.
    return { outcome: waiting(1000, 'Issuing') };
  }
}

function desiredSharedAuthority(namespace: string, name: string, { certificate, key }: CertificatePair) {
  return {
    metadata: { namespace, name, labels: { [PART_OF_LABEL]: PROGRAM, [SHARED_AUTHORITY_LABEL]: 'true' } },
    type: 'kubernetes.io/tls',
    data: encodeData({ 'tls.crt': certificate, 'tls.key': key, 'ca.crt': certificate }),
  };
}
