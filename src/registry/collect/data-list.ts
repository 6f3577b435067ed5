import type { Digest } from '../../oci/digest.ts';
import { DigestList } from './digest-list.ts';

/** Data of a blob. */
export interface Data {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Sizes in one piece: a long list is never copied. */
const PIECE = 8 * 1024;

/** A list of data of blobs, which may be long, with its sizes: nobody has to ask for them again. */
export class DataList implements Iterable<Data> {
  readonly #digests = new DigestList();
  readonly #sizes: Float64Array[] = [];
  #bytes = 0;

  get length(): number {
    return this.#digests.length;
  }

  /** Of all. */
  get bytes(): number {
    return this.#bytes;
  }

  push({ digest, size }: Data): void {
    const place = this.length % PIECE;
    const piece = (place > 0 && this.#sizes.at(-1)) || new Float64Array(PIECE);
    if (place === 0) this.#sizes.push(piece);
    piece[place] = size;
    this.#digests.push(digest);
    this.#bytes += size;
  }

  *[Symbol.iterator](): Iterator<Data> {
    let index = 0;
    for (const digest of this.#digests) {
      yield { digest, size: this.#sizes[Math.floor(index / PIECE)]?.[index % PIECE] ?? 0 };
      index++;
    }
  }
}
