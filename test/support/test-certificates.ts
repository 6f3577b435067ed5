import { generateKeyPairSync, randomBytes, X509Certificate, type KeyObject } from 'node:crypto';
import { buildCertificate } from '../../src/pki/build-certificate.ts';
import { privateKeyPem } from '../../src/pki/key-pair.ts';

const DAY_MS = 86_400_000;

/** A certificate with its key, made for a test. */
export interface TestCertificate {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly pem: string;
  readonly keyPem: string;
}

/** @param options.issuer absent: it signs itself. @param options.validDays from yesterday; negative: it has expired */
export function testCertificate(options: {
  readonly commonName: string;
  readonly issuer?: TestCertificate;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly validDays?: number;
}): TestCertificate {
  const { commonName, issuer, authority = false, pathLength, validDays = 2 } = options;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const begin = Date.now() - DAY_MS;
  const pem = buildCertificate({
    commonName,
    serial: randomBytes(16),
    notBefore: validDays > 0 ? begin : begin + 2 * validDays * DAY_MS,
    notAfter: begin + validDays * DAY_MS,
    publicKey,
    issuer: issuer ?? { privateKey, certificate: undefined },
    extensions: [
      {
        name: 'basicConstraints',
        critical: true,
        cA: authority,
        ...(pathLength !== undefined && { pathLenConstraint: pathLength }),
      },
      { name: 'keyUsage', critical: true, digitalSignature: !authority, keyCertSign: authority },
      ...(authority ? [] : [{ name: 'extKeyUsage', clientAuth: true }]),
    ],
  });
  return {
    certificate: new X509Certificate(pem),
    privateKey,
    publicKey,
    pem,
    keyPem: privateKeyPem(privateKey),
  };
}
