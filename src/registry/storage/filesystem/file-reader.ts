import type { BufferPool } from './buffer-pool.ts';
import type { OpenFile } from './file-system.ts';
import { storageError } from './storage-error.ts';

/** Up to this many bytes are read in one go, on the spot: a trip to the thread pool would take longer. */
const AT_ONCE = 64 * 1024;

export interface ReadOptions {
  /** The path within the store, for errors. */
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly buffers: BufferPool;
  readonly closed: () => void;
}

/**
 * Reads a file ahead by one chunk into two buffers that take turns: while the consumer has one, the other is filled.
 * A chunk is the consumer's until it asks for the next.
 */
export class FileReader implements AsyncIterableIterator<Uint8Array> {
  readonly #file: OpenFile;
  readonly #options: ReadOptions;
  #position: number;
  /** The buffer that the consumer has, and the one that is being filled. */
  #lent: Uint8Array<ArrayBuffer> | undefined;
  #filling: { readonly buffer: Uint8Array<ArrayBuffer>; readonly count: Promise<number> } | undefined;
  #done = false;

  constructor(file: OpenFile, options: ReadOptions) {
    this.#file = file;
    this.#options = options;
    this.#position = options.start;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      if (this.#done) return { done: true, value: undefined };
      const remaining = this.#options.end - this.#position;
      if (this.#filling === undefined && remaining <= AT_ONCE) return await this.#readAtOnce(remaining);
      const { buffer, count } = this.#filling ?? this.#fill(this.#options.buffers.take());
      const bytes = await count;
      this.#filling = undefined;
      if (bytes === 0) throw new Error(`${this.#options.path} ended early`);
      const free = this.#lent;
      this.#lent = buffer;
      this.#position += bytes;
      if (this.#position < this.#options.end) this.#fill(free ?? this.#options.buffers.take());
      else if (free) this.#options.buffers.give(free);
      return { done: false, value: buffer.subarray(0, bytes) };
    } catch (error) {
      await this.#end();
      throw storageError(error, this.#options.path);
    }
  }

  /** The consumer leaves early. Where it has the last chunk nobody knows, so that buffer is left to the garbage collector. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#lent = undefined;
    return this.#end();
  }

  async #end(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#done) return { done: true, value: undefined };
    this.#done = true;
    const filling = this.#filling;
    this.#filling = undefined;
    // The kernel may still write into that buffer, and its number of an open file must not be another's yet.
    await filling?.count.catch(() => 0);
    for (const buffer of [filling?.buffer, this.#lent]) if (buffer) this.#options.buffers.give(buffer);
    this.#lent = undefined;
    this.#file.close();
    this.#options.closed();
    return { done: true, value: undefined };
  }

  async #readAtOnce(remaining: number): Promise<IteratorResult<Uint8Array, undefined>> {
    if (remaining === 0) return this.#end();
    const buffer = Buffer.allocUnsafe(remaining);
    const bytes = this.#file.readNow(buffer, this.#position);
    if (bytes < remaining) throw new Error(`${this.#options.path} ended early`);
    this.#position += bytes;
    return { done: false, value: buffer };
  }

  #fill(buffer: Uint8Array<ArrayBuffer>): {
    readonly buffer: Uint8Array<ArrayBuffer>;
    readonly count: Promise<number>;
  } {
    const part = buffer.subarray(0, Math.min(buffer.length, this.#options.end - this.#position));
    const count = this.#file.read(part, this.#position);
    // Looked at when the consumer comes for it; until then a failure must not count as unhandled.
    count.catch(() => {});
    this.#filling = { buffer, count };
    return this.#filling;
  }
}
