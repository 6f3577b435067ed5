import { createHmac } from 'node:crypto';
import type { StoreRequest } from '../object-store/store-client.ts';
import type { Credentials } from './credentials.ts';
import { encodeQuery } from './signature-v4.ts';

/** Parameters that are a part of the resource. */
const SUBRESOURCES = new Set(['delete', 'partNumber', 'uploadId', 'uploads']);

/**
 * AWS Signature Version 2, which some older S3-compatible stores know alone (`v4auth: false`). AWS itself takes it no
 * more.
 */
export class SignatureV2 {
  readonly #resource: (url: URL) => string;

  /** @param resource the path in style `/bucket/key`, escaped, whatever the style of the URL. */
  constructor(resource: (url: URL) => string) {
    this.#resource = resource;
  }

  /** Signs in the header. @param date milliseconds since the epoch. */
  sign(request: StoreRequest, credentials: Credentials, date: number): StoreRequest {
    const headers: Record<string, string> = {
      ...request.headers,
      'x-amz-date': new Date(date).toUTCString(),
      ...(credentials.sessionToken !== undefined && { 'x-amz-security-token': credentials.sessionToken }),
    };
    // The date is among the headers of Amazon, so that its own line stays empty.
    const signature = this.#signature({ ...request, headers }, credentials, '');
    return {
      ...request,
      headers: { ...headers, authorization: `AWS ${credentials.accessKeyId}:${signature}` },
    };
  }

  /** A URL that anybody may use until `date` and `seconds` later, by the clock of the store. */
  presign(
    request: StoreRequest,
    credentials: Credentials,
    { date, seconds }: { readonly date: number; readonly seconds: number },
  ): URL {
    const url = new URL(request.url);
    const expires = String(Math.floor(date / 1000) + seconds);
    const headers: Record<string, string> =
      credentials.sessionToken === undefined ? {} : { 'x-amz-security-token': credentials.sessionToken };
    const signature = this.#signature({ ...request, headers }, credentials, expires);
    url.search = encodeQuery([
      ...url.searchParams,
      ...Object.entries(headers),
      ['AWSAccessKeyId', credentials.accessKeyId],
      ['Expires', expires],
      ['Signature', signature],
    ]);
    return url;
  }

  #signature({ method, url, headers = {} }: StoreRequest, credentials: Credentials, date: string): string {
    const amazon = Object.keys(headers)
      .filter((name) => name.startsWith('x-amz-'))
      .toSorted()
      .map((name) => `${name}:${headers[name]}\n`);
    const parameters = [...url.searchParams]
      .filter(([name]) => SUBRESOURCES.has(name))
      .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
      .toSorted();
    const text = [
      method,
      headers['content-md5'] ?? '',
      headers['content-type'] ?? '',
      date,
      `${amazon.join('')}${this.#resource(url)}${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`,
    ].join('\n');
    return createHmac('sha1', credentials.secretAccessKey).update(text).digest('base64');
  }
}
