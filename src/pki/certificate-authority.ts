import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { buildCertificate } from './build-certificate.ts';
import { privateKeyPem } from './key-pair.ts';
import type { CertificatePair } from './key-pair.ts';
import { nameConstraints, type PermittedNames } from './name-constraints.ts';

export interface CertificateAuthorityRequest {
  /** Tells this authority from others, in error messages of clients. 1 to 64 characters. */
  readonly commonName: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  /** See `generatePrivateKey`. */
  readonly key: KeyObject;
  /** The names that it may sign for; undefined: all. */
  readonly permitted?: PermittedNames | undefined;
}

/**
 * A self-signed authority that may sign certificates of servers and no further authorities.
 *
 * @throws {RangeError} when the common name is too long, or the validity is empty
 * @throws {TypeError} when a permitted address has no valid prefix
 */
export function createCertificateAuthority(request: CertificateAuthorityRequest): CertificatePair {
  const { key, permitted, ...content } = request;
  const certificate = buildCertificate({
    ...content,
    publicKey: key,
    issuer: { privateKey: key, certificate: undefined },
    extensions: [
      { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
      { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
      ...(permitted === undefined ? [] : [nameConstraints(permitted)]),
    ],
  });
  return { certificate, key: privateKeyPem(key) };
}

/** An authority, ready to sign. */
export interface CertificateAuthority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** @throws {Error} when the PEM cannot be read; see `authorityProblem` for what else may be wrong with it */
export function readCertificateAuthority(pair: CertificatePair): CertificateAuthority {
  return { certificate: new X509Certificate(pair.certificate), privateKey: createPrivateKey(pair.key) };
}
