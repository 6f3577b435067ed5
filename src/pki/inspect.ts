import { createPrivateKey, X509Certificate } from 'node:crypto';
import { normalizedIpAddress } from './subject-alternative-names.ts';
import type { SubjectAlternativeNames } from './subject-alternative-names.ts';

/** What a certificate says. */
export interface InspectedCertificate extends SubjectAlternativeNames {
  /** Lower-case hex without separators. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isAuthority: boolean;
  readonly x509: X509Certificate;
}

/** PEM that is no certificate, or no private key. The message never holds a part of it. */
export class UnreadablePemError extends Error {
  override readonly name = 'UnreadablePemError';
}

/** More than are looked at between two looks at one of them: each is, several times within one decision. */
const REMEMBERED = 64;
const remembered = new Map<string, InspectedCertificate>();

/**
 * Reads the first certificate of a PEM text.
 *
 * @throws {UnreadablePemError}
 */
export function inspectCertificate(pem: string): InspectedCertificate {
  const known = remembered.get(pem);
  if (known !== undefined) return known;
  const inspected = inspect(readCertificate(pem));
  const [oldest] = remembered.keys();
  if (remembered.size >= REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  remembered.set(pem, inspected);
  return inspected;
}

function inspect(x509: X509Certificate): InspectedCertificate {
  return {
    serial: x509.serialNumber.toLowerCase(),
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
    isAuthority: x509.ca,
    x509,
    ...namesIn(x509.subjectAltName ?? ''),
  };
}

/**
 * Whether the private key belongs to the certificate.
 *
 * @throws {UnreadablePemError} when the key cannot be read
 */
export function keyFitsCertificate(keyPem: string, certificate: InspectedCertificate): boolean {
  return certificate.x509.checkPrivateKey(readPrivateKey(keyPem));
}

/** Whether the authority signed the certificate: by name, by key identifier, and by the signature itself. */
export function isSignedBy(certificate: InspectedCertificate, authority: InspectedCertificate): boolean {
  return (
    authority.isAuthority &&
    certificate.x509.checkIssued(authority.x509) &&
    certificate.x509.verify(authority.x509.publicKey)
  );
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new UnreadablePemError('not a certificate in PEM', { cause: error });
  }
}

function readPrivateKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new UnreadablePemError('not a private key in PEM', { cause: error });
  }
}

/**
 * Reads Node's text form of the names: `DNS:a, IP Address:10.0.0.1, URI:"…"`. A value with a special character is a
 * JSON string, so that a comma inside cannot pretend to be another name. Kinds other than the two are left out.
 */
function namesIn(text: string): SubjectAlternativeNames {
  const dnsNames = new Set<string>();
  const ipAddresses = new Set<string>();
  for (const [, kind, value = ''] of text.matchAll(/([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    const address = kind === 'IP Address' ? normalizedIpAddress(value) : undefined;
    if (address !== undefined) ipAddresses.add(address);
    else if (kind === 'DNS') dnsNames.add(value);
  }
  return { dnsNames: [...dnsNames].sort(), ipAddresses: [...ipAddresses].sort() };
}
