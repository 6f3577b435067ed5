import { createHmac } from 'node:crypto';

export type TempUrlDigest = 'sha1' | 'sha256' | 'sha512';

/** What temporary URLs are signed with. */
export interface TempUrlKey {
  readonly secret: string;
  readonly digest: TempUrlDigest;
  /** Goes before the signature, as HP Cloud wants it: `tenant:key`. */
  readonly signer?: string;
}

/**
 * A URL by which anybody can do one thing with one object until it ends. A GET allows HEAD as well. OpenStack Swift
 * "TempURL"; a Ceph gateway accepts the path as it is, too.
 * @param expires seconds since the epoch, by the store's clock.
 */
export function tempUrl(
  object: URL,
  method: 'DELETE' | 'GET' | 'HEAD',
  expires: number,
  { secret, digest, signer }: TempUrlKey,
): URL {
  const signed = `${method}\n${expires}\n${decodeURIComponent(object.pathname)}`;
  const signature = createHmac(digest, secret).update(signed).digest('hex');
  const url = new URL(object);
  url.searchParams.set('temp_url_sig', signer === undefined ? signature : `${signer}:${signature}`);
  url.searchParams.set('temp_url_expires', String(expires));
  return url;
}
