import { createHmac, hash } from 'node:crypto';
import type { StoreRequest } from '../object-store/store-client.ts';
import type { Credentials } from './credentials.ts';

/** SHA-256 of nothing, in hex. */
export const EMPTY_HASH = hash('sha256', '');

/** In place of a body's hash, where TLS keeps it from being changed on its way. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** AWS Signature Version 4 for a service (`s3`, `sts`) in a region. */
export class SignatureV4 {
  readonly #region: string;
  readonly #service: string;
  /** The key of a day, derived anew only when something changes: four hashes would be a fifth of a request's cost. */
  #key: { readonly secret: string; readonly day: string; readonly key: Buffer } | undefined;

  constructor(options: { readonly region: string; readonly service: string }) {
    this.#region = options.region;
    this.#service = options.service;
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
      `${ALGORITHM} Credential=${credentials.accessKeyId}/${this.#scope(time)}`,
      `SignedHeaders=${names.join(';')}`,
      `Signature=${this.#signature(canonical, credentials, time)}`,
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
      'X-Amz-Credential': `${credentials.accessKeyId}/${this.#scope(time)}`,
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
    url.search = `${encodeQuery(url.searchParams)}&X-Amz-Signature=${this.#signature(canonical, credentials, time)}`;
    return url;
  }

  #signature(canonical: string, { secretAccessKey: secret }: Credentials, time: string): string {
    const day = time.slice(0, 8);
    if (this.#key?.day !== day || this.#key.secret !== secret) {
      const parts = [day, this.#region, this.#service, 'aws4_request'];
      const key = parts.reduce(hmac, Buffer.from(`AWS4${secret}`));
      this.#key = { secret, day, key };
    }
    const text = [ALGORITHM, time, this.#scope(time), hash('sha256', canonical)].join('\n');
    return hmac(this.#key.key, text).toString('hex');
  }

  #scope(time: string): string {
    return `${time.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`;
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

/** `20260102T030405Z`. */
export function timeStamp(date: number): string {
  return new Date(date).toISOString().replace(/[-:]|\.\d+/g, '');
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

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
