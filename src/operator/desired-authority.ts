import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap, Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import type { PermittedNames } from '../pki/name-constraints.ts';
import { serviceNames } from '../pki/subject-alternative-names.ts';
import { childMeta, childNames, contentOwnership } from './child-names.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/**
 * On an authority that takes over from another: since when it has been in the bundle. On a bundle with authorities that
 * others share: that of each, by its name, in JSON.
 */
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

/** By the names of shared authorities, since when they have been in a bundle, in milliseconds since the epoch. */
export type PublicationTimes = Readonly<Record<string, number>>;

/** What clients trust, for pods to mount and people to copy. Holds nothing secret. */
export function desiredTrustBundle(
  registry: Stored<Served>,
  trusted: string,
  published?: PublicationTimes,
): ApplyFields<ConfigMap> {
  return {
    metadata: {
      ...childMeta(registry, childNames(registry).trustBundle),
      ...(published !== undefined && {
        annotations: { [PUBLISHED_ANNOTATION]: JSON.stringify(published) },
      }),
    },
    data: { 'ca.crt': trusted },
  };
}

/** What `desiredTrustBundle` wrote; nothing where somebody spoiled it, which only makes an authority wait longer. */
export function publicationTimes(bundle: ConfigMap | undefined): PublicationTimes {
  try {
    const value: unknown = JSON.parse(bundle?.metadata.annotations?.[PUBLISHED_ANNOTATION] ?? '');
    const times = typeof value === 'object' && value !== null ? Object.entries<unknown>({ ...value }) : [];
    return Object.fromEntries(
      times.flatMap(([name, time]) => (typeof time === 'number' && time > 0 ? [[name, time]] : [])),
    );
  } catch {
    return {};
  }
}

/** The constraints that an authority is to have; undefined: none. */
export function permittedBySpec(registry: Served): PermittedNames | undefined {
  const {
    metadata,
    spec: { tls },
  } = registry;
  const service = { name: childNames(registry).service, namespace: metadata.namespace };
  if (tls.permittedNames === undefined) return undefined;
  const [ranges, names] = [
    tls.permittedNames.filter((name) => name.includes('/')),
    tls.permittedNames.filter((name) => !name.includes('/')),
  ];
  // What the operator puts into each certificate by itself.
  return { dnsNames: [...new Set([...names, ...serviceNames(service)])], ipRanges: ranges };
}
