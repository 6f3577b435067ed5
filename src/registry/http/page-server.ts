import { createServer, type Server } from 'node:http';
import type { Logger } from '../../process/logger.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** By path: a page for GET, or what POST does. */
export type Pages = Readonly<
  Record<string, (() => Page | Promise<Page>) | { readonly post: () => Page | Promise<Page> }>
>;

export function text(status: number, body: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

export function json(status: number, value: unknown): Page {
  return { status, contentType: 'application/json', body: JSON.stringify(value) };
}

/** An internal listener: a few pages, no authentication. */
export function createPageServer(pages: Pages, log: Logger): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    find(pages, path, request.method ?? 'GET')
      .catch((error: unknown) => {
        log.error({ path, error }, 'internal page failed');
        return text(500, 'failed; the log has the reason');
      })
      .then(({ status, contentType, body }) => {
        response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
        response.end(body);
      })
      .catch((error: unknown) => log.error({ path, error }, 'internal page failed'));
  });
}

async function find(pages: Pages, path: string, method: string): Promise<Page> {
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined) return text(404, `no such page; there are ${Object.keys(pages).join(' ')}`);
  if (typeof page !== 'function') return method === 'POST' ? page.post() : text(405, 'only POST');
  return method === 'GET' || method === 'HEAD' ? page() : text(405, 'only GET and HEAD');
}
