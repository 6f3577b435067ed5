import type { Digest, DigestAlgorithm } from '../../oci/digest.ts';

const BYTES: Readonly<Record<DigestAlgorithm, number>> = { sha256: 32, sha512: 64 };

/** Bytes of pieces: most lists are short. */
const FIRST_PIECE = 256;
const LARGEST_PIECE = 64 * 1024;

/** A list of digests in as many bytes as they have, since there may be millions. */
export class DigestList implements Iterable<Digest> {
  /** A long list is never copied. Each item lies whole in one piece, behind its size; 0 ends a piece. */
  readonly #pieces: Buffer[] = [];
  readonly #firstPiece: number;
  #used = 0;
  #length = 0;

  /** @param length how many there will be by sha256, where that is known: then nothing is left over. */
  constructor(length?: number) {
    this.#firstPiece = length === undefined ? FIRST_PIECE : length * (1 + BYTES.sha256);
  }

  get length(): number {
    return this.#length;
  }

  push(digest: Digest): void {
    const algorithm: DigestAlgorithm = digest.startsWith('sha256:') ? 'sha256' : 'sha512';
    const size = BYTES[algorithm];
    const piece = this.#pieceFor(1 + size);
    piece[this.#used] = size;
    piece.write(digest.slice(algorithm.length + 1), this.#used + 1, 'hex');
    this.#used += 1 + size;
    this.#length++;
  }

  *[Symbol.iterator](): Iterator<Digest> {
    for (const piece of this.#pieces) {
      for (let at = 0; at < piece.length && piece[at] !== 0;) {
        const size = piece[at] ?? 0;
        const algorithm: DigestAlgorithm = size === BYTES.sha256 ? 'sha256' : 'sha512';
        // Was a digest when it was pushed.
        yield `${algorithm}:${piece.toString('hex', at + 1, at + 1 + size)}` as Digest;
        at += 1 + size;
      }
    }
  }

  #pieceFor(bytes: number): Buffer {
    const last = this.#pieces.at(-1);
    if (last !== undefined && this.#used + bytes <= last.length) return last;
    const piece = Buffer.alloc(
      last === undefined ? Math.max(this.#firstPiece, bytes) : nextPiece(last.length),
    );
    this.#pieces.push(piece);
    this.#used = 0;
    return piece;
  }
}

function nextPiece(last: number): number {
  return Math.min(Math.max(last * 2, FIRST_PIECE), LARGEST_PIECE);
}
