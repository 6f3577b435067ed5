import type { Digest } from '../oci/digest.ts';
import { push } from './registry-client.ts';
import { RegistryRefusal } from './refusal.ts';
import type { ClientAnswer, RegistryHttp } from './registry-http.ts';
import { pause, TransientError } from './retry.ts';

/** A blob that is sent in one request holds at most this many bytes, which are in memory meanwhile. */
const SMALL = 1024 * 1024;

/** What is sent. */
export interface BlobContent {
  readonly digest: Digest;
  readonly size: number;
  /** Bytes from `start` on, as often as they are needed. A source that breaks throws TransientError. */
  readonly open: (start: number) => AsyncIterable<Uint8Array>;
}

/**
 * Uploads a blob. An upload that breaks goes on where the registry says that it is, so a large blob is not sent twice.
 * OCI distribution-spec, "Pushing blobs".
 * @param sent is told how many bytes were handed to the network.
 */
export async function pushBlob(
  http: RegistryHttp,
  repository: string,
  content: BlobContent,
  sent: (bytes: number) => void,
): Promise<void> {
  const upload = new BlobUpload(http, repository, content, sent);
  let last = 0;
  for (let failures = 0; ;) {
    try {
      return await upload.attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      // What went well so far counts: only failures in a row make it give up.
      if (upload.offset > last) failures = 0;
      last = upload.offset;
      if (failures >= http.retry.retries) throw error;
      await pause(http.retry, failures++, error.retryAfter);
    }
  }
}

class BlobUpload {
  readonly #http: RegistryHttp;
  readonly #repository: string;
  readonly #content: BlobContent;
  readonly #sent: (bytes: number) => void;
  /** Where the upload goes on; undefined before it was begun. */
  #location: string | undefined;
  /** Bytes that the registry has said it has. */
  offset = 0;

  constructor(http: RegistryHttp, repository: string, content: BlobContent, sent: (bytes: number) => void) {
    this.#http = http;
    this.#repository = repository;
    this.#content = content;
    this.#sent = sent;
  }

  async attempt(): Promise<void> {
    if (this.#content.size <= SMALL) {
      await this.#begin();
      return this.#finish(await this.#whole());
    }
    if (this.#location === undefined) await this.#begin();
    else await this.#askWhere();
    if (this.offset < this.#content.size) await this.#append();
    await this.#finish();
  }

  async #begin(): Promise<void> {
    const answer = await this.#request('POST', `/v2/${this.#repository}/blobs/uploads/`, [202]);
    this.#location = locationOf(answer);
    this.offset = 0;
  }

  /** How far an upload came before it broke. One that is not known any more begins anew. */
  async #askWhere(): Promise<void> {
    try {
      const answer = await this.#request('GET', this.#location ?? '', [204]);
      const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(answer.headers['range'] ?? '')?.[1] ?? 0);
      this.#location = answer.headers['location'] ?? this.#location;
      // Nothing and one byte look alike: an upload that has less than two is not worth going on with.
      if (last === 0) await this.#begin();
      else this.offset = last + 1;
    } catch (error) {
      if (!(error instanceof RegistryRefusal)) throw error;
      await this.#begin();
    }
  }

  async #append(): Promise<void> {
    const { offset } = this;
    const { size } = this.#content;
    const answer = await this.#request('PATCH', this.#location ?? '', [202, 204], {
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(size - offset),
        ...(offset > 0 && { 'content-range': `${offset}-${size - 1}` }),
      },
      body: this.#counted(offset),
    });
    this.#location = answer.headers['location'] ?? this.#location;
    this.offset = size;
  }

  async #finish(whole?: Buffer): Promise<void> {
    const location = this.#location ?? '';
    const separator = location.includes('?') ? '&' : '?';
    await this.#request(
      'PUT',
      `${location}${separator}digest=${encodeURIComponent(this.#content.digest)}`,
      [201, 204],
      {
        headers: { 'content-type': 'application/octet-stream' },
        body: whole ?? Buffer.alloc(0),
      },
    );
  }

  async #whole(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#content.open(0)) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    this.#sent(bytes.length);
    return bytes;
  }

  async *#counted(start: number): AsyncIterable<Uint8Array> {
    for await (const chunk of this.#content.open(start)) {
      yield chunk;
      this.#sent(chunk.length);
    }
  }

  async #request(
    method: 'GET' | 'PATCH' | 'POST' | 'PUT',
    target: string,
    expect: readonly number[],
    more: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Buffer | AsyncIterable<Uint8Array>;
    } = {},
  ): Promise<ClientAnswer> {
    const request = { method, target, scopes: [push(this.#repository)], expect, ...more };
    const answer = await this.#http.sendOnce(request);
    await answer.body.dump();
    return answer;
  }
}

function locationOf({ headers }: ClientAnswer): string {
  const { location } = headers;
  if (location === undefined) throw new Error('the registry did not say where to upload to');
  return location;
}
