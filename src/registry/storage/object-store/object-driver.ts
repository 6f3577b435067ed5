import { Semaphore } from '../../../process/semaphore.ts';
import {
  assertStorePath,
  PathNotFoundError,
  type ByteRange,
  type FileStat,
  type FileWriter,
  type PublishedFile,
  type StorageDriver,
  type WalkedFile,
} from '../driver.ts';
import { noBytes } from './byte-range.ts';
import type { ObjectStore } from './object-store.ts';
import { resumeRead } from './resume-read.ts';

/** Copies of one tree that are on their way at once. */
const COPIES_AT_ONCE = 8;

export interface ObjectDriverOptions {
  /** What docker distribution calls so: the keys of all objects begin with it. Slashes around it do not count. */
  readonly rootDirectory: string;
}

/**
 * Keeps the store in a bucket or container: one object a file, under distribution's keys. A directory is there while an
 * object is below it. Nothing is renamed: a move copies and then deletes, so both are there for a moment.
 */
export function createObjectDriver(store: ObjectStore, options: ObjectDriverOptions): StorageDriver {
  return new ObjectDriver(store, options);
}

class ObjectDriver implements StorageDriver {
  readonly name: string;
  readonly movesAtomically = false;
  readonly redirectUrl?: (path: string, method: 'GET' | 'HEAD') => Promise<string | undefined>;
  readonly deleteWithin?: (path: string, milliseconds: number) => Promise<void>;
  readonly deleteAllWithin?: (paths: readonly string[], milliseconds: number) => Promise<void>;
  readonly #store: ObjectStore;
  /** Empty, or ends in a slash. */
  readonly #root: string;

  constructor(store: ObjectStore, { rootDirectory }: ObjectDriverOptions) {
    this.name = store.name;
    this.#store = store;
    const root = rootDirectory.replace(/^\/+|\/+$/g, '');
    this.#root = root === '' ? '' : `${root}/`;
    if (store.redirectUrl) {
      this.redirectUrl = async (path, method) => store.redirectUrl?.(this.#key(path), method);
    }
    if (store.deleteWithin) {
      this.deleteWithin = async (path, milliseconds) => {
        if (!(await store.deleteWithin?.(this.#key(path), milliseconds))) throw new PathNotFoundError(path);
      };
    }
    if (store.deleteAllWithin) {
      this.deleteAllWithin = async (paths, milliseconds) =>
        store.deleteAllWithin?.(
          paths.map((path) => this.#key(path)),
          milliseconds,
        );
    }
  }

  async getContent(path: string): Promise<Buffer> {
    return found(path, await this.#store.get(this.#key(path)));
  }

  async putContent(path: string, content: Uint8Array): Promise<void> {
    await this.#store.put(this.#key(path), content);
  }

  async publish(files: readonly PublishedFile[], beforeVisible?: () => Promise<void>): Promise<void> {
    for (const file of files) {
      if ('from' in file) await this.seal(file.from);
    }
    await beforeVisible?.();
    for (const file of files) await this.#show(file);
    const left = files.flatMap((file) => ('from' in file ? [this.#key(file.from)] : []));
    if (left.length > 0) await this.#store.delete(left);
  }

  async read(path: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array>> {
    const key = this.#key(path);
    // HTTP has no word for a range without bytes.
    if (range.end !== undefined && range.end <= range.start) {
      found(path, await this.#store.head(key));
      return noBytes();
    }
    const open = (rest: ByteRange) => this.#store.read(key, rest);
    return resumeRead(found(path, await open(range)), range, open);
  }

  async writer(path: string, options: { readonly append: boolean }): Promise<FileWriter> {
    return this.#store.writer(this.#key(path), options);
  }

  async unpublishedSize(path: string): Promise<number | undefined> {
    return this.#store.unfinishedSize(this.#key(path));
  }

  async seal(path: string): Promise<void> {
    if (!(await this.#store.seal(this.#key(path)))) throw new PathNotFoundError(path);
  }

  async stat(path: string): Promise<FileStat> {
    const key = this.#key(path);
    const object = await this.#store.head(key);
    if (object) return { isDirectory: false, ...object };
    for await (const _child of this.#store.list(`${key}/`, { shallow: true, limit: 1 })) {
      return { isDirectory: true, size: 0, modifiedAt: 0 };
    }
    throw new PathNotFoundError(path);
  }

  async list(path: string): Promise<readonly string[]> {
    const folder = `${this.#key(path)}/`;
    const names = new Set<string>();
    for await (const { kind, key } of this.#store.list(folder, { shallow: true })) {
      // Some programs put an empty object where they want to see a folder.
      if (key !== folder) names.add(key.slice(folder.length, kind === 'prefix' ? -1 : undefined));
    }
    if (names.size === 0) throw new PathNotFoundError(path);
    return [...names];
  }

  async *walk(path: string): AsyncIterable<WalkedFile> {
    for await (const object of this.#store.list(`${this.#key(path)}/`, { shallow: false })) {
      if (object.kind !== 'object') continue;
      const { key, size, modifiedAt } = object;
      yield { path: `/${key.slice(this.#root.length)}`, size, modifiedAt };
    }
  }

  async move(from: string, to: string): Promise<void> {
    const source = this.#key(from);
    const target = this.#key(to);
    if (await this.#store.copy(source, target)) return this.#store.delete([source]);
    const keys = await this.#keysBelow(source);
    if (keys.length === 0) throw new PathNotFoundError(from);
    const copies = new Semaphore(COPIES_AT_ONCE);
    await Promise.all(
      keys.map((key) => copies.run(() => this.#store.copy(key, target + key.slice(source.length)))),
    );
    await this.#store.delete(keys);
  }

  async delete(path: string): Promise<void> {
    const key = this.#key(path);
    if (await this.#store.head(key)) return this.#store.delete([key]);
    const keys = await this.#keysBelow(key);
    await this.#store.abandon(`${key}/`);
    if (keys.length === 0) throw new PathNotFoundError(path);
    await this.#store.delete(keys);
  }

  /** There are no directories. */
  async removeIfEmpty(): Promise<boolean> {
    return true;
  }

  async #show(file: PublishedFile): Promise<void> {
    const target = this.#key(file.path);
    if ('content' in file) {
      const kept = file.keepExisting ? await this.#store.get(target) : undefined;
      if (!kept?.equals(file.content)) await this.#store.put(target, file.content);
      return;
    }
    const source = this.#key(file.from);
    const kept = file.keepExisting ? await this.#store.head(target) : undefined;
    if (kept && kept.size === (await this.#store.head(source))?.size) return;
    const shown = await (this.#store.move?.(source, target) ?? this.#store.copy(source, target));
    if (!shown) throw new PathNotFoundError(file.from);
  }

  async #keysBelow(key: string): Promise<readonly string[]> {
    return Array.fromAsync(this.#store.list(`${key}/`, { shallow: false }), (listed) => listed.key);
  }

  #key(path: string): string {
    assertStorePath(path);
    return this.#root + path.slice(1);
  }
}

function found<T>(path: string, content: T | undefined): T {
  if (content === undefined) throw new PathNotFoundError(path);
  return content;
}
