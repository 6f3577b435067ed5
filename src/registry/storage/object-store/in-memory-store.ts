import type { ByteRange, FileWriter } from '../driver.ts';
import type { ListedObject, ObjectInfo, ObjectStore } from './object-store.ts';

interface StoredObject extends ObjectInfo {
  readonly content: Buffer;
}

/** Objects in the memory of this process. They end with it: distribution's `inmemory`, which is for tests alone. */
export class InMemoryStore implements ObjectStore {
  readonly name = 'inmemory';
  readonly #now: () => number;
  readonly #objects = new Map<string, StoredObject>();
  /** What closed writers left and nobody sealed. */
  readonly #unfinished = new Map<string, Buffer>();

  /** @param now milliseconds since the epoch, for the date of each object. */
  constructor(now: () => number) {
    this.#now = now;
  }

  async get(key: string): Promise<Buffer | undefined> {
    const object = this.#objects.get(key);
    return object && Buffer.from(object.content);
  }

  async read(key: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array> | undefined> {
    const content = this.#objects.get(key)?.content.subarray(range.start, range.end);
    return content && chunksOf(content);
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const object = this.#objects.get(key);
    return object && { size: object.size, modifiedAt: object.modifiedAt };
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    this.#keep(key, Buffer.from(content));
  }

  async copy(from: string, to: string): Promise<boolean> {
    const object = this.#objects.get(from);
    if (object) this.#keep(to, object.content);
    return object !== undefined;
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#objects.delete(key);
  }

  async *list(prefix: string, options: { readonly shallow: boolean }): AsyncIterable<ListedObject> {
    const told = new Set<string>();
    for (const key of [...this.#objects.keys()].toSorted()) {
      const object = this.#objects.get(key);
      if (object === undefined || !key.startsWith(prefix)) continue;
      const slash = options.shallow ? key.indexOf('/', prefix.length) : -1;
      if (slash < 0) {
        yield { kind: 'object', key, size: object.size, modifiedAt: object.modifiedAt };
        continue;
      }
      const folder = key.slice(0, slash + 1);
      if (!told.has(folder)) yield { kind: 'prefix', key: folder };
      told.add(folder);
    }
  }

  async writer(key: string, options: { readonly append: boolean }): Promise<FileWriter> {
    const before = options.append
      ? (this.#unfinished.get(key) ?? this.#objects.get(key)?.content)
      : undefined;
    const chunks: Uint8Array[] = before ? [before] : [];
    let size = before?.length ?? 0;
    return {
      get size() {
        return size;
      },
      write(chunk) {
        chunks.push(chunk);
        size += chunk.length;
        return undefined;
      },
      close: async () => void this.#unfinished.set(key, Buffer.concat(chunks)),
    };
  }

  async unfinishedSize(key: string): Promise<number | undefined> {
    return (this.#unfinished.get(key) ?? this.#objects.get(key)?.content)?.length;
  }

  async seal(key: string): Promise<boolean> {
    const content = this.#unfinished.get(key);
    if (content === undefined) return this.#objects.has(key);
    this.#unfinished.delete(key);
    this.#keep(key, content);
    return true;
  }

  async abandon(prefix: string): Promise<void> {
    for (const key of this.#unfinished.keys()) if (key.startsWith(prefix)) this.#unfinished.delete(key);
  }

  #keep(key: string, content: Buffer): void {
    this.#objects.set(key, { content, size: content.length, modifiedAt: this.#now() });
  }
}

async function* chunksOf(content: Buffer): AsyncIterable<Uint8Array> {
  if (content.length > 0) yield content;
}
