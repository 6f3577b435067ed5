import { hash } from 'node:crypto';
import type { StoreRequest } from '../object-store/store-client.ts';
import type { Credentials } from './credentials.ts';
import { SigningScope, timeStamp } from './signing-scope.ts';

/** SHA-256 of nothing, in hex. */
export const EMPTY_HASH = hash('sha256', '');

/** In place of a body's hash, where TLS keeps it from being changed on its way. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** AWS Signature Version 4 for a service (`s3`, `sts`) in a region. */
export class SignatureV4 {
  readonly #scope: SigningScope;

  constructor({ region, service }: { readonly region: string; readonly service: string }) {
    this.#scope = new SigningScope({
      algorithm: ALGORITHM,
      prefix: 'AWS4',
      names: [region, service, 'aws4_request'],
    });
  }

  /**
   * Signs in the header all that the request has. With a body `x-amz-content-sha256` must be among the headers.
   * @param date milliseconds since the epoch; AWS refuses what is 15 minutes off its own time.
   */
  sign(request: StoreRequest, credentials: Credentials, date: number): StoreRequest {
    const time = timeStamp(date);
    const headers: Record<string, string> = {
      ...request.headers,
      host: request.url.host,
      'x-amz-date': time,
      ...(credentials.sessionToken !== undefined && { 'x-amz-security-token': credentials.sessionToken }),
    };
    const names = Object.keys(headers).toSorted();
    const payloadHash = headers['x-amz-content-sha256'] ?? EMPTY_HASH;
    const canonical = canonicalRequest({ ...request, headers }, names, payloadHash);
    const authorization = [
      `${ALGORITHM} Credential=${credentials.accessKeyId}/${this.#scope.at(time)}`,
      `SignedHeaders=${names.join(';')}`,
      `Signature=${this.#scope.sign(canonical, credentials.secretAccessKey, time)}`,
    ];
    return { ...request, headers: { ...headers, authorization: authorization.join(', ') } };
  }

  /**
   * A URL that anybody may use until `date` and `seconds` later, by the clock of the store. No header but `host` is
   * signed.
   */
  presign(
    request: StoreRequest,
    credentials: Credentials,
    { date, seconds }: { readonly date: number; readonly seconds: number },
  ): URL {
    const time = timeStamp(date);
    const url = new URL(request.url);
    for (const [name, value] of Object.entries({
      'X-Amz-Algorithm': ALGORITHM,
      'X-Amz-Credential': `${credentials.accessKeyId}/${this.#scope.at(time)}`,
      'X-Amz-Date': time,
      'X-Amz-Expires': String(seconds),
      'X-Amz-SignedHeaders': 'host',
      ...(credentials.sessionToken !== undefined && { 'X-Amz-Security-Token': credentials.sessionToken }),
    })) {
      url.searchParams.set(name, value);
    }
    const canonical = canonicalRequest(
      { ...request, url, headers: { host: url.host } },
      ['host'],
      UNSIGNED_PAYLOAD,
    );
    url.search = `${encodeQuery(url.searchParams)}&X-Amz-Signature=${this.#scope.sign(canonical, credentials.secretAccessKey, time)}`;
    return url;
  }
}

function canonicalRequest(
  { method, url, headers = {} }: StoreRequest,
  names: readonly string[],
  payloadHash: string,
): string {
  return [
    method,
    url.pathname,
    encodeQuery(url.searchParams),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payloadHash,
  ].join('\n');
}

/** The parameters as AWS signs them: in the order of their names. */
export function encodeQuery(parameters: Iterable<readonly [name: string, value: string]>): string {
  return Array.from(parameters, ([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)))
    .map((pair) => pair.join('='))
    .join('&');
}

/** Escapes all but letters, digits and `-._~`. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
