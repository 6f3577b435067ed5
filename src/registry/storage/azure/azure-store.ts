import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import { Semaphore } from '../../../process/semaphore.ts';
import type { ByteRange, FileWriter } from '../driver.ts';
import { noBytes, rangeHeader } from '../object-store/byte-range.ts';
import type { ListedObject, ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { PieceSizes, PieceWriter } from '../object-store/piece-writer.ts';
import { RedirectSigner } from '../object-store/redirect-signer.ts';
import { storeRefusal, type StoreAnswer } from '../object-store/store-client.ts';
import { elements, elementText } from '../object-store/xml.ts';
import { errorCode, type AzureClient, type BlobRequest } from './azure-client.ts';

/** The most that Azure appends at once, and the least that is worth a request; bytes. */
const LARGEST_PIECE = 4 * 1024 * 1024;
const SMALLEST_PIECE = 512 * 1024;

/** Azure's own name of the header Range. */
const RANGE = 'x-ms-range';

/** Deletes on their way at once. */
const DELETES_AT_ONCE = 16;

/** How long a URL that a client is sent to is good for, in milliseconds; as in docker distribution. */
const REDIRECT_LIFETIME = 20 * 60_000;

export interface AzureStoreOptions {
  readonly client: AzureClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds before the n-th look (from 1) at a copy that does not get on; undefined gives up. */
  readonly copyDelay: (look: number) => number | undefined;
  /** In front of each key: docker distribution 2 writes blob names that begin with a slash. */
  readonly keyPrefix: '' | '/';
}

/**
 * Blobs as docker distribution lays them down: small files are block blobs, uploads are append blobs. A blob of another
 * kind in the place of a new one is deleted first, because Azure replaces only like by like.
 */
export class AzureStore implements ObjectStore {
  readonly name = 'azure';
  readonly #client: AzureClient;
  readonly #options: AzureStoreOptions;
  readonly #redirects: RedirectSigner;
  readonly #pieceSizes = new PieceSizes({ largest: LARGEST_PIECE, unit: SMALLEST_PIECE });

  constructor(options: AzureStoreOptions) {
    this.#client = options.client;
    this.#redirects = new RedirectSigner(options.log);
    this.#options = options;
  }

  async get(key: string): Promise<Buffer | undefined> {
    const answer = await this.#client.fetch(this.#blob(key), { method: 'GET' });
    return answer && isWhole(answer) ? answer.body : undefined;
  }

  async read(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    const request: BlobRequest = { method: 'GET', headers: range ? rangeHeader(range, RANGE) : {} };
    const answer = await this.#client.open(this.#blob(key), request, ['InvalidRange']);
    if (answer === undefined) return undefined;
    // A range behind the end has no bytes.
    if (Buffer.isBuffer(answer.body)) return noBytes();
    if (isWhole(answer)) return answer.body;
    await answer.body.dump();
    return undefined;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const answer = await this.#client.fetch(this.#blob(key), { method: 'HEAD' });
    if (answer === undefined || !isWhole(answer)) return undefined;
    const { 'content-length': size, 'last-modified': modified } = answer.headers;
    return { size: Number(size), modifiedAt: Date.parse(String(modified)) };
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'content-type': 'application/octet-stream' };
    await this.#replace(this.#blob(key), { method: 'PUT', headers, body: content });
  }

  /** Azure copies within an account without another signature for the source. */
  async copy(from: string, to: string): Promise<boolean> {
    const target = this.#blob(to);
    const headers = { 'x-ms-copy-source': this.#client.url(this.#blob(from)).href };
    for (;;) {
      const answer = await this.#replace(target, { method: 'PUT', headers }, ['PendingCopyOperation']);
      if (answer === undefined) return false;
      const othersCopy = errorCode(answer) !== undefined;
      if (othersCopy || answer.headers['x-ms-copy-status'] === 'pending') await this.#copied(target);
      if (!othersCopy) return true;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const deletes = new Semaphore(DELETES_AT_ONCE);
    await Promise.all(keys.map((key) => deletes.run(() => this.#delete(this.#blob(key)))));
  }

  async *list(
    prefix: string,
    { shallow, limit }: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject> {
    const query = {
      comp: 'list',
      prefix: this.#blob(prefix),
      ...(shallow && { delimiter: '/' }),
      ...(limit !== undefined && { maxresults: String(limit) }),
    };
    let marker: string | undefined = '';
    do {
      const page: string = (
        await this.#client.fetchContainer({ ...query, ...(marker && { marker }) })
      ).body.toString();
      yield* listed(page).map((object) => ({
        ...object,
        key: object.key.slice(this.#options.keyPrefix.length),
      }));
      marker = elementText(page, 'NextMarker');
    } while (marker);
  }

  async writer(key: string, { append }: { readonly append: boolean }): Promise<FileWriter> {
    const blob = this.#blob(key);
    const size = append ? await this.unfinishedSize(key) : undefined;
    if (size === undefined) {
      await this.#replace(blob, { method: 'PUT', headers: { 'x-ms-blob-type': 'AppendBlob' } });
    }
    return new PieceWriter({
      size: size ?? 0,
      sizes: this.#pieceSizes,
      send: (piece, start) => this.#append(blob, piece, start),
      finish: async (rest, start) => {
        if (rest.length > 0) await this.#append(blob, rest, start);
      },
    });
  }

  async unfinishedSize(key: string): Promise<number | undefined> {
    return (await this.head(key))?.size;
  }

  /** What was appended can be read at once. */
  async seal(key: string): Promise<boolean> {
    return (await this.head(key)) !== undefined;
  }

  /** What writers left are blobs like others, which are listed and deleted. */
  async abandon(): Promise<void> {}

  redirectUrl(key: string): Promise<string | undefined> {
    return this.#redirects.url(() => this.#client.readableUrl(this.#blob(key), REDIRECT_LIFETIME));
  }

  async deleteWithin(key: string, milliseconds: number): Promise<boolean> {
    return this.#client.deleteUntil(this.#blob(key), this.#client.time() + milliseconds);
  }

  #blob(key: string): string {
    return this.#options.keyPrefix + key;
  }

  async #delete(blob: string): Promise<void> {
    await this.#client.fetch(blob, { method: 'DELETE' });
  }

  /** Puts a blob in the place of whatever is there. */
  async #replace(
    blob: string,
    request: BlobRequest,
    accepted: readonly string[] = [],
  ): Promise<StoreAnswer | undefined> {
    const answer = await this.#client.fetch(blob, request, ['InvalidBlobType', ...accepted]);
    if (answer === undefined || errorCode(answer) !== 'InvalidBlobType') return answer;
    await this.#delete(blob);
    return this.#client.fetch(blob, request, accepted);
  }

  /** Waits for the end of a copy into a blob. @throws RegistryError UNAVAILABLE when it fails or stands still. */
  async #copied(blob: string): Promise<void> {
    const { clock, copyDelay } = this.#options;
    let before: unknown;
    for (let look = 1; ; look++) {
      const answer = await this.#client.fetch(blob, { method: 'HEAD' });
      const { 'x-ms-copy-status': status, 'x-ms-copy-progress': progress } = answer?.headers ?? {};
      if (status === 'success') return;
      if (status === 'pending' && progress !== before) look = 1;
      before = progress;
      const delay = status === 'pending' ? copyDelay(look) : undefined;
      if (delay === undefined) {
        const told = `the copy is ${String(status)} at ${String(progress)} bytes`;
        throw storeRefusal({ method: 'PUT', url: this.#client.url(blob) }, 202, 'CopyNotCompleted', told);
      }
      await clock.sleep(delay);
    }
  }

  /**
   * Appends at exactly this place. When the answer to an earlier attempt got lost, Azure refuses the next one because the
   * bytes are there already, and we look whether they are ours.
   */
  async #append(blob: string, piece: Buffer, start: number): Promise<void> {
    const request: BlobRequest = {
      method: 'PUT',
      query: { comp: 'appendblock' },
      headers: { 'x-ms-blob-condition-appendpos': String(start) },
      body: piece,
    };
    const answer = await this.#client.fetch(blob, request, ['AppendPositionConditionNotMet']);
    if (answer !== undefined && errorCode(answer) === undefined) return;
    if (answer?.retried) {
      const there = await this.#client.fetch(
        blob,
        { method: 'GET', headers: rangeHeader({ start }, RANGE) },
        ['InvalidRange'],
      );
      if (there?.body.equals(piece)) return;
    }
    throw storeRefusal(
      { method: 'PUT', url: this.#client.url(blob) },
      answer?.status ?? 404,
      answer === undefined ? 'BlobNotFound' : errorCode(answer),
      'another process has changed the upload',
    );
  }
}

/** False while Azure still copies, or when it gave up: the blob has a name and a size, and no bytes. */
function isWhole({ headers }: Pick<StoreAnswer, 'headers'>): boolean {
  const status = headers['x-ms-copy-status'];
  return status === undefined || status === 'success';
}

/** What a page of a list names, in the order of the names. */
function listed(page: string): ListedObject[] {
  const name = (element: string): string => elementText(element, 'Name') ?? '';
  const blobs = elements(page, 'Blob').map((blob): ListedObject => ({
    kind: 'object',
    key: name(blob),
    size: Number(elementText(blob, 'Content-Length')),
    modifiedAt: Date.parse(elementText(blob, 'Last-Modified') ?? ''),
  }));
  const prefixes = elements(page, 'BlobPrefix').map((prefix): ListedObject => ({
    kind: 'prefix',
    key: name(prefix),
  }));
  return [...blobs, ...prefixes].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
