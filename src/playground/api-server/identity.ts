import { randomBytes } from 'node:crypto';
import { createCertificateAuthority, readCertificateAuthority } from '../../pki/certificate-authority.ts';
import { generatePrivateKey, type CertificatePair } from '../../pki/key-pair.ts';
import { validity } from '../../pki/renewal.ts';
import { issueServerCertificate } from '../../pki/server-certificate.ts';

/** What a client needs of a server, and the server of itself. */
export interface Identity {
  /** PEM: what clients trust. */
  readonly authority: string;
  readonly tls: CertificatePair;
  /** Of the administrator. */
  readonly token: string;
}

const VALIDITY_MS = 365 * 24 * 3600 * 1000;

/** An authority and a certificate of it for the loopback addresses, good for a year, and a token that nobody can guess. */
export async function createIdentity(now: number): Promise<Identity> {
  const { notBefore, notAfter } = validity(now, VALIDITY_MS);
  const [authorityKey, key] = await Promise.all([generatePrivateKey(), generatePrivateKey()]);
  const serial = () => randomBytes(16);
  const authority = createCertificateAuthority({
    commonName: 'stevedore playground',
    notBefore,
    notAfter,
    serial: serial(),
    key: authorityKey,
  });
  const tls = issueServerCertificate({
    authority: readCertificateAuthority(authority),
    dnsNames: ['localhost', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    notBefore,
    notAfter,
    serial: serial(),
    key,
  });
  return { authority: authority.certificate, tls, token: randomBytes(24).toString('base64url') };
}

/** A kubeconfig with one user and one context. */
export function kubeconfig(options: {
  readonly url: string;
  readonly authority: string;
  readonly token: string;
  readonly namespace?: string;
}): string {
  const name = 'stevedore-playground';
  const { url, authority, token, namespace = 'default' } = options;
  // JSON is YAML.
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** The port in what `kubeconfig` gave; 0 where there is none. */
export function portIn(config: string): number {
  return Number(/"server": "https:\/\/[^"]*:(\d+)"/.exec(config)?.[1] ?? 0);
}
