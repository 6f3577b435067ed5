import { free } from '../free-buffer.ts';

/** Buffers that go round, because allocating (and clearing) a megabyte for each chunk costs as much as moving it. */
export class BufferPool {
  readonly #size: () => number;
  readonly #most: number;
  #free: Uint8Array<ArrayBuffer>[] = [];
  #freeBytes = 0;

  /** @param size bytes of a buffer, asked for each time. @param most bytes that are kept for later. */
  constructor(size: () => number, most: number) {
    this.#size = size;
    this.#most = most;
  }

  take(): Uint8Array<ArrayBuffer> {
    const size = this.#size();
    const kept = this.#free.pop();
    this.#freeBytes -= kept?.length ?? 0;
    if (kept?.length === size) return kept;
    if (kept) free(kept.buffer);
    return onPages(size);
  }

  /** Nobody may use `buffer`, or a part of it, any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    // The whole of what a part was lent of.
    const whole = new Uint8Array(buffer.buffer);
    if (this.#freeBytes + whole.length > this.#most) return free(whole.buffer);
    this.#freeBytes += whole.length;
    this.#free.push(whole);
  }
}

/**
 * V8 puts the memory of a buffer that may grow on pages of its own, and other memory anywhere. The kernel writes past its
 * page cache from whole pages alone.
 */
function onPages(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size, { maxByteLength: size }));
}
