import type { BufferPool } from '../../registry/storage/filesystem/buffer-pool.ts';

/** Bytes that somebody reads; released when nobody looks at them any more. */
export interface Lent {
  readonly bytes: Uint8Array;
  release(): void;
}

interface Segment {
  /** Of its first byte in the blob. */
  readonly start: number;
  readonly buffer: Uint8Array<ArrayBuffer>;
  used: number;
  /** How often it is lent at the moment. */
  lent: number;
  isDropped: boolean;
}

/**
 * The end of a blob as far as it has come, in memory: many read it there at once, from buffers that go back to a pool when
 * they are dropped and nobody has a part of them.
 */
export class FillWindow {
  readonly #buffers: BufferPool;
  readonly #segments: Segment[] = [];
  #end = 0;

  constructor(buffers: BufferPool) {
    this.#buffers = buffers;
  }

  /** The first byte that is here. */
  get start(): number {
    return this.#segments[0]?.start ?? this.#end;
  }

  get length(): number {
    return this.#end - this.start;
  }

  /** Copies the bytes. */
  append(chunk: Uint8Array): void {
    for (let taken = 0; taken < chunk.length;) {
      const segment = this.#lastWithRoom();
      const part = chunk.subarray(taken, taken + segment.buffer.length - segment.used);
      segment.buffer.set(part, segment.used);
      segment.used += part.length;
      taken += part.length;
      this.#end += part.length;
    }
  }

  /** Bytes from `position` on, at most to `end`, which has come; undefined when they are no longer here. */
  lend(position: number, end: number): Lent | undefined {
    const segment = this.#segments.findLast(({ start }) => start <= position);
    if (segment === undefined) return undefined;
    const { start, buffer, used } = segment;
    segment.lent++;
    return {
      bytes: buffer.subarray(position - start, Math.min(used, end - start)),
      release: () => {
        segment.lent--;
        this.#giveBack(segment);
      },
    };
  }

  /** Drops what lies before `needed`, from the beginning, until no more than `length` bytes are left. */
  trim(length: number, needed: number): void {
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      if (this.length <= length || first.start + first.used > needed) return;
      this.#segments.shift();
      first.isDropped = true;
      this.#giveBack(first);
    }
  }

  #lastWithRoom(): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.used < last.buffer.length) return last;
    const segment = { start: this.#end, buffer: this.#buffers.take(), used: 0, lent: 0, isDropped: false };
    this.#segments.push(segment);
    return segment;
  }

  #giveBack(segment: Segment): void {
    if (segment.isDropped && segment.lent === 0) this.#buffers.give(segment.buffer);
  }
}
