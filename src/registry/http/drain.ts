import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Listener } from './listener.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';

/** How often connections are looked at that have turned idle meanwhile. */
const LOOK_EVERY_MS = 50;

/**
 * How long a connection that is idle is kept: who uses it again and again sends the next request by then, and is told with the
 * answer to open another. One that is closed at once may have a request on its way.
 */
const LINGER_MS = 1000;

/**
 * Stops a server gently. For a second all goes on, but each connection is closed with its answer. Then no new connection is
 * taken, each that is there is closed when its request has ended, and what is left after `timeout` ms is cut. Resolves when
 * the last connection is gone.
 */
export async function drain(
  server: Server,
  timeout: number,
  deps: {
    readonly listener: Pick<Listener, 'endIdle' | 'endAll'>;
    /**
     * Other processes have the listener too. Each keeps it and drops what comes: a connection that is on its way to one
     * that gives the listener up would be lost, and wait for an answer until the last of them is gone.
     */
    readonly isShared: boolean;
    readonly clock: Clock;
    readonly log: Logger;
  },
): Promise<void> {
  const { listener, isShared, clock, log } = deps;
  // Who sends one more request on a connection that is open gets its answer, and is told to open another.
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  const deadline = clock.monotonic() + timeout;
  const lingerEnd = clock.monotonic() + Math.min(LINGER_MS, timeout);
  while (clock.monotonic() < lingerEnd && (await connections(server)) > 0) await clock.sleep(LOOK_EVERY_MS);
  let isOver = false;
  const gone = (isShared ? connectionsEnd(server, clock) : close(server)).then(() => {
    isOver = true;
  });
  for (;;) {
    listener.endIdle();
    await Promise.race([gone, clock.sleep(LOOK_EVERY_MS)]);
    if (isOver) break;
    if (clock.monotonic() < deadline) continue;
    log.warn({ timeout }, 'cutting requests that did not end in time');
    listener.endAll();
    await gone;
    break;
  }
  if (isShared) await close(server);
}

/** Gives the listener up; resolves when no connection is left. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

async function connectionsEnd(server: Server, clock: Clock): Promise<void> {
  server.prependListener('connection', (socket: Socket) => socket.destroy());
  while ((await connections(server)) > 0) await clock.sleep(LOOK_EVERY_MS);
}

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
