import type { IncomingMessage } from 'node:http';

/** What a request is for. */
export interface RequestTarget {
  readonly path: string;
  /** The query, without its question mark. */
  readonly search: string;
}

/**
 * Reads the target of a request. An absolute one, as it is sent to a proxy, names the host as well, which then counts
 * instead of the Host header. RFC 9112 §3.2.2.
 */
export function readTarget(request: IncomingMessage): RequestTarget {
  let url = request.url ?? '/';
  if (!url.startsWith('/')) {
    const [, host, rest = ''] = /^https?:\/\/([^/?#]+)(.*)$/is.exec(url) ?? [];
    if (host !== undefined) {
      request.headers.host = host;
      url = rest.startsWith('/') ? rest : `/${rest}`;
    }
  }
  const mark = url.indexOf('?');
  return mark === -1 ? { path: url, search: '' } : { path: url.slice(0, mark), search: url.slice(mark + 1) };
}

/** The host that the client asked, as HTTP/1.1 and HTTP/2 tell it. */
export function requestedHost({ headers }: IncomingMessage): string | undefined {
  return headers.host ?? headers[':authority']?.toString();
}
