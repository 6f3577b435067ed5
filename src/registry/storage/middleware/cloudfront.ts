import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import type { Redirect } from './redirect.ts';

export interface CloudFrontOptions {
  /** Without a scheme it is https. */
  readonly baseUrl: string;
  readonly key: KeyObject;
  readonly keyPairId: string;
  /** How long a URL can be used; milliseconds. */
  readonly duration: number;
  /** The key of a file in the bucket. */
  readonly objectKey: (path: string) => string;
  /** True for clients that go to the bucket itself. */
  readonly goesToBucket: (address: string | undefined) => boolean;
  readonly now: () => number;
}

/** `cloudfront`: sends clients to Amazon's CDN in front of the bucket, with a signed URL. */
export function cloudFront(redirect: Redirect, options: CloudFrontOptions): Redirect {
  const base = `${withScheme(options.baseUrl).replace(/\/$/, '')}/`;
  return async (path, reader) => {
    if (options.goesToBucket(reader.address)) return redirect(path, reader);
    const expires = Math.floor((options.now() + options.duration) / 1000);
    return signedUrl(base + options.objectKey(path), { ...options, expires });
  };
}

/**
 * A URL with a canned policy. Amazon CloudFront Developer Guide, "Create a signed URL using a canned policy".
 * @param signer.expires seconds since the epoch.
 */
export function signedUrl(
  resource: string,
  signer: { readonly key: KeyObject; readonly keyPairId: string; readonly expires: number },
): string {
  const { key, keyPairId, expires } = signer;
  const condition = { DateLessThan: { 'AWS:EpochTime': expires } };
  const policy = JSON.stringify({ Statement: [{ Resource: resource, Condition: condition }] });
  const signature = sign('sha1', Buffer.from(policy), key)
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('=', '_')
    .replaceAll('/', '~');
  return `${resource}${resource.includes('?') ? '&' : '?'}Expires=${expires}&Signature=${signature}&Key-Pair-Id=${keyPairId}`;
}

/** @throws Error when the text is no RSA key: CloudFront takes no other with SHA-1. */
export function parseSigningKey(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'rsa') throw new Error('must be an RSA key');
  return key;
}

export function withScheme(url: string): string {
  return url.includes('://') ? url : `https://${url}`;
}
