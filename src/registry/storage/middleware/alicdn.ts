import { createHash } from 'node:crypto';
import { withScheme } from './cloudfront.ts';
import type { Redirect } from './redirect.ts';

/** The minute of type B is that of UTC+8; milliseconds. */
const CHINA = 8 * 3600_000;

export interface AliCdnOptions {
  /** Without a scheme it is https. */
  readonly baseUrl: string;
  readonly authType: 'a' | 'b' | 'c';
  readonly key: string;
  /** How long a URL can be used; milliseconds. */
  readonly duration: number;
  readonly now: () => number;
  /** Hexadecimal digits that no other URL has. */
  readonly random: () => string;
}

/** `alicdn`: sends clients to Alibaba Cloud's CDN in front of the bucket, with a signed URL. */
export function aliCdn(options: AliCdnOptions): Redirect {
  const base = withScheme(options.baseUrl);
  return async (path) => {
    const expires = Math.floor((options.now() + options.duration) / 1000);
    return signCdnUrl(new URL(base + path), options.authType, { ...options, expires });
  };
}

type Signer = Pick<AliCdnOptions, 'key' | 'random'> & {
  /** Seconds since the epoch. */
  readonly expires: number;
};

/** By type, what Alibaba Cloud CDN's "URL signing" says. */
const signatures: Readonly<Record<AliCdnOptions['authType'], (url: URL, signer: Signer) => string>> = {
  a({ origin, pathname, search }, { key, expires, random }) {
    const fields = `${expires}-${random()}-0`;
    const signature = md5(`${pathname}-${fields}-${key}`);
    return `${origin}${pathname}${search}${search === '' ? '?' : '&'}auth_key=${fields}-${signature}`;
  },
  b({ origin, pathname, search }, { key, expires }) {
    const minute = new Date(expires * 1000 + CHINA).toISOString().replaceAll(/\D/g, '').slice(0, 12);
    return `${origin}/${minute}/${md5(key + minute + pathname)}${pathname}${search}`;
  },
  c({ origin, pathname, search }, { key, expires }) {
    const time = expires.toString(16);
    return `${origin}/${md5(key + pathname + time)}/${time}${pathname}${search}`;
  },
};

export function signCdnUrl(url: URL, authType: AliCdnOptions['authType'], signer: Signer): string {
  return signatures[authType](url, signer);
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
