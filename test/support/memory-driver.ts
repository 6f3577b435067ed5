import {
  assertStorePath,
  PathNotFoundError,
  type FileWriter,
  type PublishedFile,
  type StorageDriver,
} from '../../src/registry/storage/driver.ts';

interface File {
  readonly content: Uint8Array;
  readonly modifiedAt: number;
}

/** A store in memory whose time stamps come from a clock: the twin of the real drivers for tests of what time does. */
export class MemoryDriver implements StorageDriver {
  readonly name = 'memory';
  readonly movesAtomically = true;
  readonly files = new Map<string, File>();
  readonly #now: () => number;
  /** As on a disk: a folder's date is when an entry last came or went. */
  readonly #foldersChanged = new Map<string, number>();
  /** Called before each operation, for tests that stall or fail one. */
  before: (operation: string, path: string) => Promise<void> | void = () => {};

  constructor(now: () => number) {
    this.#now = now;
  }

  async getContent(path: string): Promise<Buffer> {
    await this.#begin('getContent', path);
    return Buffer.from(this.#file(path).content);
  }

  async putContent(path: string, content: Uint8Array): Promise<void> {
    await this.#begin('putContent', path);
    this.files.set(path, { content: Uint8Array.from(content), modifiedAt: this.#now() });
    this.#changed(path);
  }

  async publish(files: readonly PublishedFile[], beforeVisible?: () => Promise<void>): Promise<void> {
    await beforeVisible?.();
    for (const file of files) {
      const there = file.keepExisting ? this.files.get(file.path)?.content : undefined;
      if ('from' in file && there?.length === this.#file(file.from).content.length) continue;
      if ('content' in file && there && Buffer.from(file.content).equals(there)) continue;
      if ('from' in file) await this.move(file.from, file.path);
      else await this.putContent(file.path, file.content);
    }
  }

  async read(
    path: string,
    range: { start: number; end?: number } = { start: 0 },
  ): Promise<AsyncIterable<Uint8Array>> {
    await this.#begin('read', path);
    const bytes = this.#file(path).content.subarray(range.start, range.end);
    return (async function* () {
      yield bytes;
    })();
  }

  async writer(path: string, options: { append: boolean }): Promise<FileWriter> {
    await this.#begin('writer', path);
    const chunks: Uint8Array[] = options.append ? [this.files.get(path)?.content ?? new Uint8Array()] : [];
    const size = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    return {
      get size() {
        return size();
      },
      write: (chunk) => void chunks.push(Uint8Array.from(chunk)),
      close: async () =>
        void this.files.set(path, { content: Buffer.concat(chunks), modifiedAt: this.#now() }),
    };
  }

  async unpublishedSize(path: string): Promise<number | undefined> {
    return this.files.get(path)?.content.length;
  }

  async seal(path: string): Promise<void> {
    this.#file(path);
  }

  async stat(path: string): Promise<{ isDirectory: boolean; size: number; modifiedAt: number }> {
    await this.#begin('stat', path);
    const file = this.files.get(path);
    if (file) return { isDirectory: false, size: file.content.length, modifiedAt: file.modifiedAt };
    const below = [...this.files].filter(([name]) => name.startsWith(`${path}/`));
    if (below.length === 0) throw new PathNotFoundError(path);
    return { isDirectory: true, size: 0, modifiedAt: this.#foldersChanged.get(path) ?? 0 };
  }

  async list(path: string): Promise<readonly string[]> {
    await this.#begin('list', path);
    const prefix = `${path}/`;
    const names = [...this.files.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length).split('/')[0] ?? '');
    if (names.length === 0) throw new PathNotFoundError(path);
    return [...new Set(names)];
  }

  async move(from: string, to: string): Promise<void> {
    assertStorePath(to);
    await this.#begin('move', from);
    const moved = [...this.files].filter(([name]) => name === from || name.startsWith(`${from}/`));
    if (moved.length === 0) throw new PathNotFoundError(from);
    this.#changed(from);
    this.#changed(to);
    for (const [name, file] of moved) {
      this.files.delete(name);
      this.files.set(to + name.slice(from.length), file);
    }
  }

  async moveIfAbsent(from: string, to: string): Promise<boolean> {
    await this.#begin('moveIfAbsent', from);
    this.#file(from);
    if (this.files.has(to)) return false;
    await this.move(from, to);
    return true;
  }

  async moveWithFolder(from: string, to: string): Promise<void> {
    await this.move(parent(from), parent(to));
  }

  async removeWithFolder(path: string): Promise<void> {
    await this.delete(path);
  }

  async settle(): Promise<void> {}

  async delete(path: string): Promise<void> {
    await this.#begin('delete', path);
    const gone = [...this.files.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
    if (gone.length === 0) throw new PathNotFoundError(path);
    for (const name of gone) this.files.delete(name);
    this.#changed(path);
  }

  async removeIfEmpty(): Promise<boolean> {
    return true;
  }

  #changed(path: string): void {
    this.#foldersChanged.set(parent(path), this.#now());
  }

  async #begin(operation: string, path: string): Promise<void> {
    assertStorePath(path);
    await this.before(operation, path);
  }

  #file(path: string): File {
    const file = this.files.get(path);
    if (file === undefined) throw new PathNotFoundError(path);
    return file;
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
