import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import {
  assertStorePath,
  PathNotFoundError,
  type ByteRange,
  type FileStat,
  type FileWriter,
  type PublishedFile,
  type StorageDriver,
} from '../driver.ts';
import { statIfThere } from '../if-there.ts';
import { BufferPool } from './buffer-pool.ts';
import { chunkSize } from './chunk-size.ts';
import { DirectorySync } from './directory-sync.ts';
import { FileReader } from './file-reader.ts';
import { parent, realFileSystem, type EntryStat, type FileSystem, type OpenFile } from './file-system.ts';
import { FilesystemWriter } from './file-writer.ts';
import { errorCode, isNotFound, storageError, storageErrorReason } from './storage-error.ts';

/** Bytes of buffers that are kept for the next readers, and as many for the next writers. */
const KEPT_BUFFERS = 16 * 1024 * 1024;

/** Names that are remembered as durable where there are others. */
const REMEMBERED = 10_000;

/** Who changed a directory so long ago, in milliseconds, has synced it or is no more. */
const SURELY_SYNCED = 60_000;

/** A directory that somebody removes while a file is put into it is made again this many times. */
const TRIES = 10;

export interface FilesystemDriverOptions {
  /** An absolute path; made when it does not exist. */
  readonly root: string;
  readonly log: Logger;
  readonly files?: FileSystem;
  /** Other processes write to the store as well; the clock tells what they have done just now. */
  readonly others?: Pick<Clock, 'now'>;
}

/**
 * Keeps the store in a directory. Works under any user id that may write there.
 * @throws Error that says what to repair when the root can be neither found nor made.
 */
export function createFilesystemDriver(options: FilesystemDriverOptions): StorageDriver {
  const files = options.files ?? realFileSystem;
  const root = options.root.replace(/\/+$/, '') || '/';
  if (!root.startsWith('/')) throw new Error(`the storage root ${root} is not an absolute path`);
  let top: string;
  try {
    // Whoever made a root that is there may not have lived to sync its name.
    const existing = makeDirectories(files, root);
    top = existing === root ? parent(root) : existing;
  } catch (error) {
    throw new Error(`the storage root ${root} cannot be used: ${storageErrorReason(error)}`, {
      cause: error,
    });
  }
  const { log, others } = options;
  return new FilesystemDriver({ root, files, directories: new DirectorySync(files, top), log, others });
}

interface Dependencies {
  readonly root: string;
  readonly files: FileSystem;
  readonly directories: DirectorySync;
  readonly log: Logger;
  readonly others: Pick<Clock, 'now'> | undefined;
}

class FilesystemDriver implements StorageDriver {
  readonly name = 'filesystem';
  readonly movesAtomically = true;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #directories: DirectorySync;
  readonly #log: Logger;
  readonly #readBuffers = new BufferPool(() => chunkSize(this.#readers), KEPT_BUFFERS);
  readonly #writeBuffers = new BufferPool(() => chunkSize(this.#writers), KEPT_BUFFERS);
  /** Names that are visible but not durable yet. Who looks at one waits, so that nobody builds on what may be lost. */
  readonly #settling = new Map<string, Promise<void>>();
  readonly #others: Pick<Clock, 'now'> | undefined;
  /** With others: names that this process knows to be durable, and when the file behind each was written. */
  readonly #durable = new LRUCache<string, number>({ maxSize: REMEMBERED, sizeCalculation: () => 1 });
  #readers = 0;
  #writers = 0;

  constructor({ root, files, directories, log, others }: Dependencies) {
    this.#root = root === '/' ? '' : root;
    this.#files = files;
    this.#directories = directories;
    this.#log = log;
    this.#others = others;
  }

  async getContent(path: string): Promise<Buffer> {
    await this.#settled(path);
    return this.#attempt(path, () => {
      const file = this.#files.open(this.#locate(path), 'read');
      try {
        const content = Buffer.allocUnsafe(file.size());
        return content.subarray(0, file.readNow(content, 0));
      } finally {
        file.close();
      }
    });
  }

  async putContent(path: string, content: Uint8Array, options = { durable: true }): Promise<void> {
    if (options.durable) return this.publish([{ path, content }]);
    const file = await this.writer(path, { append: false });
    await file.write(Uint8Array.from(content));
    await file.close();
  }

  async publish(files: readonly PublishedFile[], beforeVisible?: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries++) {
      const prepared: Prepared[] = [];
      try {
        for (const file of files) prepared.push(this.#prepare(file));
        await this.#attemptAsync(files, () => Promise.all(prepared.map(({ synced }) => synced)));
        await beforeVisible?.();
        if (tries < TRIES && prepared.some((file) => this.#wentAway(file))) {
          for (const file of prepared) this.#discard(file);
          continue;
        }
        for (const file of prepared) this.#show(file);
      } catch (error) {
        await Promise.allSettled(prepared.map(({ synced }) => synced));
        for (const file of prepared) this.#discard(file);
        throw error;
      }
      return this.#settle(prepared.map(({ place }) => place));
    }
  }

  async read(path: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array>> {
    await this.#settled(path);
    return this.#attempt(path, () => {
      const place = this.#locate(path);
      // Opening a directory works; only reading it does not.
      if (this.#found(path).isDirectory) throw new PathNotFoundError(path);
      const file = this.#files.open(place, 'read');
      const size = file.size();
      this.#readers++;
      return new FileReader(file, {
        path,
        start: Math.min(range.start, size),
        end: Math.min(range.end ?? size, size),
        buffers: this.#readBuffers,
        closed: () => this.#readers--,
      });
    });
  }

  async writer(path: string, options: { readonly append: boolean }): Promise<FileWriter> {
    return this.#attempt(path, () => {
      const file = this.#inDirectory(this.#locate(path), (place) => this.#files.open(place, 'write'));
      if (!options.append) file.truncate(0);
      this.#writers++;
      return new FilesystemWriter(file, {
        path,
        buffers: this.#writeBuffers,
        closed: () => this.#writers--,
      });
    });
  }

  async unpublishedSize(path: string): Promise<number | undefined> {
    return (await statIfThere(this, path))?.size;
  }

  async seal(path: string): Promise<void> {
    await this.stat(path);
  }

  async stat(path: string): Promise<FileStat> {
    await this.#settled(path);
    return this.#attempt(path, () => {
      const { isDirectory, size, modifiedAt } = this.#found(path);
      return { isDirectory, size, modifiedAt };
    });
  }

  async list(path: string): Promise<readonly string[]> {
    const names = this.#attempt(path, () => this.#files.list(this.#locate(path)));
    if (names === undefined) throw new PathNotFoundError(path);
    return names;
  }

  /** Nobody has to know that `from` is durable: it is the other name that will be. */
  async move(from: string, to: string): Promise<void> {
    const target = this.#locate(to);
    this.#attempt(from, () => {
      this.#found(from);
      this.#inDirectory(target, (place) => this.#files.rename(this.#locate(from), place));
    });
    await this.#settle([target]);
  }

  async moveIfAbsent(from: string, to: string): Promise<boolean> {
    await this.#settled(from);
    const target = this.#locate(to);
    const moved = this.#attempt(from, () => {
      const source = this.#locate(from);
      try {
        this.#inDirectory(target, (place) => this.#files.link(source, place));
      } catch (error) {
        if (errorCode(error) === 'EEXIST') return false;
        throw error;
      }
      this.#files.removeFile(source);
      return true;
    });
    if (moved) await this.#settle([target]);
    return moved;
  }

  async moveWithFolder(from: string, to: string): Promise<void> {
    const source = this.#locate(from);
    const target = this.#locate(to);
    const rename = (old: string, place: string): void => {
      try {
        this.#files.rename(old, place);
      } catch (error) {
        // Either of them may be what is missing.
        if (isNotFound(error)) this.#found(from);
        throw error;
      }
    };
    const isWhole = this.#attempt(from, () => {
      try {
        this.#inDirectory(parent(target), (place) => rename(parent(source), place));
        return true;
      } catch (error) {
        // Layers of a container's image keep their folders where they are.
        if (!isNotEmpty(error) && errorCode(error) !== 'EXDEV') throw error;
        this.#inDirectory(target, (place) => rename(source, place));
        return false;
      }
    });
    if (!isWhole) await this.removeIfEmpty(parent(from));
  }

  async removeWithFolder(path: string): Promise<void> {
    const place = this.#locate(path);
    const wasThere = await this.#attemptAsync([{ path }], async () => {
      const found = await unless(isNotFound, this.#files.removeFileAside(place));
      // One that is not there is as good as empty.
      const isGone = await unless(
        isNotEmpty,
        unless(isNotFound, this.#files.removeDirectoryAside(parent(place))),
      );
      if (!isGone) this.#remove(parent(place));
      return found;
    });
    if (!wasThere) throw new PathNotFoundError(path);
  }

  async settle(folders: Iterable<string>): Promise<void> {
    const places = [...folders].map((folder) => this.#locate(folder));
    await this.#attemptAsync([{ path: '' }], () => this.#directories.settle(places));
  }

  async delete(path: string, options: { readonly durable: boolean } = { durable: true }): Promise<void> {
    const place = this.#locate(path);
    this.#attempt(path, () => this.#remove(place));
    if (options.durable)
      await this.#attemptAsync([{ path }], () => this.#directories.settle([parent(place)]));
  }

  async removeIfEmpty(path: string): Promise<boolean> {
    try {
      this.#files.removeDirectory(this.#locate(path));
      return true;
    } catch (error) {
      if (isNotFound(error)) return true;
      if (isNotEmpty(error) || errorCode(error) === 'EBUSY') return false;
      throw storageError(error, path);
    }
  }

  /** Writes a file beside its place, or finds the one that may stay, and begins to make its bytes durable. */
  #prepare(file: PublishedFile): Prepared {
    return this.#attempt('from' in file ? file.from : file.path, () => {
      const place = this.#locate(file.path);
      if ('from' in file) {
        const source = this.#locate(file.from);
        const kept = file.keepExisting && this.#openSame(place, this.#found(file.from).size);
        if (kept) return { place, synced: sync(kept) };
        return { place, source, synced: sync(this.#files.open(source, 'read')) };
      }
      const kept = file.keepExisting && this.#openSame(place, file.content.length);
      if (kept && holds(kept, file.content)) return { place, synced: sync(kept) };
      if (kept) kept.close();
      const temporary = `${place}.${randomUUID()}.tmp`;
      // Looking first costs less than an error, and what is pushed is mostly new.
      if (this.#files.stat(parent(place)) === undefined) makeDirectories(this.#files, parent(place));
      const open = this.#inDirectory(temporary, (path) => this.#files.open(path, 'create'));
      try {
        open.writeNow(file.content, 0);
      } catch (error) {
        open.close();
        this.#files.removeFile(temporary);
        throw error;
      }
      return { place, temporary, synced: sync(open) };
    });
  }

  /** Opens what is at `place` if it is a file of `size` bytes. */
  #openSame(place: string, size: number): OpenFile | undefined {
    const stat = this.#files.stat(place);
    if (stat === undefined || stat.isDirectory || stat.size !== size) return undefined;
    try {
      return this.#files.open(place, 'read');
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #show({ place, source, temporary }: Prepared): void {
    const from = source ?? temporary;
    if (from === undefined) return;
    this.#attempt(this.#pathOf(from), () =>
      this.#inDirectory(place, (target) => this.#files.rename(from, target)),
    );
  }

  /** Whether a collector took what was to stay, or the folder with ours in it, since it was looked at. */
  #wentAway({ place, source, temporary }: Prepared): boolean {
    return source === undefined && this.#files.stat(temporary ?? place) === undefined;
  }

  #discard({ temporary }: Prepared): void {
    if (temporary === undefined) return;
    try {
      this.#files.removeFile(temporary);
    } catch (error) {
      if (!isNotFound(error)) this.#log.warn({ error }, 'a temporary file could not be removed');
    }
  }

  /** Makes the names of files durable; until then they are held back from who looks at them. */
  async #settle(places: readonly string[]): Promise<void> {
    const settling = this.#directories.settle(new Set(places.map(parent)));
    const quiet = settling.catch(() => {});
    for (const place of places) this.#settling.set(place, quiet);
    try {
      await settling;
      if (this.#others) for (const place of places) this.#remember(place, this.#files.stat(place));
    } catch (error) {
      throw storageError(error, this.#pathOf(places[0] ?? ''));
    } finally {
      for (const place of places) if (this.#settling.get(place) === quiet) this.#settling.delete(place);
    }
  }

  async #settled(path: string): Promise<void> {
    if (this.#settling.size > 0) await this.#settling.get(this.#locate(path));
    if (this.#others) await this.#settleOthers(this.#locate(path), this.#others.now());
  }

  /** What another process has made visible just now may not be durable yet: this one waits for the same, or does it. */
  async #settleOthers(place: string, now: number): Promise<void> {
    const file = this.#files.stat(place);
    if (file === undefined || this.#durable.get(place) === file.modifiedAt) return;
    const named = this.#files.stat(parent(place));
    if (named === undefined || now - named.modifiedAt > SURELY_SYNCED) return;
    await this.#attemptAsync([{ path: this.#pathOf(place) }], () =>
      this.#directories.settle([parent(place)]),
    );
    this.#remember(place, file);
  }

  #remember(place: string, file: EntryStat | undefined): void {
    if (file) this.#durable.set(place, file.modifiedAt);
  }

  /** Does what needs the directory of `place`, making it when it is missing. */
  #inDirectory<T>(place: string, action: (place: string) => T): T {
    for (let tries = 1; ; tries++) {
      try {
        return action(place);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT' || tries === TRIES) throw error;
        makeDirectories(this.#files, parent(place));
      }
    }
  }

  /** A tree goes from the leaves up. What somebody puts into it meanwhile stays. */
  #remove(place: string): void {
    if (!this.#files.stat(place)?.isDirectory) {
      this.#files.removeFile(place);
      return;
    }
    for (const name of this.#files.list(place) ?? []) {
      try {
        this.#remove(`${place}/${name}`);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    try {
      this.#files.removeDirectory(place);
    } catch (error) {
      if (!isNotEmpty(error)) throw error;
    }
  }

  /** @throws PathNotFoundError */
  #found(path: string): EntryStat {
    const stat = this.#files.stat(this.#locate(path));
    if (stat === undefined) throw new PathNotFoundError(path);
    return stat;
  }

  /** The real path. */
  #locate(path: string): string {
    assertStorePath(path);
    return this.#root + path;
  }

  #pathOf(place: string): string {
    return place.slice(this.#root.length);
  }

  #attempt<T>(path: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storageError(error, path);
    }
  }

  async #attemptAsync<T>(files: readonly { readonly path: string }[], action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw storageError(error, files[0]?.path ?? '');
    }
  }
}

/** @returns false when it failed in this way. */
async function unless(failed: (error: unknown) => boolean, work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (failed(error)) return false;
    throw error;
  }
}

/** EEXIST is what some systems say for ENOTEMPTY. */
function isNotEmpty(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '');
}

/** A file of a publish whose bytes are in place or beside it. */
interface Prepared {
  readonly place: string;
  /** What is renamed to `place`: a writer's file, or ours. Neither when the one that is there stays. */
  readonly source?: string;
  readonly temporary?: string;
  readonly synced: Promise<void>;
}

/** A file of the right size may hold zeros, as a power cut leaves them where nobody synced: pushing again mends it. */
function holds(file: OpenFile, content: Uint8Array): boolean {
  const found = Buffer.allocUnsafe(content.length);
  return file.readNow(found, 0) === content.length && found.equals(content);
}

async function sync(file: OpenFile): Promise<void> {
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

/** Makes a directory and those above it. @returns the deepest that was there before. */
function makeDirectories(files: FileSystem, directory: string): string {
  try {
    files.makeDirectory(directory);
    return parent(directory);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST' && files.stat(directory)?.isDirectory) return directory;
    if (code !== 'ENOENT') throw error;
  }
  const top = makeDirectories(files, parent(directory));
  try {
    files.makeDirectory(directory);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  return top;
}
