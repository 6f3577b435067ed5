import type { Digest } from '../../oci/digest.ts';
import { DigestList } from './digest-list.ts';

/** Data of a blob. */
export interface Data {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** A list of data of blobs, which may be long, with its sizes: nobody has to ask for them again. */
export class DataList implements Iterable<Data> {
  readonly #digests = new DigestList();
  readonly #sizes: number[] = [];
  #bytes = 0;

  get length(): number {
    return this.#digests.length;
  }

  /** Of all. */
  get bytes(): number {
    return this.#bytes;
  }

  push({ digest, size }: Data): void {
    this.#digests.push(digest);
    this.#sizes.push(size);
    this.#bytes += size;
  }

  *[Symbol.iterator](): Iterator<Data> {
    let index = 0;
    for (const digest of this.#digests) yield { digest, size: this.#sizes[index++] ?? 0 };
  }
}
