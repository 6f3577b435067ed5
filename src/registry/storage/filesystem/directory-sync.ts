import { LRUCache } from 'lru-cache';
import { errorCode, isNotFound } from './storage-error.ts';
import { parent, type FileSystem } from './file-system.ts';

/** Directories that are remembered as durable; forgetting one costs a sync that was not needed. */
const REMEMBERED = 10_000;

/** Some network file systems sync no directories; their servers make names durable at once or not at all. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set(['EINVAL', 'ENOTSUP']);
const NOT_ALLOWED: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * Makes names durable. A file is safe when its directory was synced after the file got its name, and so is that
 * directory in the one above it, up to one that is known to be durable. Syncs of one directory are shared: who asks
 * while one runs joins the next, for the running one may have begun too early.
 */
export class DirectorySync {
  readonly #files: FileSystem;
  readonly #top: string;
  /** Directory → identity of the one whose name in its parent is known to be durable. */
  readonly #durable = new LRUCache<string, string>({ maxSize: REMEMBERED, sizeCalculation: () => 1 });
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  /** @param top the directory at or above the store's root beyond which nothing is synced. */
  constructor(files: FileSystem, top: string) {
    this.#files = files;
    this.#top = top;
  }

  /** Resolves when every name in `directories`, and the directories' own, are durable. */
  async settle(directories: Iterable<string>): Promise<void> {
    const wanted = new Set<string>();
    const learned = new Map<string, string>();
    for (const directory of directories) {
      wanted.add(directory);
      this.#wantAncestors(directory, wanted, learned);
    }
    await Promise.all([...wanted].map((directory) => this.#sync(directory)));
    for (const [directory, identity] of learned) this.#durable.set(directory, identity);
  }

  #wantAncestors(directory: string, wanted: Set<string>, learned: Map<string, string>): void {
    for (let child = directory; child !== this.#top;) {
      const identity = this.#files.identity(child);
      // Removed by somebody meanwhile, and what was in it with it: nothing is left to be made durable.
      if (identity === undefined) return;
      if (this.#durable.get(child) === identity || learned.has(child)) return;
      learned.set(child, identity);
      child = parent(child);
      wanted.add(child);
    }
  }

  /** A sync of `directory` that begins after this call. */
  #sync(directory: string): Promise<void> {
    const joined = this.#waiting.get(directory);
    if (joined) return joined;
    const running = this.#running.get(directory);
    if (running === undefined) return this.#begin(directory);
    const next = running
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(directory);
        return this.#begin(directory);
      });
    this.#waiting.set(directory, next);
    return next;
  }

  #begin(directory: string): Promise<void> {
    const running = this.#files.syncDirectory(directory).then(
      () => void this.#running.delete(directory),
      (error: unknown) => {
        this.#running.delete(directory);
        if (!this.#mayFail(directory, error)) throw error;
      },
    );
    this.#running.set(directory, running);
    return running;
  }

  #mayFail(directory: string, error: unknown): boolean {
    const code = errorCode(error) ?? '';
    // Above the store there may be directories that others own.
    return isNotFound(error) || NOT_SUPPORTED.has(code) || (directory === this.#top && NOT_ALLOWED.has(code));
  }
}
