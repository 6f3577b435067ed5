import fs from 'node:fs';
import { errorCode, isNotFound } from './storage-error.ts';

/**
 * The few operations of a file system that the filesystem driver uses, so that tests can record them and forget what was
 * not synced. Paths are real ones. What touches metadata alone, or few bytes, is synchronous: measured on small images,
 * a trip to the thread pool costs more than such a call. Errors are Node's, with `code`.
 */
export interface FileSystem {
  /** `create`: a new file for writing; `write`: made when missing; `read`: must be there. */
  open(path: string, mode: OpenMode): OpenFile;
  /** One level. @throws EEXIST, ENOENT */
  makeDirectory(path: string): void;
  rename(from: string, to: string): void;
  /** A second name for a file. @throws EEXIST */
  link(from: string, to: string): void;
  removeFile(path: string): void;
  /** @throws ENOTEMPTY */
  removeDirectory(path: string): void;
  /**
   * As `removeFile` and `removeDirectory`, beside others: a file system that tells its disk what is free, as `discard` has
   * it do, waits for the disk each time.
   */
  removeFileAside(path: string): Promise<void>;
  removeDirectoryAside(path: string): Promise<void>;
  /** @returns undefined when there is nothing: that is asked for often, and errors are slow. */
  stat(path: string): EntryStat | undefined;
  /**
   * Differs between two directories that had the same path one after the other.
   * @returns undefined when there is nothing.
   */
  identity(path: string): string | undefined;
  /** Names in a directory, read anew. @returns undefined when there is none. */
  list(path: string): string[] | undefined;
  /** Makes the entries of a directory durable: names that came and names that went. */
  syncDirectory(path: string): Promise<void>;
}

export type OpenMode = 'create' | 'write' | 'read';

export interface EntryStat {
  readonly isDirectory: boolean;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

export interface OpenFile {
  /** Bytes in the file now. */
  size(): number;
  /** Writes all of `bytes`, which must stay as they are until then. Fastest for large ones on pages of their own. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  writeNow(bytes: Uint8Array, position: number): void;
  /** @returns bytes read; fewer than asked only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  readNow(buffer: Uint8Array, position: number): number;
  /** Cuts the file off. */
  truncate(size: number): void;
  /** Makes content and size durable (fdatasync). Works on a file opened for reading as well. */
  sync(): Promise<void>;
  close(): void;
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  create: fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_WRONLY,
  write: fs.constants.O_CREAT | fs.constants.O_WRONLY,
  read: fs.constants.O_RDONLY,
};

export const realFileSystem: FileSystem = {
  open: (path, mode) => new RealFile(fs.openSync(path, FLAGS[mode], 0o666)),
  makeDirectory: (path) => fs.mkdirSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  removeFile: (path) => fs.unlinkSync(path),
  removeDirectory: (path) => fs.rmdirSync(path),
  removeFileAside: (path) => answered((done) => fs.unlink(path, done)),
  removeDirectoryAside: (path) => answered((done) => fs.rmdir(path, done)),
  stat(path) {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    return {
      isDirectory: stat.isDirectory(),
      size: stat.isDirectory() ? 0 : stat.size,
      modifiedAt: stat.mtimeMs,
    };
  },
  identity(path) {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    return stat && `${stat.dev}:${stat.ino}:${stat.birthtimeMs}`;
  },
  // Looking first costs less than the error of a directory that is not there, which is the usual case for trash.
  list: (path) => (fs.existsSync(path) ? readDirectory(path) : undefined),
  syncDirectory: (path) =>
    new Promise((resolve, reject) => {
      const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      fs.fsync(fd, (error) => {
        fs.closeSync(fd);
        if (error) reject(error);
        else resolve();
      });
    }),
};

/** A callback costs less than the promises of `fs.promises`. */
function answered(begin: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    begin((error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Past the page cache the kernel writes whole blocks alone; no disk has larger ones. */
const BLOCK = 4096;

/**
 * Bytes from which a write goes past the page cache: the bytes are copied less, and memory does not fill up with what
 * nobody may ever read. Smaller ones are better gathered by the kernel.
 */
const DIRECT_FROM = 256 * 1024;

class RealFile implements OpenFile {
  readonly #fd: number;
  /** A second number of the same file, for writes past the page cache; opened for the first of them. */
  #direct: number | undefined;
  /** Some file systems have no such writes, as one in memory. */
  #refused = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let rest = bytes;
    for (let at = position; rest.length > 0;) {
      // A write may take less than it was given, on a disk that is nearly full for one.
      const written = await this.#writeSome(rest, at);
      at += written;
      rest = rest.subarray(written);
    }
  }

  writeNow(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const count = await read(this.#fd, buffer, done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  readNow(buffer: Uint8Array, position: number): number {
    let done = 0;
    while (done < buffer.length) {
      const count = fs.readSync(this.#fd, buffer, done, buffer.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): void {
    if (this.#direct !== undefined) fs.closeSync(this.#direct);
    fs.closeSync(this.#fd);
  }

  async #writeSome(bytes: Uint8Array, position: number): Promise<number> {
    const whole = bytes.length >= DIRECT_FROM && bytes.length % BLOCK === 0 && position % BLOCK === 0;
    if (!whole || this.#refused) return write(this.#fd, bytes, position);
    try {
      this.#direct ??= openDirect(this.#fd);
      return await write(this.#direct, bytes, position);
    } catch (error) {
      if (errorCode(error) !== 'EINVAL') throw error;
      this.#refused = true;
      return write(this.#fd, bytes, position);
    }
  }
}

/** The same file once more, not its path: that may lead to another by now. @throws EINVAL where it cannot be had. */
function openDirect(fd: number): number {
  const flags = fs.constants.O_WRONLY | fs.constants.O_DIRECT;
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, flags);
  } catch (error) {
    // No /proc, or not for us.
    throw Object.assign(new Error('not past the page cache', { cause: error }), { code: 'EINVAL' });
  }
}

function write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, 0, bytes.length, position, (error, written) => {
      if (error) reject(error);
      else resolve(written);
    });
  });
}

function read(fd: number, buffer: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, offset, buffer.length - offset, position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

function readDirectory(path: string): string[] | undefined {
  try {
    return fs.readdirSync(path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The directory that a path is in. */
export function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}
