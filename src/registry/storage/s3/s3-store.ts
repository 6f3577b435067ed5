import { forEachAtOnce } from '../../../process/at-once.ts';
import type { Clock } from '../../../process/clock.ts';
import type { ByteRange, FileWriter } from '../driver.ts';
import type { ListedObject, ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { copyInParts, type CopyOptions } from './copy-in-parts.ts';
import { refused, type S3Connection } from './s3-connection.ts';
import { PartPlaces } from './part-places.ts';
import { assertAllDeleted, deletion, S3Objects } from './s3-objects.ts';
import { S3Uploads, SMALLEST_PART, type OpenUpload, type Part } from './s3-uploads.ts';
import { S3Writer, sizeOf, type Left } from './s3-writer.ts';

/** How long a client may follow a redirect, in seconds; as in docker distribution. */
const REDIRECT_SECONDS = 20 * 60;

/** Where objects are deleted one by one. */
const DELETES_AT_ONCE = 16;

export interface S3StoreOptions {
  /** The driver's name in the configuration. */
  readonly name: string;
  readonly connection: S3Connection;
  readonly clock: Clock;
  /** Bytes of a part of an upload. */
  readonly chunkSize: number;
  readonly copies: CopyOptions;
  /** Larger objects are copied in parts; bytes. */
  readonly copyThreshold: number;
  /** Scheme and host that clients are sent to instead of the store's own. */
  readonly redirectEndpoint?: URL;
}

/** A bucket of Amazon S3 or of a store that speaks as it does. */
export class S3Store implements ObjectStore {
  readonly name: string;
  readonly #options: S3StoreOptions;
  readonly #objects: S3Objects;
  readonly #uploads: S3Uploads;
  readonly #places: PartPlaces;
  #deletesTogether = true;

  constructor(options: S3StoreOptions) {
    this.name = options.name;
    this.#options = options;
    this.#objects = new S3Objects(options.connection);
    this.#uploads = new S3Uploads(options.connection);
    this.#places = new PartPlaces(options);
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#objects.get(key);
  }

  read(key: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#objects.read(key, range);
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#objects.head(key);
  }

  put(key: string, content: Uint8Array): Promise<void> {
    return this.#objects.put(key, content);
  }

  async copy(from: string, to: string): Promise<boolean> {
    const source = await this.#objects.head(from);
    if (source === undefined) return false;
    if (source.size <= Math.max(this.#options.copyThreshold, SMALLEST_PART))
      return this.#objects.copy(from, to);
    const upload = await this.#uploads.create(to);
    try {
      const parts = await copyInParts(
        this.#uploads,
        upload,
        { from, size: source.size },
        this.#options.copies,
      );
      await this.#uploads.complete(upload, parts);
    } catch (error) {
      // Its parts would be paid for until somebody aborts it; what went wrong before counts more.
      await this.#uploads.abort(upload).catch(() => undefined);
      throw error;
    }
    return true;
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#objects.delete(keys);
  }

  list(
    prefix: string,
    options: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject> {
    return this.#objects.list(prefix, options);
  }

  async writer(key: string, { append }: { readonly append: boolean }): Promise<FileWriter> {
    if (!append) for (const upload of await this.#uploadsOf(key)) await this.#uploads.abort(upload);
    return new S3Writer({
      ...this.#options,
      objects: this.#objects,
      uploads: this.#uploads,
      key,
      left: append ? await this.#findLeft(key) : NOTHING,
      places: this.#places,
    });
  }

  async unfinishedSize(key: string): Promise<number | undefined> {
    const left = await this.#findLeft(key);
    return left.upload || left.objectSize !== undefined ? sizeOf(left) : undefined;
  }

  async seal(key: string): Promise<boolean> {
    const { upload, parts, objectSize } = await this.#findLeft(key);
    if (upload === undefined) return objectSize !== undefined;
    if (parts.length > 0) {
      await this.#uploads.complete(upload, parts);
      return true;
    }
    // S3 makes no object of no parts.
    if (objectSize === undefined) await this.#objects.put(key, new Uint8Array());
    await this.#uploads.abort(upload);
    return true;
  }

  async abandon(prefix: string): Promise<void> {
    for await (const upload of this.#uploads.list(prefix)) await this.#uploads.abort(upload);
  }

  async redirectUrl(key: string, method: 'GET' | 'HEAD'): Promise<string> {
    const { connection, redirectEndpoint } = this.#options;
    const url = connection.address.url(key);
    if (redirectEndpoint) {
      // Setting `host` would leave the port as it is.
      url.protocol = redirectEndpoint.protocol;
      url.hostname = redirectEndpoint.hostname;
      url.port = redirectEndpoint.port;
    }
    return (await connection.presign(method, url, { seconds: REDIRECT_SECONDS })).href;
  }

  async deleteWithin(key: string, milliseconds: number): Promise<boolean> {
    const { connection, clock } = this.#options;
    const began = clock.monotonic();
    // Brings the store's time as well.
    if ((await this.#objects.head(key)) === undefined) return false;
    const url = await this.#presignWithin(
      'DELETE',
      key,
      connection.address.url(key),
      milliseconds - (clock.monotonic() - began),
    );
    const { request, status, refusal } = await connection.callPresigned('DELETE', url);
    if (refusal) throw refused(request, status, refusal);
    return true;
  }

  /** Together; one by one at a store that does not let a URL allow that. */
  async deleteAllWithin(keys: readonly string[], milliseconds: number): Promise<void> {
    const { connection, clock } = this.#options;
    const began = clock.monotonic();
    if (this.#deletesTogether) {
      const url = await this.#presignWithin(
        'POST',
        keys[0] ?? '',
        connection.address.url('', 'delete='),
        milliseconds,
      );
      const answer = await connection.callPresigned('POST', url, deletion(keys));
      // What was refused as a whole has deleted nothing.
      if (answer.refusal === undefined) return assertAllDeleted(answer);
      this.#deletesTogether = false;
    }
    const left = milliseconds - (clock.monotonic() - began);
    await forEachAtOnce(keys, DELETES_AT_ONCE, async (key) => void (await this.deleteWithin(key, left)));
  }

  /** @throws Error when the time is over. */
  async #presignWithin(method: 'DELETE' | 'POST', key: string, url: URL, milliseconds: number): Promise<URL> {
    // The store counts whole seconds, and refuses from the next one on.
    const seconds = Math.floor(milliseconds / 1000) - 1;
    if (seconds < 1) throw new Error(`the time to delete ${key} is over`);
    return this.#options.connection.presign(method, url, { seconds });
  }

  /** What writers left: the parts of an upload, else the object, else an upload that was only begun. */
  async #findLeft(key: string): Promise<Left> {
    let largest: Left = NOTHING;
    // There is one, unless the answer to the beginning of another got lost.
    for (const upload of await this.#uploadsOf(key)) {
      const parts = await this.#uploads.parts(upload);
      if (parts === undefined) continue;
      const found = { upload, ...withoutGap(parts) };
      if (largest.upload === undefined || sizeOf(found) > sizeOf(largest)) largest = found;
    }
    if (largest.parts.length > 0) return largest;
    const object = await this.#objects.head(key);
    return { ...largest, ...(object && { objectSize: object.size }) };
  }

  async #uploadsOf(key: string): Promise<readonly OpenUpload[]> {
    const all = await Array.fromAsync(this.#uploads.list(key));
    return all.filter((upload) => upload.key === key);
  }
}

const NOTHING: Left = { parts: [], hasGap: false };

/** Parts travel side by side, so that after a failure an earlier one may lack: what is behind it is lost. */
function withoutGap(parts: readonly Part[]): Pick<Left, 'parts' | 'hasGap'> {
  const gap = parts.findIndex(({ number }, index) => number !== index + 1);
  return { parts: gap < 0 ? parts : parts.slice(0, gap), hasGap: gap >= 0 };
}
