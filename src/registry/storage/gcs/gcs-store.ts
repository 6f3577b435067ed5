import { randomUUID } from 'node:crypto';
import type { Logger } from '../../../process/logger.ts';
import type { ByteRange, FileWriter } from '../driver.ts';
import { noBytes, rangeHeader } from '../object-store/byte-range.ts';
import type { ListedObject, ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { PieceSizes, PieceWriter } from '../object-store/piece-writer.ts';
import { RedirectSigner } from '../object-store/redirect-signer.ts';
import type { StoreAnswer } from '../object-store/store-client.ts';
import type { GcsClient } from './gcs-client.ts';
import { PIECE_UNIT, UploadSession } from './upload-session.ts';

/** Content types by which docker distribution tells a file from an upload. */
const FILE = 'application/octet-stream';
const UPLOAD = 'application/x-docker-upload-session';

/** How long a URL that a client is sent to is good for, in seconds; as in docker distribution. */
const REDIRECT_LIFETIME = 20 * 60;

export interface GcsStoreOptions {
  readonly client: GcsClient;
  readonly log: Logger;
  /** Bytes to send at once, a multiple of PIECE_UNIT. */
  readonly chunkSize: number;
}

/** What an upload has so far: bytes in a session, when there is one, and behind them those of the object itself. */
interface UnfinishedUpload {
  readonly session: UploadSession | undefined;
  readonly offset: number;
  readonly rest: Buffer;
}

/**
 * Objects as docker distribution lays them down. An upload is an object of a type of its own, in the place of the later
 * file: its metadata name Google's upload session and how far that is, its content is what was too little to be sent. So
 * every replica, and distribution, can continue it.
 */
export class GcsStore implements ObjectStore {
  readonly name = 'gcs';
  readonly deleteWithin?: (key: string, milliseconds: number) => Promise<boolean>;
  readonly #client: GcsClient;
  readonly #pieceSizes: PieceSizes;
  readonly #redirects: RedirectSigner;

  constructor({ client, log, chunkSize }: GcsStoreOptions) {
    this.#client = client;
    this.#pieceSizes = new PieceSizes({ largest: chunkSize, unit: PIECE_UNIT });
    this.#redirects = new RedirectSigner(log);
    if (client.canSign) this.deleteWithin = (key, milliseconds) => client.deleteWithin(key, milliseconds);
  }

  async get(key: string): Promise<Buffer | undefined> {
    const answer = await this.#media(key, {});
    return answer === undefined || isUpload(answer) ? undefined : answer.body;
  }

  async read(key: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array> | undefined> {
    const answer = await this.#client.open(this.#client.objectPath(key), {
      method: 'GET',
      query: { alt: 'media' },
      headers: rangeHeader(range),
    });
    if (answer === undefined) return undefined;
    // A range behind the end has no bytes.
    if (Buffer.isBuffer(answer.body)) return noBytes();
    if (!isUpload(answer)) return answer.body;
    await answer.body.dump();
    return undefined;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const object = await this.#attributes(key);
    return object === undefined || object.contentType === UPLOAD ? undefined : object;
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    await this.#insert({
      query: { uploadType: 'media', name: key },
      headers: { 'content-type': FILE },
      body: content,
    });
  }

  /** Google copies large objects, and those that change their place, step by step. */
  async copy(from: string, to: string): Promise<boolean> {
    const path = `${this.#client.objectPath(from)}/rewriteTo${this.#client.objectPath(to).replace('/storage/v1', '')}`;
    for (let query = {}; ;) {
      const answer = await this.#client.fetch(path, { method: 'POST', query });
      if (answer === undefined) return false;
      const { done, rewriteToken } = parse(answer) as Rewrite; // as documented
      if (done) return true;
      query = { rewriteToken };
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    await Promise.all(
      keys.map((key) => this.#client.fetch(this.#client.objectPath(key), { method: 'DELETE' })),
    );
  }

  async *list(
    prefix: string,
    options: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject> {
    for await (const object of this.#list(prefix, options)) {
      if (object.kind === 'prefix' || object.contentType !== UPLOAD) yield object;
    }
  }

  async writer(key: string, { append }: { readonly append: boolean }): Promise<FileWriter> {
    const sealed = append ? await this.read(key) : undefined;
    const unfinished = append && sealed === undefined ? await this.#unfinished(key) : undefined;
    let session = unfinished?.session;
    const send = async (piece: Buffer, start: number): Promise<void> => {
      session ??= await UploadSession.start(this.#client, key, FILE);
      await session.send(piece, start);
    };
    const writer = new PieceWriter({
      size: unfinished?.offset ?? 0,
      sizes: this.#pieceSizes,
      send,
      finish: async (rest, start) => {
        const whole = wholeUnits(rest.length);
        if (whole > 0) await send(rest.subarray(0, whole), start);
        await this.#keep(key, { session, offset: start + whole, rest: rest.subarray(whole) });
      },
    });
    if (unfinished) await writer.write(unfinished.rest);
    // A finished object cannot be continued: its bytes go into a new upload.
    for await (const chunk of sealed ?? []) await writer.write(chunk);
    return writer;
  }

  async unfinishedSize(key: string): Promise<number | undefined> {
    const object = await this.#attributes(key);
    return object && object.size + object.offset;
  }

  async seal(key: string): Promise<boolean> {
    if (await this.head(key)) return true;
    const unfinished = await this.#unfinished(key);
    if (unfinished === undefined) return false;
    const { session, offset, rest } = unfinished;
    if (session) await session.finish(rest, offset);
    else await this.put(key, rest);
    return true;
  }

  /** Google forgets the sessions themselves after a week. */
  async abandon(prefix: string): Promise<void> {
    const keys: string[] = [];
    for await (const object of this.#list(prefix, { shallow: false })) {
      if (object.kind === 'object' && object.contentType === UPLOAD) keys.push(object.key);
    }
    await this.delete(keys);
  }

  async redirectUrl(key: string, method: 'GET' | 'HEAD'): Promise<string | undefined> {
    if (!this.#client.canSign) return undefined;
    return this.#redirects.url(() => this.#client.readableUrl(key, method, REDIRECT_LIFETIME));
  }

  #media(key: string, query: Readonly<Record<string, string>>): Promise<StoreAnswer | undefined> {
    return this.#client.fetch(this.#client.objectPath(key), {
      method: 'GET',
      query: { ...query, alt: 'media' },
    });
  }

  async #attributes(key: string): Promise<Attributes | undefined> {
    const answer = await this.#client.fetch(this.#client.objectPath(key), { method: 'GET' });
    return answer && attributes(parse(answer) as ObjectResource);
  }

  async #unfinished(key: string): Promise<UnfinishedUpload | undefined> {
    const object = await this.#attributes(key);
    if (object?.contentType !== UPLOAD) return undefined;
    // Another replica may write meanwhile: the content must be the one that the metadata speak of.
    const content = await this.#media(key, { generation: object.generation });
    if (content === undefined) return undefined;
    const session = object.session === '' ? undefined : new UploadSession(this.#client, object.session);
    return { session, offset: object.offset, rest: content.body };
  }

  /** Writes down how far an upload is. */
  async #keep(key: string, { session, offset, rest }: UnfinishedUpload): Promise<void> {
    const metadata = { 'Session-URI': session?.address ?? '', Offset: String(offset) };
    const description = JSON.stringify({ name: key, contentType: UPLOAD, metadata });
    const boundary = randomUUID();
    const before = `--${boundary}\r\nContent-Type: application/json\r\n\r\n${description}\r\n--${boundary}\r\nContent-Type: ${UPLOAD}\r\n\r\n`;
    await this.#insert({
      query: { uploadType: 'multipart' },
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: Buffer.concat([Buffer.from(before), rest, Buffer.from(`\r\n--${boundary}--`)]),
    });
  }

  async #insert(request: {
    readonly query: Readonly<Record<string, string>>;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
  }): Promise<void> {
    const answer = await this.#client.fetch(`/upload${this.#client.objectsPath}`, {
      method: 'POST',
      ...request,
    });
    if (answer === undefined) throw new Error('an object was put into a bucket that does not exist');
  }

  async *#list(
    prefix: string,
    { shallow, limit }: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedAttributes> {
    const query = {
      prefix,
      ...(shallow && { delimiter: '/' }),
      ...(limit !== undefined && { maxResults: String(limit) }),
      fields: 'items(name,size,updated,contentType),prefixes,nextPageToken',
    };
    let pageToken: string | undefined;
    do {
      const answer = await this.#client.fetch(this.#client.objectsPath, {
        method: 'GET',
        query: { ...query, ...(pageToken !== undefined && { pageToken }) },
      });
      if (answer === undefined) throw new Error('a bucket was listed that does not exist');
      const page = parse(answer) as Page; // as documented
      yield* listed(page);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }
}

interface Attributes extends ObjectInfo {
  readonly contentType: string;
  readonly generation: string;
  /** Of an upload: the session's address, and how many bytes it has. */
  readonly session: string;
  readonly offset: number;
}

type ListedAttributes =
  | ({ readonly kind: 'object'; readonly key: string } & Attributes)
  | { readonly kind: 'prefix'; readonly key: string };

/** https://cloud.google.com/storage/docs/json_api/v1/objects, as far as it was asked for. */
interface ObjectResource {
  readonly name?: string;
  readonly size?: string;
  readonly updated?: string;
  readonly contentType?: string;
  readonly generation?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects/list */
interface Page {
  readonly items?: readonly ObjectResource[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite */
interface Rewrite {
  readonly done: boolean;
  readonly rewriteToken: string;
}

function listed({ items = [], prefixes = [] }: Page): ListedAttributes[] {
  const objects = items.map((item): ListedAttributes => ({
    kind: 'object',
    key: item.name ?? '',
    ...attributes(item),
  }));
  const folders = prefixes.map((key): ListedAttributes => ({ kind: 'prefix', key }));
  return [...objects, ...folders].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function attributes(object: ObjectResource): Attributes {
  const { size = '0', updated = '', contentType = '', generation = '', metadata = {} } = object;
  return {
    size: Number(size),
    modifiedAt: Date.parse(updated),
    contentType,
    generation,
    session: metadata['Session-URI'] ?? '',
    offset: Number(metadata['Offset'] ?? 0),
  };
}

function parse({ body }: StoreAnswer): unknown {
  return JSON.parse(body.toString());
}

function isUpload({ headers }: Pick<StoreAnswer, 'headers'>): boolean {
  return headers['content-type'] === UPLOAD;
}

function wholeUnits(bytes: number): number {
  return Math.floor(bytes / PIECE_UNIT) * PIECE_UNIT;
}
