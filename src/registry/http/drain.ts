import type { Server } from 'node:http';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';

/**
 * Makes a server that can stop gently. Call the result once: the listener closes at once, each connection when its
 * request has ended, and what is left after `timeout` ms is cut. It resolves when the last connection is gone.
 */
export function drainable(
  server: Server,
  deps: { readonly clock: Clock; readonly log: Logger },
): (timeout: number) => Promise<void> {
  let draining = false;
  server.prependListener('request', (_request, response) => {
    if (draining) response.shouldKeepAlive = false;
    // A kept connection turns idle when the answer has left, which may be after the drain has begun.
    response.once('close', () => {
      if (draining) setImmediate(() => server.closeIdleConnections());
    });
  });
  return async (timeout) => {
    draining = true;
    const drained = new AbortController();
    const late = deps.clock.sleep(timeout, drained.signal).then(
      () => {
        deps.log.warn({ timeout }, 'cutting requests that did not end in time');
        server.closeAllConnections();
      },
      () => {}, // drained in time
    );
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeIdleConnections();
    });
    drained.abort();
    await late;
  };
}
