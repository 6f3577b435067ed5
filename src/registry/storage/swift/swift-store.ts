import type { Clock } from '../../../process/clock.ts';
import { RegistryError } from '../../errors.ts';
import type { ByteRange, FileWriter } from '../driver.ts';
import type { ListedObject, ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { PieceSizes, PieceWriter } from '../object-store/piece-writer.ts';
import type { SwiftConnection } from './connection.ts';
import { atOnce, type ListedName, type SwiftContainer } from './container.ts';
import { fileName, nextSegment, segmentFolder, segmentName, segmentNumber } from './layout.ts';
import { SegmentSink } from './segment-sink.ts';
import { tempUrl, type TempUrlKey } from './temp-url.ts';

/** The least that is worth a segment, in bytes. */
const SMALLEST_SEGMENT = 512 * 1024;

/** How long a URL that a client is sent to is good for, in milliseconds; as in docker distribution. */
const REDIRECT_LIFETIME = 20 * 60_000;

/** How long a list may lag behind what was written, in milliseconds, and the first wait for it; as in distribution. */
const LONGEST_LAG = 15_000;
const FIRST_LOOK = 200;

export interface SwiftStoreOptions {
  readonly connection: SwiftConnection;
  readonly container: SwiftContainer;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  /** See the option. */
  readonly prefix: string;
  /** Most bytes of a segment. */
  readonly chunkBytes: number;
  /** What deletes are signed with so that they expire. */
  readonly deleteKey: TempUrlKey | undefined;
  /** What the URLs are signed with that clients are sent to. */
  readonly redirectKey: TempUrlKey | undefined;
}

/** All segments of a large object: those that the store lists, and those that it does not list yet. */
interface Segments {
  readonly names: readonly string[];
  readonly size: number;
  /** The number of the one behind them. */
  readonly next: number;
}

/**
 * Objects as docker distribution 2.8 lays them down. What a writer leaves is a large object, which names its segments by
 * what their names begin with, so that it grows with each of them; what fits into one segment is a plain object, which
 * distribution reads and goes on behind as well.
 *
 * Ceph's lists see each completed write. OpenStack's may be late, and large objects are read by them: `seal` waits until
 * such an object has its size, and a read of one that is still empty waits, too, for as long as distribution does.
 */
export class SwiftStore implements ObjectStore {
  readonly name = 'swift';
  readonly redirectUrl?: (key: string, method: 'GET' | 'HEAD') => Promise<string | undefined>;
  readonly deleteWithin?: (key: string, milliseconds: number) => Promise<boolean>;
  readonly #options: SwiftStoreOptions;
  readonly #container: SwiftContainer;
  readonly #segmentSizes: PieceSizes;

  constructor(options: SwiftStoreOptions) {
    this.#options = options;
    this.#container = options.container;
    this.#segmentSizes = new PieceSizes({ largest: options.chunkBytes, unit: SMALLEST_SEGMENT });
    const { redirectKey, deleteKey } = options;
    if (redirectKey) this.redirectUrl = (key) => this.#redirect(key, redirectKey);
    if (deleteKey)
      this.deleteWithin = (key, milliseconds) => this.#deleteWithin(key, milliseconds, deleteKey);
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#container.get(this.#name(key));
  }

  async read(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#container.read(this.#name(key), range);
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const name = this.#name(key);
    const object = await this.#container.head(name);
    if (object?.segments === undefined || object.size > 0) return object;
    // Just begun, or not listed yet.
    const { size } = await this.#segmentsOf(object.segments);
    if (size > 0) await this.#waitUntilListed(name, size);
    return { ...object, size };
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    await this.#container.put(this.#name(key), content);
  }

  /** The copy of a large object has segments of its own, so that either can be deleted. */
  async copy(from: string, to: string): Promise<boolean> {
    const source = this.#name(from);
    const object = await this.#container.head(source);
    if (object?.segments === undefined) {
      return object !== undefined && this.#container.copy(source, this.#name(to));
    }
    const { names } = await this.#segmentsOf(object.segments);
    const folder = this.#newFolder(to);
    const numbered = names.map((name, index) => [name, segmentName(folder, index + 1)] as const);
    const copied = await atOnce(numbered, ([name, copy]) => this.#container.copy(name, copy));
    if (!copied.every(Boolean)) throw unavailable('a file changed in the storage while it was copied');
    await this.#container.putLargeObject(this.#name(to), folder);
    return true;
  }

  /**
   * Never do two names lead to the same segments, since whoever deletes one would take them from the other. So a power cut
   * in between leaves segments without a name, which cost space and nothing else.
   */
  async move(from: string, to: string): Promise<boolean> {
    const source = this.#name(from);
    const object = await this.#container.head(source);
    if (object?.segments === undefined) {
      if (object === undefined || !(await this.#container.copy(source, this.#name(to)))) return false;
      await this.#container.remove([source]);
      return true;
    }
    await this.#container.remove([source]);
    await this.#container.putLargeObject(this.#name(to), object.segments);
    return true;
  }

  /** Names go before their segments: a name without them would be a file without its bytes. */
  async delete(keys: readonly string[]): Promise<void> {
    const names = keys.map((key) => this.#name(key));
    const objects = await atOnce(names, (name) => this.#container.head(name));
    await this.#container.remove(names.filter((_name, index) => objects[index] !== undefined));
    await this.#removeSegments(objects.flatMap((object) => object?.segments ?? []));
  }

  async *list(
    prefix: string,
    options: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject> {
    for await (const page of this.#container.list(this.#name(prefix), options)) {
      const objects = await atOnce(page, (listed) => this.#listed(listed));
      for (const object of objects) if (object) yield object;
    }
  }

  async writer(key: string, { append }: { readonly append: boolean }): Promise<FileWriter> {
    const name = this.#name(key);
    if (!append) await this.delete([key]);
    const object = append ? await this.#container.head(name) : undefined;
    const segments = object?.segments === undefined ? undefined : await this.#segmentsOf(object.segments);
    return new PieceWriter(
      new SegmentSink({
        container: this.#container,
        name,
        size: segments?.size ?? object?.size ?? 0,
        folder: object?.segments,
        next: segments?.next ?? nextSegment(undefined),
        newFolder: () => this.#newFolder(key),
        sizes: this.#segmentSizes,
      }),
    );
  }

  async unfinishedSize(key: string): Promise<number | undefined> {
    const object = await this.#container.head(this.#name(key));
    return object?.segments === undefined ? object?.size : (await this.#segmentsOf(object.segments)).size;
  }

  /** @throws RegistryError UNAVAILABLE when the store does not list all segments in time. */
  async seal(key: string): Promise<boolean> {
    const name = this.#name(key);
    const object = await this.#container.head(name);
    if (object?.segments === undefined) return object !== undefined;
    const { size } = await this.#segmentsOf(object.segments);
    if (object.size !== size) await this.#waitUntilListed(name, size);
    return true;
  }

  /** What writers left are objects like others, which are listed and deleted. */
  async abandon(): Promise<void> {}

  async #redirect(key: string, signWith: TempUrlKey): Promise<string> {
    const expires = Math.floor((this.#options.connection.storeTime() + REDIRECT_LIFETIME) / 1000);
    const object = await this.#options.connection.objectUrl(this.#name(key));
    // Good for HEAD as well.
    return tempUrl(object, 'GET', expires, signWith).href;
  }

  /** The name goes by the signed URL. Its segments, which no other has, may go at any time afterwards. */
  async #deleteWithin(key: string, milliseconds: number, signWith: TempUrlKey): Promise<boolean> {
    const { clock, connection } = this.#options;
    const began = clock.monotonic();
    const name = this.#name(key);
    const object = await this.#container.head(name);
    if (object === undefined) return false;
    const left = milliseconds - (clock.monotonic() - began);
    const expires = Math.floor((connection.storeTime() + left) / 1000);
    const url = tempUrl(await connection.objectUrl(name), 'DELETE', expires, signWith);
    const answer = await connection.fetchOnce({ method: 'DELETE', url }, [404]);
    if (answer.status === 404) return false;
    if (object.segments !== undefined) await this.#removeSegments([object.segments]);
    return true;
  }

  #name(key: string): string {
    return fileName(this.#options.prefix, key);
  }

  #newFolder(key: string): string {
    return segmentFolder(this.#options.prefix, key, this.#options.randomBytes(32));
  }

  /** A list shows a large object with the size 0. @returns undefined for what is gone meanwhile. */
  async #listed(listed: ListedName): Promise<ListedObject | undefined> {
    const key = listed.name.slice(this.#name('').length);
    if (listed.kind === 'prefix') return { kind: 'prefix', key };
    const { size, modifiedAt } = listed;
    if (size > 0) return { kind: 'object', key, size, modifiedAt };
    const info = await this.head(key);
    return info && { kind: 'object', key, size: info.size, modifiedAt: info.modifiedAt };
  }

  /**
   * Segments are written one after the other, so those that a list lacks are looked for by their numbers, one of which
   * distribution leaves out.
   */
  async #segmentsOf(folder: string): Promise<Segments> {
    const listed = new Map<number, number>();
    for await (const page of this.#container.list(`${folder}/`, { shallow: false })) {
      for (const entry of page) {
        const number = segmentNumber(entry.name);
        if (entry.kind === 'object' && number !== undefined) listed.set(number, entry.size);
      }
    }
    const last = Math.max(-1, ...listed.keys());
    const names: string[] = [];
    let size = 0;
    for (let number = listed.has(0) ? 0 : nextSegment(undefined); ; number = nextSegment(number)) {
      const name = segmentName(folder, number);
      const bytes = listed.get(number) ?? (await this.#container.head(name))?.size;
      if (bytes === undefined && number > last) return { names, size, next: number };
      if (bytes !== undefined) names.push(name);
      size += bytes ?? 0;
    }
  }

  async #removeSegments(folders: readonly string[]): Promise<void> {
    const segments = await atOnce(folders, (folder) => this.#segmentsOf(folder));
    await this.#container.remove(segments.flatMap(({ names }) => names));
  }

  /** Waits until the store shows a large object in its size. */
  async #waitUntilListed(name: string, size: number): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + LONGEST_LAG;
    for (let wait = FIRST_LOOK; (await this.#container.head(name))?.size !== size; wait *= 2) {
      if (clock.monotonic() + wait > deadline)
        throw unavailable('the storage does not list all parts of a file yet');
      await clock.sleep(wait);
    }
  }
}

function unavailable(message: string): RegistryError {
  return new RegistryError({ code: 'UNAVAILABLE', message }, { headers: { 'Retry-After': '5' } });
}
