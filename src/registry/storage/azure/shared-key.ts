import { createHmac } from 'node:crypto';
import type { StoreRequest } from '../object-store/store-client.ts';

/** The version of the REST API that all requests ask for; signatures depend on it. */
export const API_VERSION = '2021-12-02';

export interface SharedKey {
  readonly account: string;
  /** The account's key as Azure shows it: Base64. */
  readonly key: string;
}

/** HMAC-SHA256 in Base64 by a key that is in Base64. */
export function hmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
}

/**
 * The request with an Authorization header.
 * https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, Blob service, 2015-02-21 and later.
 */
export function signWithSharedKey(request: StoreRequest, { account, key }: SharedKey): StoreRequest {
  const signature = hmac(key, stringToSign(request, account));
  return { ...request, headers: { ...request.headers, authorization: `SharedKey ${account}:${signature}` } };
}

/** Headers in the order of the signature, each on a line, empty when absent. */
const SIGNED_HEADERS = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
];

export function stringToSign({ method, url, headers = {}, body }: StoreRequest, account: string): string {
  // A length of zero is signed as none.
  const length = body === undefined || body.length === 0 ? '' : String(Buffer.byteLength(body));
  const values = SIGNED_HEADERS.map((name) => (name === 'content-length' ? length : (headers[name] ?? '')));
  const microsoft = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-ms-'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value.trim()}`);
  const query = [...url.searchParams]
    .map(([name, value]) => `${name.toLowerCase()}:${value}`)
    .toSorted((a, b) => (a < b ? -1 : 1));
  return [method, ...values, ...microsoft, `/${account}${url.pathname}`, ...query].join('\n');
}
