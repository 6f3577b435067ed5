import { USE_CREDENTIALS, USE_LABEL } from '../api/names.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ForeignObject, Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import type { SubjectAlternativeNames } from '../pki/subject-alternative-names.ts';
import { childMeta, childNames, ownerLabel } from './child-names.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/** The server's certificate and key, which the pod mounts and re-reads when they change. */
export function desiredCertificate(
  registry: Stored<Served>,
  server: CertificatePair,
  trusted: string,
): ApplyFields<Secret> {
  return {
    metadata: childMeta(registry, childNames(registry).certificate),
    type: 'kubernetes.io/tls',
    data: encodeData({ 'tls.crt': server.certificate, 'tls.key': server.key, 'ca.crt': trusted }),
  };
}

const KEYS = {
  'ECDSA-P256': { algorithm: 'ECDSA', size: 256 },
  'RSA-2048': { algorithm: 'RSA', size: 2048 },
  'RSA-4096': { algorithm: 'RSA', size: 4096 },
} as const;

/** cert-manager.io/v1 */
export function desiredCertManagerCertificate(
  registry: Stored<Served>,
  { dnsNames, ipAddresses }: SubjectAlternativeNames,
): ApplyFields<ForeignObject> {
  const names = childNames(registry);
  const { issuerRef, keyAlgorithm, duration, renewBefore } = registry.spec.tls;
  return {
    metadata: childMeta(registry, names.certManagerCertificate),
    spec: {
      secretName: names.issued,
      // By the one it is permitted to be read, by the other its changes are seen.
      secretTemplate: { labels: { [USE_LABEL]: USE_CREDENTIALS, ...ownerLabel(registry) } },
      issuerRef: { group: 'cert-manager.io', ...issuerRef },
      dnsNames,
      ...(ipAddresses.length > 0 && { ipAddresses }),
      duration,
      ...(renewBefore !== undefined && { renewBefore }),
      privateKey: { ...KEYS[keyAlgorithm], rotationPolicy: 'Always' },
      usages: ['digital signature', 'key encipherment', 'server auth'],
    },
  };
}
