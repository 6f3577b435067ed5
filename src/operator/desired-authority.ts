import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap, Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import type { PermittedNames } from '../pki/name-constraints.ts';
import { serviceNames } from '../pki/subject-alternative-names.ts';
import { childMeta, childNames, contentOwnership } from './child-names.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/** On an authority that takes over from another: since when it has been in the bundle. */
export const PUBLISHED_ANNOTATION = 'stevedore.dev/published-at';

/**
 * An authority of a Registry. It is made once, by POST, and its data is never written again: whoever trusts it must
 * be able to go on doing so. No pod mounts it.
 */
export function desiredAuthority(
  registry: Stored<Served>,
  name: string,
  authority: CertificatePair,
): ApplyFields<Secret> {
  return {
    metadata: childMeta(registry, name, contentOwnership(registry)),
    type: 'kubernetes.io/tls',
    data: encodeData({
      'tls.crt': authority.certificate,
      'tls.key': authority.key,
      'ca.crt': authority.certificate,
    }),
  };
}

/** What clients trust, for pods to mount and people to copy. Holds nothing secret. */
export function desiredTrustBundle(registry: Stored<Served>, trusted: string): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry).trustBundle),
    data: { 'ca.crt': trusted },
  };
}

/** The constraints that an authority is to have; undefined: none. */
export function permittedBySpec({ metadata, spec: { tls } }: Served): PermittedNames | undefined {
  if (tls.permittedNames === undefined) return undefined;
  const [ranges, names] = [
    tls.permittedNames.filter((name) => name.includes('/')),
    tls.permittedNames.filter((name) => !name.includes('/')),
  ];
  // What the operator puts into each certificate by itself.
  return { dnsNames: [...new Set([...names, ...serviceNames(metadata)])], ipRanges: ranges };
}
