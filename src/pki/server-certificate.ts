import type { KeyObject } from 'node:crypto';
import { binary } from './asn1.ts';
import { buildCertificate } from './build-certificate.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import { privateKeyPem } from './key-pair.ts';
import type { CertificatePair } from './key-pair.ts';
import { ipAddressBytes, subjectAlternativeNames } from './subject-alternative-names.ts';

export interface ServerCertificateRequest {
  readonly authority: CertificateAuthority;
  readonly dnsNames: readonly string[];
  /** IPv4 and IPv6. */
  readonly ipAddresses: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** At most the end of the authority: beyond it no client would accept the certificate. */
  readonly notAfter: number;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  /** The server's own key, new for each certificate; see `generatePrivateKey`. */
  readonly key: KeyObject;
}

/**
 * A certificate for a TLS server, good for exactly the names and addresses asked for.
 *
 * @throws {RangeError} without any name, or with a validity that is empty or goes beyond the authority's
 * @throws {TypeError} when a name is neither a DNS name nor an IP address
 */
export function issueServerCertificate(request: ServerCertificateRequest): CertificatePair {
  const { authority, key, serial, notBefore, notAfter } = request;
  const { dnsNames, ipAddresses } = subjectAlternativeNames([...request.dnsNames, ...request.ipAddresses]);
  if (dnsNames.length + ipAddresses.length === 0)
    throw new RangeError('a certificate for no name is of no use');
  // Certificates hold whole seconds.
  if (Math.floor(notAfter / 1000) * 1000 > authority.certificate.validToDate.getTime()) {
    throw new RangeError('a certificate cannot outlive its authority');
  }
  const commonName = dnsNames.find((name) => name.length <= 64 && !name.startsWith('*'));
  const certificate = buildCertificate({
    serial,
    notBefore,
    notAfter,
    commonName,
    publicKey: key,
    issuer: authority,
    extensions: [
      { name: 'basicConstraints', critical: true, cA: false },
      // TLS 1.2 has suites in which the client encrypts to an RSA key.
      {
        name: 'keyUsage',
        critical: true,
        digitalSignature: true,
        keyEncipherment: key.asymmetricKeyType === 'rsa',
      },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        // RFC 5280 section 4.2.1.6: where the subject is empty, the names must be critical.
        critical: commonName === undefined,
        altNames: [
          ...dnsNames.map((value) => ({ type: DNS_NAME, value })),
          ...ipAddresses.map((address) => ({ type: IP_ADDRESS, value: binary(ipAddressBytes(address)) })),
        ],
      },
    ],
  });
  return { certificate, key: privateKeyPem(key) };
}

/** The tags of a GeneralName, RFC 5280 section 4.2.1.6. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;
