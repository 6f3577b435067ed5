import { free, freeChunk } from '../free-buffer.ts';

/** What comes at once beyond a request's worth, in bytes, and still finds room. */
const SLACK = 1024 * 1024;

/**
 * Bytes that wait until they are enough for a request, in one buffer that grows with them. A buffer that may grow is on
 * pages of its own, so that all its memory goes back at once: megabytes that were gathered in chunks would leave holes
 * between those of others.
 */
export class GatheredBytes {
  readonly #room: number;
  #buffer: ArrayBuffer | undefined;
  #size = 0;

  /** @param enough bytes of the largest request; more do fit. */
  constructor(enough: number) {
    this.#room = enough + SLACK;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes a chunk for good: nobody else may look at it afterwards. */
  push(chunk: Uint8Array): void {
    const end = this.#size + chunk.length;
    new Uint8Array(this.#roomFor(end)).set(chunk, this.#size);
    this.#size = end;
    freeChunk(chunk);
  }

  /** Takes out the first bytes, whose buffer nothing else is in; all of them without `bytes`. */
  take(bytes = this.#size): Buffer<ArrayBuffer> {
    const buffer = this.#roomFor(this.#size);
    const rest = new Uint8Array(buffer.slice(bytes, this.#size));
    this.#buffer = undefined;
    this.#size = 0;
    if (rest.length > 0) this.push(rest);
    return Buffer.from(buffer, 0, bytes);
  }

  #roomFor(bytes: number): ArrayBuffer {
    const before = this.#buffer;
    if (before && bytes <= before.maxByteLength) {
      if (bytes > before.byteLength) before.resize(bytes);
      return before;
    }
    const buffer = new ArrayBuffer(bytes, { maxByteLength: Math.max(this.#room, bytes) });
    if (before) {
      new Uint8Array(buffer).set(new Uint8Array(before));
      free(before);
    }
    this.#buffer = buffer;
    return buffer;
  }
}
