import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import { childMeta, childNames } from './child-names.ts';
import { encodeData } from './secret-data.ts';

/** The server's certificate and key, which the pod mounts and re-reads when they change. */
export function desiredCertificate(
  registry: Stored<Registry>,
  server: CertificatePair,
  authorityCertificate: string,
): ApplyFields<Secret> {
  return {
    metadata: childMeta(registry, childNames(registry.metadata.name).certificate),
    type: 'kubernetes.io/tls',
    data: encodeData({
      'tls.crt': server.certificate,
      'tls.key': server.key,
      'ca.crt': authorityCertificate,
    }),
  };
}
