/**
 * Where bytes live. The small interface of docker distribution's drivers, so that the same keys work on a disk and in a
 * bucket. Paths are absolute within the store (`/docker/registry/v2/blobs/…`), use `/`, and never hold `..`.
 *
 * Durability: when a promise of putContent, publish, move or delete resolves, the change survives a power cut, and so do
 * the directories above it. Visibility: a completed write is seen by each later read and list, from any process.
 */
export interface StorageDriver {
  readonly name: string;
  /** `move` is an atomic rename: one that lands late cannot destroy what was written meanwhile. */
  readonly movesAtomically: boolean;
  /** The whole content of a small file. @throws PathNotFoundError */
  getContent(path: string): Promise<Buffer>;
  /**
   * Creates or atomically replaces a file. A reader sees the old bytes or the new ones, never a part. `durable: false` is
   * for scratch files: a power cut may lose them or a part of them.
   */
  putContent(path: string, content: Uint8Array, options?: { readonly durable: boolean }): Promise<void>;
  /**
   * Puts several files in their places, which become visible in this order, each whole or not at all; all are durable
   * when the promise resolves. A power cut before that keeps any of them and loses the others. Costs as many rounds of
   * syncs as one file does. `beforeVisible` runs when all is prepared, right before the first becomes visible; what it
   * throws leaves everything as it was. @throws PathNotFoundError when a `from` is missing.
   */
  publish(files: readonly PublishedFile[], beforeVisible?: () => Promise<void>): Promise<void>;
  /**
   * Bytes from `start` (inclusive) to `end` (exclusive, default: to the end). A chunk is valid until the next one is
   * asked for: its buffer is used again. Leaving the loop early closes the file. @throws PathNotFoundError at once.
   */
  read(path: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  /** Opens a file for writing; with `append` it goes on behind what is there. */
  writer(path: string, options: { readonly append: boolean }): Promise<FileWriter>;
  /**
   * Bytes that closed writers left in a file which was not published yet, undefined when there are none. In a bucket such
   * a file is an unfinished upload, which `stat` and `read` do not see.
   */
  unpublishedSize(path: string): Promise<number | undefined>;
  /** Lets `read` see what closed writers left. A writer may go on afterwards. @throws PathNotFoundError */
  seal(path: string): Promise<void>;
  /**
   * Where a client can read the file by itself for some minutes, undefined where it cannot. Without it clients always
   * read through the server.
   */
  redirectUrl?(path: string, method: 'GET' | 'HEAD'): Promise<string | undefined>;
  /** @throws PathNotFoundError */
  stat(path: string): Promise<FileStat>;
  /** Names (not paths) of the direct children, unsorted. Reopens the directory each time. @throws PathNotFoundError */
  list(path: string): Promise<readonly string[]>;
  /**
   * Renames a file or a directory tree atomically, replacing a file that is there. After a power cut `to` is there;
   * `from` may be there as well. @throws PathNotFoundError
   */
  move(from: string, to: string): Promise<void>;
  /**
   * As `move` of a file, to a place where nothing is. Only where moves are atomic.
   * @returns false when something is there, and nothing has changed. @throws PathNotFoundError
   */
  moveIfAbsent?(from: string, to: string): Promise<boolean>;
  /**
   * Moves a file together with the folder that it is alone in, by one rename where the file system allows that. Durable
   * after a `settle` of the folder above that one. Only where moves are atomic. @throws PathNotFoundError
   */
  moveWithFolder?(from: string, to: string): Promise<void>;
  /**
   * Removes a file and the folder that it is alone in, with what else a crash left there. A power cut may bring them back.
   * Many at once take little longer than one. Only where moves are atomic.
   * @throws PathNotFoundError when the file is not there; its folder goes all the same.
   */
  removeWithFolder?(path: string): Promise<void>;
  /** Makes durable which names are in folders. Only where moves are atomic. */
  settle?(folders: Iterable<string>): Promise<void>;
  /**
   * Removes a file or a directory tree. `durable: false` is for scratch files: a power cut may bring them back.
   * @throws PathNotFoundError
   */
  delete(path: string, options?: { readonly durable: boolean }): Promise<void>;
  /**
   * As `delete` of one file, but the store itself refuses it once `milliseconds` have passed since the call, by the
   * store's own clock: a delete that is held up on its way cannot destroy what was written meanwhile. Only where moves are
   * not atomic. @throws PathNotFoundError; an error when the time is over.
   */
  deleteWithin?(path: string, milliseconds: number): Promise<void>;
  /**
   * As `deleteWithin` of many files, in as few requests as the store allows; those that are not there are no error.
   */
  deleteAllWithin?(paths: readonly string[], milliseconds: number): Promise<void>;
  /**
   * All files below a folder, in few requests. Only where files are found without going through their folders.
   */
  walk?(path: string): AsyncIterable<WalkedFile>;
  /**
   * Removes a directory if nothing is in it, and does nothing otherwise: never a race with somebody who just put a file
   * there. @returns whether no directory is there now; always in a store without directories.
   */
  removeIfEmpty(path: string): Promise<boolean>;
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

export interface WalkedFile {
  readonly path: string;
  readonly size: number;
  /** As of a stat. */
  readonly modifiedAt: number;
}

/** One file of a `publish`. */
export type PublishedFile = {
  readonly path: string;
  /**
   * When the same is there already, it stays (and is made durable): for content that its path names. `content` is
   * compared with what is there, of a `from` the size alone.
   */
  readonly keepExisting?: boolean;
} & (
  | { readonly content: Uint8Array }
  /** A file of a closed writer, which is renamed. */
  | { readonly from: string }
);

/** An open upload file. One call at a time. Its bytes are not durable until the file is published. */
export interface FileWriter {
  /** Bytes in the file, those that were there when it was opened and those still on their way included. */
  readonly size: number;
  /** Bytes from the first on that `read` finds in the unpublished file by now. Only on a disk. */
  readonly written?: number;
  /**
   * Takes bytes for good: the caller must not look at them afterwards. A promise asks to wait before more is given (backpressure); it says
   * nothing about durability. @throws what an earlier write met.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** Writes what is on its way, closes and keeps the file. */
  close(): Promise<void>;
}

/** Has no stack: it is the answer to a usual question, and a stack costs more than the look did. */
export class PathNotFoundError extends Error {
  override readonly name = 'PathNotFoundError';
  readonly path: string;
  constructor(path: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${path} does not exist`);
    Error.stackTraceLimit = stackTraceLimit;
    this.path = path;
  }
}

/**
 * The second lock on the door: paths are made from parsed values, and none of those can lead out of the store.
 * @throws Error for a path that is not absolute and plain.
 */
export function assertStorePath(path: string): void {
  if (!path.startsWith('/') || path.includes('\0') || /\/(?:\.{0,2}(?:\/|$))/.test(path)) {
    throw new Error(`${JSON.stringify(path)} is not a path of the store`);
  }
}
