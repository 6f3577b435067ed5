import { randomBytes } from 'node:crypto';
import { createCertificateAuthority, readCertificateAuthority } from '../../src/pki/certificate-authority.ts';
import { generatePrivateKey, type CertificatePair } from '../../src/pki/key-pair.ts';
import { issueServerCertificate } from '../../src/pki/server-certificate.ts';

/** An authority that a test trusts, and certificates that it signed: for 127.0.0.1 or another address, and localhost or other names. */
export interface TestAuthority {
  readonly certificate: string;
  issue(dnsNames?: readonly string[], address?: string): Promise<CertificatePair>;
}

const DAY_MS = 86_400_000;

export async function createTestAuthority(): Promise<TestAuthority> {
  const now = Date.now();
  const authority = createCertificateAuthority({
    commonName: 'test authority',
    notBefore: now - DAY_MS,
    notAfter: now + DAY_MS,
    serial: randomBytes(16),
    key: await generatePrivateKey(),
  });
  return {
    certificate: authority.certificate,
    issue: async (dnsNames = ['localhost'], address = '127.0.0.1') =>
      issueServerCertificate({
        authority: readCertificateAuthority(authority),
        dnsNames,
        ipAddresses: [address],
        notBefore: now - DAY_MS,
        notAfter: now + DAY_MS,
        serial: randomBytes(16),
        key: await generatePrivateKey(),
      }),
  };
}
