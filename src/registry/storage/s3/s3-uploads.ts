import type { ByteRange } from '../driver.ts';
import { elements, elementText, escapeXml } from '../object-store/xml.ts';
import { refused, type S3Connection } from './s3-connection.ts';

/** The least that a part may have, unless it is the last; bytes. */
export const SMALLEST_PART = 5 * 1024 * 1024;

/** A multi-part upload in progress. */
export interface OpenUpload {
  readonly key: string;
  readonly id: string;
}

export interface Part {
  /** From 1. */
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
}

/**
 * The requests of the S3 API that concern uploads in parts.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */
export class S3Uploads {
  readonly #connection: S3Connection;

  constructor(connection: S3Connection) {
    this.#connection = connection;
  }

  async create(key: string): Promise<OpenUpload> {
    const query = { uploads: '' };
    const answer = await this.#connection.call({
      method: 'POST',
      key,
      query,
      headers: this.#connection.objectHeaders,
    });
    const id = elementText(answer.text(), 'UploadId');
    if (id === undefined) throw new Error(`the store began an upload of ${key} without an id`);
    return { key, id };
  }

  async putPart(upload: OpenUpload, number: number, body: Uint8Array): Promise<Part> {
    const query = { partNumber: String(number), uploadId: upload.id };
    const { headers } = await this.#connection.call({ method: 'PUT', key: upload.key, query, body });
    return { number, size: body.length, etag: String(headers.etag) };
  }

  /** Makes a part of bytes of an object. */
  async copyPart(
    upload: OpenUpload,
    number: number,
    from: string,
    { start, end }: Required<ByteRange>,
  ): Promise<Part> {
    const answer = await this.#connection.call({
      method: 'PUT',
      key: upload.key,
      query: { partNumber: String(number), uploadId: upload.id },
      headers: {
        'x-amz-copy-source': this.#connection.address.copySource(from),
        'x-amz-copy-source-range': `bytes=${start}-${end - 1}`,
      },
    });
    return { number, size: end - start, etag: elementText(answer.text(), 'ETag') ?? '' };
  }

  /** Makes an object of these parts. */
  async complete(upload: OpenUpload, parts: readonly Part[]): Promise<void> {
    const list = parts.map(
      ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
    );
    const answer = await this.#connection.call({
      method: 'POST',
      key: upload.key,
      query: { uploadId: upload.id },
      headers: { 'content-type': 'application/xml' },
      body: Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`),
      expect: ['NoSuchUpload'],
    });
    // After a lost answer: the first attempt went well.
    if (answer.refusal && !answer.retried) throw refused(answer.request, answer.status, answer.refusal);
  }

  async abort(upload: OpenUpload): Promise<void> {
    const query = { uploadId: upload.id };
    await this.#connection.call({ method: 'DELETE', key: upload.key, query, expect: ['NoSuchUpload'] });
  }

  /** Uploads in progress whose key begins with `prefix`. */
  async *list(prefix: string): AsyncIterable<OpenUpload> {
    let markers: Readonly<Record<string, string>> | undefined = {};
    while (markers !== undefined) {
      const query: Readonly<Record<string, string>> = { uploads: '', prefix, ...markers };
      const page = (await this.#connection.call({ method: 'GET', key: '', query })).text();
      for (const upload of elements(page, 'Upload')) {
        yield { key: elementText(upload, 'Key') ?? '', id: elementText(upload, 'UploadId') ?? '' };
      }
      markers =
        elementText(page, 'IsTruncated') === 'true'
          ? {
              'key-marker': elementText(page, 'NextKeyMarker') ?? '',
              'upload-id-marker': elementText(page, 'NextUploadIdMarker') ?? '',
            }
          : undefined;
    }
  }

  /** In the order of their numbers. @returns undefined when the upload is over. */
  async parts(upload: OpenUpload): Promise<readonly Part[] | undefined> {
    const parts: Part[] = [];
    let marker: string | undefined = '0';
    while (marker !== undefined) {
      const query: Readonly<Record<string, string>> = { uploadId: upload.id, 'part-number-marker': marker };
      const answer = await this.#connection.call({
        method: 'GET',
        key: upload.key,
        query,
        expect: ['NoSuchUpload'],
      });
      if (answer.refusal) return undefined;
      const page = answer.text();
      for (const part of elements(page, 'Part')) {
        parts.push({
          number: Number(elementText(part, 'PartNumber')),
          size: Number(elementText(part, 'Size')),
          etag: elementText(part, 'ETag') ?? '',
        });
      }
      marker =
        elementText(page, 'IsTruncated') === 'true' ? elementText(page, 'NextPartNumberMarker') : undefined;
    }
    return parts.toSorted((one, other) => one.number - other.number);
  }
}
