import { createHash, createPublicKey, generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

/** A certificate and its private key (PKCS #8), each as PEM, as a Secret of type kubernetes.io/tls holds them. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** A new ECDSA key on P-256, made off the main thread. The public key is part of it. */
export async function generatePrivateKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  return privateKey;
}

export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/** The DER of the public key's SubjectPublicKeyInfo. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/**
 * The key identifier that links a certificate to its issuer: the first 160 bits of the SHA-256 of the public key's
 * SubjectPublicKeyInfo. RFC 5280 section 4.2.1.2 leaves the method open, and SHA-1 is not everywhere any more.
 */
export function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha256').update(publicKeyDer(key)).digest().subarray(0, 20);
}
