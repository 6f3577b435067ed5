import type { StoreRequest } from '../object-store/store-client.ts';
import type { Credentials } from '../s3/credentials.ts';
import type { RequestSignature } from '../s3/s3-connection.ts';
import { encodeRfc3986, UNSIGNED_PAYLOAD } from '../s3/signature-v4.ts';
import { SigningScope, timeStamp } from '../s3/signing-scope.ts';

const ALGORITHM = 'OSS4-HMAC-SHA256';

/**
 * Turns requests of the S3 API into those of OSS, which differ in the beginning of header names, and signs them: version 4.
 * https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
 */
export class OssSignature implements RequestSignature {
  readonly #bucket: string;
  readonly #scope: SigningScope;

  /** @param options.region `oss-cn-hangzhou`. */
  constructor(options: { readonly bucket: string; readonly region: string }) {
    this.#bucket = options.bucket;
    this.#scope = new SigningScope({
      algorithm: ALGORITHM,
      prefix: 'aliyun_v4',
      names: [options.region.replace(/^oss-/, ''), 'oss', 'aliyun_v4_request'],
    });
  }

  /** @param date milliseconds since the epoch; OSS refuses what is 15 minutes off its own time. */
  sign(request: StoreRequest, credentials: Credentials, date: number): StoreRequest {
    const time = timeStamp(date);
    const headers: Record<string, string> = {
      ...asOssHeaders(request.headers ?? {}),
      'x-oss-content-sha256': UNSIGNED_PAYLOAD,
      'x-oss-date': time,
      ...(credentials.sessionToken !== undefined && { 'x-oss-security-token': credentials.sessionToken }),
    };
    const signature = this.#signature({ ...request, headers }, credentials, time);
    const authorization = `${ALGORITHM} Credential=${credentials.accessKeyId}/${this.#scope.at(time)},Signature=${signature}`;
    return { ...request, headers: { ...headers, authorization } };
  }

  /** A URL that anybody may use until `date` and `seconds` later, by the clock of the store. */
  presign(
    request: StoreRequest,
    credentials: Credentials,
    { date, seconds }: { readonly date: number; readonly seconds: number },
  ): URL {
    const time = timeStamp(date);
    const url = new URL(request.url);
    for (const [name, value] of Object.entries({
      'x-oss-signature-version': ALGORITHM,
      'x-oss-date': time,
      'x-oss-expires': String(seconds),
      'x-oss-credential': `${credentials.accessKeyId}/${this.#scope.at(time)}`,
      ...(credentials.sessionToken !== undefined && { 'x-oss-security-token': credentials.sessionToken }),
    })) {
      url.searchParams.set(name, value);
    }
    const headers = asOssHeaders(request.headers ?? {});
    const signature = this.#signature({ ...request, url, headers }, credentials, time);
    url.search = `${canonicalQuery(url)}&x-oss-signature=${signature}`;
    return url;
  }

  #signature(
    { method, url, headers = {} }: StoreRequest,
    { secretAccessKey }: Credentials,
    time: string,
  ): string {
    const signed = Object.keys(headers)
      .filter((name) => name.startsWith('x-oss-') || name === 'content-type' || name === 'content-md5')
      .toSorted()
      .map((name) => `${name}:${(headers[name] ?? '').trim()}\n`);
    const canonical = [
      method,
      `/${this.#bucket}${url.pathname}`,
      canonicalQuery(url),
      signed.join(''),
      '', // no further headers are signed
      UNSIGNED_PAYLOAD,
    ].join('\n');
    return this.#scope.sign(canonical, secretAccessKey, time);
  }
}

function asOssHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const renamed = Object.entries(headers).map(([name, value]) => [name.replace(/^x-amz-/, 'x-oss-'), value]);
  return {
    ...Object.fromEntries(renamed),
    // Otherwise OSS answers a range behind the end with all there is.
    ...(headers['range'] !== undefined && { 'x-oss-range-behavior': 'standard' }),
  };
}

/** In the order of the escaped names; without `=` where there is no value. */
function canonicalQuery({ searchParams }: URL): string {
  return Array.from(searchParams, ([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
}
