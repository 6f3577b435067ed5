/**
 * Where bytes live. The small interface of docker distribution's drivers, so that the same keys work on a disk and in a
 * bucket. Paths are absolute within the store (`/docker/registry/v2/blobs/…`), use `/`, and never hold `..`.
 *
 * Durability: when a promise of putContent, move, delete or commit resolves, the change survives a power cut, and so do
 * the directories above it. Visibility: a completed write is seen by each later read and list, from any process.
 */
export interface StorageDriver {
  readonly name: string;
  /** The whole content of a small file. @throws PathNotFoundError */
  getContent(path: string): Promise<Buffer>;
  /** Creates or atomically replaces a file. A reader sees the old bytes or the new ones, never a part. */
  putContent(path: string, content: Uint8Array): Promise<void>;
  /**
   * Bytes from `start` (inclusive) to `end` (exclusive, default: to the end). A chunk is valid until the next one is
   * asked for: its buffer is used again. Leaving the loop early closes the file. @throws PathNotFoundError at once.
   */
  read(path: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  /** Opens a file for writing; with `append` it goes on behind what is there. */
  writer(path: string, options: { readonly append: boolean }): Promise<FileWriter>;
  /** @throws PathNotFoundError */
  stat(path: string): Promise<FileStat>;
  /** Names (not paths) of the direct children, unsorted. Reopens the directory each time. @throws PathNotFoundError */
  list(path: string): Promise<readonly string[]>;
  /** Renames a file or a directory tree atomically, replacing a file that is there. @throws PathNotFoundError */
  move(from: string, to: string): Promise<void>;
  /** Removes a file or a directory tree. @throws PathNotFoundError */
  delete(path: string): Promise<void>;
  /**
   * Removes a directory if nothing is in it, and does nothing otherwise: never a race with somebody who just put a file
   * there. Nothing to do in a store without directories.
   */
  removeIfEmpty(path: string): Promise<void>;
}

export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

export interface FileStat {
  readonly isDirectory: boolean;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Last change by the store's own clock, milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** An open upload file. One call at a time. */
export interface FileWriter {
  /** Bytes in the file, those that were there when it was opened included. */
  readonly size: number;
  /** Takes bytes. Resolves when more may be given (backpressure), not when they are durable. */
  write(chunk: Uint8Array): Promise<void>;
  /** Makes all that was written durable and closes. */
  commit(): Promise<void>;
  /** Closes and keeps what was written, with no promise that it survives a power cut. */
  close(): Promise<void>;
  /** Closes and removes the file. */
  cancel(): Promise<void>;
}

export class PathNotFoundError extends Error {
  override readonly name = 'PathNotFoundError';
  readonly path: string;
  constructor(path: string) {
    super(`${path} does not exist`);
    this.path = path;
  }
}
