import { posix } from 'node:path';

/** Who wants to read a file. */
export interface Reader {
  readonly method: 'GET' | 'HEAD';
  /** Its IP address, as far as known. */
  readonly address: string | undefined;
}

/** Where a client can read a file of the store by itself for some minutes; undefined where it has to read it here. */
export type Redirect = (path: string, reader: Reader) => Promise<string | undefined>;

/** `redirect`: sends clients to another server that has the same files. */
export function redirectTo(baseUrl: string): Redirect {
  const { protocol, host, pathname } = new URL(baseUrl);
  return async (path) => `${protocol}//${host}${posix.join(pathname, path)}`;
}

/** `rewrite`: sends clients where they would go, by another way. */
export function rewritten(
  redirect: Redirect,
  changes: {
    readonly scheme: string | undefined;
    readonly host: string | undefined;
    readonly trimPathPrefix: string | undefined;
  },
): Redirect {
  const { scheme, host, trimPathPrefix = '' } = changes;
  return async (path, reader) => {
    const from = await redirect(path, reader);
    if (from === undefined) return undefined;
    const url = new URL(from);
    const pathname = url.pathname.startsWith(trimPathPrefix)
      ? url.pathname.slice(trimPathPrefix.length)
      : url.pathname;
    const absolute = pathname.startsWith('/') ? pathname : `/${pathname}`;
    return `${scheme ? `${scheme}:` : url.protocol}//${host ?? url.host}${absolute}${url.search}`;
  };
}
