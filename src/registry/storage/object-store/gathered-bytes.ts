import { freeChunk } from '../free-buffer.ts';

/** Bytes that wait until they are enough for a request. */
export class GatheredBytes {
  #chunks: Uint8Array[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes a chunk for good: nobody else may look at it afterwards. */
  push(chunk: Uint8Array): void {
    // A chunk of a socket may be a small part of a large buffer, which would stay with it.
    this.#chunks.push(chunk.length * 2 < chunk.buffer.byteLength ? new Uint8Array(chunk) : chunk);
    this.#size += chunk.length;
  }

  /** Takes out the first bytes; all of them without `bytes`. */
  take(bytes = this.#size): Buffer {
    const gathered = Buffer.concat(this.#chunks, this.#size);
    for (const chunk of this.#chunks) freeChunk(chunk);
    this.#chunks = [];
    this.#size = 0;
    if (bytes < gathered.length) this.push(new Uint8Array(gathered.subarray(bytes)));
    return gathered.subarray(0, bytes);
  }
}
