import type { Digest, DigestAlgorithm } from '../../oci/digest.ts';

const BYTES: Readonly<Record<DigestAlgorithm, number>> = { sha256: 32, sha512: 64 };

/** A list of digests in as many bytes as they have, since there may be millions. */
export class DigestList implements Iterable<Digest> {
  #bytes = Buffer.alloc(0);
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(digest: Digest): void {
    const algorithm: DigestAlgorithm = digest.startsWith('sha256:') ? 'sha256' : 'sha512';
    const size = BYTES[algorithm];
    if (this.#used + 1 + size > this.#bytes.length) this.#grow();
    this.#bytes[this.#used] = size;
    this.#bytes.write(digest.slice(algorithm.length + 1), this.#used + 1, 'hex');
    this.#used += 1 + size;
    this.#length++;
  }

  *[Symbol.iterator](): Iterator<Digest> {
    for (let at = 0; at < this.#used;) {
      const size = this.#bytes[at] ?? 0;
      const algorithm: DigestAlgorithm = size === BYTES.sha256 ? 'sha256' : 'sha512';
      // Was a digest when it was pushed.
      yield `${algorithm}:${this.#bytes.toString('hex', at + 1, at + 1 + size)}` as Digest;
      at += 1 + size;
    }
  }

  #grow(): void {
    const larger = Buffer.alloc(Math.max(256, this.#bytes.length * 2));
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}
