import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap, Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import { childMeta, childNames, contentOwnership } from './child-names.ts';
import { encodeData } from './secret-data.ts';

/**
 * The authority of a Registry. It is made once, by POST, and its data is never written again: whoever trusts it must
 * be able to go on doing so. No pod mounts it.
 */
export function desiredAuthority(
  registry: Stored<Registry>,
  authority: CertificatePair,
): ApplyFields<Secret> {
  const name = childNames(registry.metadata.name).authority;
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
export function desiredTrustBundle(
  registry: Stored<Registry>,
  authorityCertificate: string,
): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry.metadata.name).trustBundle),
    data: { 'ca.crt': authorityCertificate },
  };
}
