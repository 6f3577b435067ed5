import type { FileWriter } from '../driver.ts';
import type { OpenFile } from './file-system.ts';
import { storageError } from './storage-error.ts';

/** Writes that may be under way at once; with more, one slow disk would take all the memory. */
const IN_FLIGHT = 2;

/** Bytes after which what was written is synced in the background, so that little is left for the last sync. */
const SYNC_EVERY = 16 * 1024 * 1024;

/**
 * Appends to a file: gathers chunks without copying them, writes them at their position and syncs behind. When a write
 * fails, close() cuts the file off at the end of what is surely there, so that no hole is ever taken for content.
 */
export class FilesystemWriter implements FileWriter {
  readonly #file: OpenFile;
  readonly #path: string;
  /** Bytes to gather; asked for each time, because it depends on how many write. */
  readonly #gather: () => number;
  readonly #closed: () => void;
  #chunks: Uint8Array[] = [];
  #gathered = 0;
  /** Where the gathered bytes go. */
  #position: number;
  /** Starts of writes under way, for the end of what is whole when one fails. */
  readonly #inFlight = new Set<number>();
  #whole: number | undefined;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    file: OpenFile,
    options: { readonly path: string; readonly gather: () => number; readonly closed: () => void },
  ) {
    this.#file = file;
    this.#path = options.path;
    this.#gather = options.gather;
    this.#closed = options.closed;
    this.#position = file.size();
  }

  get size(): number {
    return this.#position + this.#gathered;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#gathered += chunk.length;
    if (this.#gathered >= this.#gather()) {
      if (this.#inFlight.size >= IN_FLIGHT) return this.#flushLater();
      this.#flush();
    }
    return undefined;
  }

  async close(): Promise<void> {
    try {
      if (this.#gathered > 0) await this.#flushLater();
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

  async #flushLater(): Promise<void> {
    while (this.#inFlight.size >= IN_FLIGHT) await this.#oneEnded();
    this.#throwFailure();
    this.#flush();
  }

  #flush(): void {
    const chunks = this.#chunks;
    const start = this.#position;
    const bytes = this.#gathered;
    this.#chunks = [];
    this.#gathered = 0;
    this.#position += bytes;
    this.#inFlight.add(start);
    this.#file.write(chunks, start).then(
      () => {
        for (const chunk of chunks) free(chunk);
        this.#ended(start, bytes);
      },
      (error: unknown) => {
        this.#whole = Math.min(this.#whole ?? start, start);
        this.#fail(error);
        this.#ended(start, 0);
      },
    );
  }

  #ended(start: number, bytes: number): void {
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

/** Smaller ones may be parts of a buffer that others use as well. */
const OWN_BUFFER = 8 * 1024;

/**
 * Gives the memory of a chunk back at once. Left to the garbage collector, each chunk of a body counts as memory outside of
 * its heap, and it marks the whole heap again and again during a push: a third of the processor time.
 */
function free(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && chunk.length > OWN_BUFFER && chunk.length === buffer.byteLength) {
    buffer.transfer(0);
  }
}
