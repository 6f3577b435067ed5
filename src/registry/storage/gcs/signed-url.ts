import { createHash } from 'node:crypto';

/** Who signs, as Google knows it, and how. */
export interface Signer {
  /** The service account's address. */
  email(): Promise<string>;
  /** RSA with SHA-256, PKCS #1 version 1.5. */
  sign(text: string): Promise<Buffer>;
}

export interface SignedUrlOptions {
  readonly method: 'DELETE' | 'GET' | 'HEAD';
  /** Of the object, in path style and without a query. */
  readonly url: URL;
  /** Milliseconds since the epoch when it begins to be good, by Google's clock. */
  readonly date: number;
  /** How long it is good. */
  readonly seconds: number;
}

/**
 * A URL by which anybody can do one thing with one object for a while.
 * https://cloud.google.com/storage/docs/authentication/canonical-requests, V4 signing with GOOG4-RSA-SHA256.
 */
export async function signUrl(
  { method, url, date, seconds }: SignedUrlOptions,
  signer: Signer,
): Promise<string> {
  const time = new Date(date).toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`;
  const query = [
    ['X-Goog-Algorithm', 'GOOG4-RSA-SHA256'],
    ['X-Goog-Credential', `${await signer.email()}/${scope}`],
    ['X-Goog-Date', time],
    ['X-Goog-Expires', String(seconds)],
    ['X-Goog-SignedHeaders', 'host'],
  ]
    .map(([name = '', value = '']) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
  const canonical = [method, url.pathname, query, `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join(
    '\n',
  );
  const hash = createHash('sha256').update(canonical).digest('hex');
  const signature = await signer.sign(['GOOG4-RSA-SHA256', time, scope, hash].join('\n'));
  return `${url.href}?${query}&X-Goog-Signature=${signature.toString('hex')}`;
}
