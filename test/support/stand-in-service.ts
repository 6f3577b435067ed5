import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Clock } from '../../src/process/clock.ts';

export interface ReceivedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface PreparedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | object;
}

export interface StandInService {
  readonly url: string;
  /** What was asked, in order. */
  readonly received: ReceivedRequest[];
}

/**
 * A service of a cloud, as far as a test needs it: answers each request with what `answer` says, `'cut'` breaks the
 * connection. Ends with the test.
 */
export async function standInService(
  t: TestContext,
  answer: (
    request: ReceivedRequest,
    count: number,
  ) => PreparedAnswer | 'cut' | Promise<PreparedAnswer | 'cut'>,
): Promise<StandInService> {
  const received: ReceivedRequest[] = [];
  const server = createServer((request, response) => {
    void request.toArray().then(async (chunks: Buffer[]) => {
      const { method = '', url = '', headers } = request;
      const whole = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
      received.push(whole);
      const prepared = await answer(whole, received.length);
      if (prepared === 'cut') return request.socket.destroy();
      const { status = 200, headers: more = {}, body = '' } = prepared;
      response.writeHead(status, more);
      return response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // of a TCP listener
  return { url: `http://127.0.0.1:${port}`, received };
}

/** A clock on which every sleep is over at once, and that tells how long each would have been. */
export function sleeplessClock(now = Date.UTC(2026, 0, 1)): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  let time = 0;
  return {
    slept,
    now: () => now + time,
    monotonic: () => time,
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
      time += milliseconds;
    },
  };
}
