import { createHash, createPublicKey, generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

/** A certificate and its private key (PKCS #8), each as PEM, as a Secret of type kubernetes.io/tls holds them. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** Kinds of keys that this project makes. */
export type KeyAlgorithm = 'ECDSA-P256' | 'RSA-2048' | 'RSA-4096';

/** A new key, made off the main thread. The public key is part of it. */
export async function generatePrivateKey(algorithm: KeyAlgorithm = 'ECDSA-P256'): Promise<KeyObject> {
  const { privateKey } =
    algorithm === 'ECDSA-P256'
      ? await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
      : await promisify(generateKeyPair)('rsa', { modulusLength: algorithm === 'RSA-2048' ? 2048 : 4096 });
  return privateKey;
}

/** Which of our kinds a key is; undefined: another, which somebody else made. */
export function keyAlgorithmOf({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): KeyAlgorithm | undefined {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ec') return namedCurve === 'prime256v1' ? 'ECDSA-P256' : undefined;
  if (asymmetricKeyType !== 'rsa') return undefined;
  if (modulusLength === 2048) return 'RSA-2048';
  return modulusLength === 4096 ? 'RSA-4096' : undefined;
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
