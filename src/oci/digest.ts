import { createHash, type Hash } from 'node:crypto';

/** `algorithm:hex` in its registered form: sha256 or sha512 with lower-case hex of the right length. */
export type Digest = `${DigestAlgorithm}:${string}` & { readonly __brand: 'Digest' };
export type DigestAlgorithm = 'sha256' | 'sha512';

const SHAPE = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/**
 * Parses a digest that this registry can verify. OCI image-spec, descriptor.md "Digests".
 * @returns undefined for a malformed digest and for an algorithm that is not sha256 or sha512.
 */
export function parseDigest(text: string): Digest | undefined {
  return SHAPE.test(text) ? (text as Digest) : undefined;
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512';
}

/** The hexadecimal part, after the colon. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return finishDigest(createHash(algorithm).update(bytes), algorithm);
}

/** Ends a running hash. The hash cannot be used afterwards. */
export function finishDigest(hash: Hash, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest;
}
