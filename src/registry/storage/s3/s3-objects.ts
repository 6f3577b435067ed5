import { hash } from 'node:crypto';
import type { ByteRange } from '../driver.ts';
import { noBytes, rangeHeader } from '../object-store/byte-range.ts';
import type { ListedObject, ObjectInfo } from '../object-store/object-store.ts';
import { elements, elementText, escapeXml } from '../object-store/xml.ts';
import { refusalOf, refused, type S3Answer, type S3Connection } from './s3-connection.ts';

/** Most keys that one request deletes. */
const DELETES_AT_ONCE = 1000;

/**
 * The requests of the S3 API that concern whole objects.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export class S3Objects {
  readonly #connection: S3Connection;

  constructor(connection: S3Connection) {
    this.#connection = connection;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const { refusal, headers } = await this.#connection.call({ method: 'HEAD', key, expect: ['NotFound'] });
    if (refusal) return undefined;
    const { 'content-length': size, 'last-modified': modified } = headers;
    return { size: Number(size), modifiedAt: Date.parse(String(modified)) };
  }

  async get(key: string): Promise<Buffer | undefined> {
    const { body, refusal } = await this.#connection.call({ method: 'GET', key, expect: ['NoSuchKey'] });
    return refusal ? undefined : body;
  }

  /** Bytes as they come. @returns undefined when there is no such object. */
  async read(key: string, range: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    const answer = await this.#connection.open({
      method: 'GET',
      key,
      headers: rangeHeader(range),
      expect: ['NoSuchKey', 'InvalidRange'],
    });
    if ('body' in answer) return answer.body;
    // The range lies behind the end.
    return answer.code === 'InvalidRange' ? noBytes() : undefined;
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    await this.#connection.call({
      method: 'PUT',
      key,
      headers: this.#connection.objectHeaders,
      body: content,
    });
  }

  /** At most 5 GiB. @returns false when `from` does not exist. */
  async copy(from: string, to: string): Promise<boolean> {
    const headers = {
      ...this.#connection.objectHeaders,
      'x-amz-copy-source': this.#connection.address.copySource(from),
    };
    const { refusal } = await this.#connection.call({
      method: 'PUT',
      key: to,
      headers,
      expect: ['NoSuchKey'],
    });
    return refusal === undefined;
  }

  async delete(keys: readonly string[]): Promise<void> {
    const [key] = keys;
    if (key !== undefined && keys.length === 1) {
      await this.#connection.call({ method: 'DELETE', key, expect: ['NoSuchKey'] });
      return;
    }
    for (let at = 0; at < keys.length; at += DELETES_AT_ONCE) {
      await this.#deleteTogether(keys.slice(at, at + DELETES_AT_ONCE));
    }
  }

  /** Objects below a prefix, in the order of their keys; see ObjectStore. */
  async *list(
    prefix: string,
    options: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject> {
    let token: string | undefined;
    do {
      const answer = await this.#connection.call({
        method: 'GET',
        key: '',
        query: {
          'list-type': '2',
          prefix,
          ...(options.shallow && { delimiter: '/' }),
          ...(options.limit !== undefined && { 'max-keys': String(options.limit) }),
          ...(token !== undefined && { 'continuation-token': token }),
        },
      });
      const page = answer.text();
      yield* listed(page);
      token =
        elementText(page, 'IsTruncated') === 'true' ? elementText(page, 'NextContinuationToken') : undefined;
    } while (token !== undefined);
  }

  async #deleteTogether(keys: readonly string[]): Promise<void> {
    const query = { delete: '' };
    assertAllDeleted(await this.#connection.call({ method: 'POST', key: '', query, ...deletion(keys) }));
  }
}

/** What deletes these, at most `DELETES_AT_ONCE`. */
export function deletion(keys: readonly string[]) {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join('');
  const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects}</Delete>`);
  return {
    headers: { 'content-type': 'application/xml', 'content-md5': hash('md5', body, 'base64') },
    body,
  };
}

/** @throws RegistryError UNAVAILABLE for the first that could not be deleted. */
export function assertAllDeleted(answer: S3Answer): void {
  const failed = elements(answer.text(), 'Error')[0];
  if (failed !== undefined) throw refused(answer.request, answer.status, refusalOf(answer.status, failed));
}

function listed(page: string): readonly ListedObject[] {
  const objects = elements(page, 'Contents').map((object): ListedObject => ({
    kind: 'object',
    key: elementText(object, 'Key') ?? '',
    size: Number(elementText(object, 'Size')),
    modifiedAt: Date.parse(elementText(object, 'LastModified') ?? ''),
  }));
  const prefixes = elements(page, 'CommonPrefixes').map((prefix): ListedObject => ({
    kind: 'prefix',
    key: elementText(prefix, 'Prefix') ?? '',
  }));
  return [...objects, ...prefixes].toSorted((one, other) => (one.key < other.key ? -1 : 1));
}
