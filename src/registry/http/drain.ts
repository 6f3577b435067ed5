import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Listener } from './listener.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';

/** How often connections are looked at that have turned idle meanwhile. */
const LOOK_EVERY_MS = 50;

/**
 * Stops a server gently: the listener closes at once, each connection when its request has ended, and what is left after
 * `timeout` ms is cut. Resolves when the last connection is gone.
 */
export async function drain(
  server: Server,
  timeout: number,
  deps: {
    readonly listener: Pick<Listener, 'endIdle' | 'endAll'>;
    readonly clock: Clock;
    readonly log: Logger;
  },
): Promise<void> {
  const { listener, clock, log } = deps;
  // Who sends one more request on a connection that is open gets its answer, and is told to open another.
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  let closed = false;
  const close = new Promise<void>((resolve) => {
    server.close(() => {
      closed = true;
      resolve();
    });
  });
  const deadline = clock.monotonic() + timeout;
  for (;;) {
    listener.endIdle();
    await Promise.race([close, clock.sleep(LOOK_EVERY_MS)]);
    if (closed) return;
    if (clock.monotonic() < deadline) continue;
    log.warn({ timeout }, 'cutting requests that did not end in time');
    listener.endAll();
    await close;
    return;
  }
}
