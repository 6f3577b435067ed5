import type { FileWriter } from '../driver.ts';
import { freeChunk } from '../free-buffer.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { OpenFile } from './file-system.ts';
import { storageError } from './storage-error.ts';

/** Writes that may be under way at once; with more, one slow disk would take all the memory. */
const IN_FLIGHT = 2;

/** Positions at which buffers begin are multiples of this, so that they can go past the page cache. */
const ALIGNMENT = 4096;

/** Bytes after which what was written is synced in the background, so that little is left for the last sync. */
const SYNC_EVERY = 16 * 1024 * 1024;

/**
 * Appends to a file: gathers chunks in buffers, writes them at their position and syncs behind. When a write fails,
 * close() cuts the file off at the end of what is surely there, so that no hole is ever taken for content.
 */
export class FilesystemWriter implements FileWriter {
  readonly #file: OpenFile;
  readonly #path: string;
  readonly #buffers: BufferPool;
  readonly #closed: () => void;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes in the buffer. */
  #gathered = 0;
  /** Where the gathered bytes go. */
  #position: number;
  /** Bytes that wait for a buffer. */
  #waiting = 0;
  /** Starts of writes under way, for the end of what is whole when one fails. */
  readonly #inFlight = new Set<number>();
  #whole: number | undefined;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    file: OpenFile,
    options: { readonly path: string; readonly buffers: BufferPool; readonly closed: () => void },
  ) {
    this.#file = file;
    this.#path = options.path;
    this.#buffers = options.buffers;
    this.#closed = options.closed;
    this.#position = file.size();
  }

  get size(): number {
    return this.#position + this.#gathered + this.#waiting;
  }

  get written(): number {
    return Math.min(this.#whole ?? this.#position, ...this.#inFlight);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    const taken = this.#gather(chunk);
    if (taken === chunk.length) {
      freeChunk(chunk);
      return undefined;
    }
    this.#waiting = chunk.length - taken;
    return this.#gatherLater(chunk, taken);
  }

  async close(): Promise<void> {
    try {
      this.#flush();
    } finally {
      // The number of an open file must not be another's while an operation on it is under way.
      while (this.#inFlight.size > 0) await this.#oneEnded();
      await this.#syncing;
      if (this.#whole !== undefined) this.#cutOff(this.#whole);
      this.#file.close();
      this.#closed();
    }
    this.#throwFailure();
  }

  /** @returns how many bytes found room. The others wait until a write has ended. */
  #gather(chunk: Uint8Array): number {
    let taken = 0;
    while (taken < chunk.length) {
      if (this.#buffer === undefined) {
        if (this.#inFlight.size >= IN_FLIGHT) break;
        const buffer = this.#buffers.take();
        // After an odd number of bytes the first one is shorter, and ends where blocks do.
        this.#buffer = buffer.subarray(0, buffer.length - (this.#position % ALIGNMENT));
      }
      const part = chunk.subarray(taken, taken + this.#buffer.length - this.#gathered);
      this.#buffer.set(part, this.#gathered);
      this.#gathered += part.length;
      taken += part.length;
      if (this.#gathered === this.#buffer.length) this.#flush();
    }
    return taken;
  }

  async #gatherLater(chunk: Uint8Array, start: number): Promise<void> {
    for (let taken = start; taken < chunk.length;) {
      await this.#oneEnded();
      this.#throwFailure();
      taken += this.#gather(chunk.subarray(taken));
      this.#waiting = chunk.length - taken;
    }
    freeChunk(chunk);
  }

  #flush(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const start = this.#position;
    const bytes = this.#gathered;
    this.#buffer = undefined;
    this.#gathered = 0;
    this.#position += bytes;
    this.#inFlight.add(start);
    this.#file.write(buffer.subarray(0, bytes), start).then(
      () => this.#ended(start, bytes, buffer),
      (error: unknown) => {
        this.#whole = Math.min(this.#whole ?? start, start);
        this.#fail(error);
        this.#ended(start, 0, buffer);
      },
    );
  }

  #ended(start: number, bytes: number, buffer: Uint8Array<ArrayBuffer>): void {
    this.#buffers.give(buffer);
    this.#inFlight.delete(start);
    this.#unsynced += bytes;
    if (this.#unsynced >= SYNC_EVERY && this.#syncing === undefined) this.#syncBehind();
    this.#wake?.();
  }

  #syncBehind(): void {
    this.#unsynced = 0;
    this.#syncing = this.#file.sync().then(
      () => {
        this.#syncing = undefined;
      },
      // A failed sync is never followed by one that works: the kernel has dropped the pages.
      (error: unknown) => this.#fail(error),
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= { error: storageError(error, this.#path) };
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #cutOff(size: number): void {
    try {
      this.#file.truncate(size);
    } catch (error) {
      this.#fail(error);
    }
  }

  #oneEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
