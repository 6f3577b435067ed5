import { randomBytes } from 'node:crypto';
import {
  createCertificateAuthority,
  readCertificateAuthority,
} from '../../../src/pki/certificate-authority.ts';
import { generatePrivateKey } from '../../../src/pki/key-pair.ts';
import { issueServerCertificate } from '../../../src/pki/server-certificate.ts';

/** A certificate for 127.0.0.1, its key, and who signed it; all in PEM. */
export async function loopbackCertificate() {
  const times = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 86_400_000 };
  const pair = createCertificateAuthority({
    ...times,
    commonName: 'loopback',
    serial: randomBytes(16),
    key: await generatePrivateKey(),
  });
  const server = issueServerCertificate({
    ...times,
    authority: readCertificateAuthority(pair),
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    serial: randomBytes(16),
    key: await generatePrivateKey(),
  });
  return { authority: pair.certificate, certificate: server.certificate, key: server.key };
}
