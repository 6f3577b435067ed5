import { once } from 'node:events';
import {
  createServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

/*
 * A proxy on the loopback address in front of a registry, that does wrong by rules:
 *
 *   const proxy = await faultyProxy(t, registry.url);
 *   proxy.rule({ method: 'GET', path: /\/blobs\// }, { cutAfter: 1000 }, { times: 1 });
 *   … requests to proxy.url …
 *   proxy.count('GET', /\/blobs\//);  // what came, faulty or not
 *   proxy.clear();                    // no more faults; stalled answers go on
 *   await proxy.down();               // connections are refused, those that are open break
 *   await proxy.up();                 // at the same address as before
 *
 * Of the rules that fit a request, the newest that has uses left holds. All time is real, where a fault needs time.
 */

/** What is done to an answer. Without `status`, `redirect`, `body` or `refuse` the registry is asked. */
export interface Fault {
  /** Answers with it alone, and `headers` and `body` where given. */
  readonly status?: number;
  /** 307 to this URL; with `{path}` for path and query of the request. */
  readonly redirect?: string;
  /** Breaks the connection without an answer. */
  readonly refuse?: boolean;
  /** Waits before it asks the registry. */
  readonly waitFor?: Promise<unknown>;
  /** Headers of the answer that are set; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** In place of the registry's. */
  readonly body?: string | Buffer;
  /** The byte of the body with this index gets all its bits turned. */
  readonly flip?: number;
  /** Says that the body has so many bytes more, or fewer. The connection ends where either of both does. */
  readonly lengthLie?: number;
  /** Breaks the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Sends nothing more after so many bytes of the body, until `clear`; -1: not even headers. */
  readonly stallAfter?: number;
  readonly bytesPerSecond?: number;
  /** The registry is not told which part is asked for, and sends all. */
  readonly withoutRange?: boolean;
}

interface Fitting {
  readonly method?: string;
  /** Of path and query. */
  readonly path?: RegExp;
}

interface ProxiedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface FaultyProxy {
  readonly url: string;
  /** As in `127.0.0.1:1234`. */
  readonly host: string;
  /** What was asked, in order. */
  readonly requests: ProxiedRequest[];
  /** @param use for so many fitting requests (all). */
  rule(fitting: Fitting, fault: Fault, use?: { readonly times?: number }): void;
  clear(): void;
  count(method: string, path?: RegExp): number;
  down(): Promise<void>;
  up(): Promise<void>;
}

interface Rule {
  readonly fitting: Fitting;
  readonly fault: Fault;
  times: number;
}

/** Scheme, host and port of a registry that speaks HTTP, which may be another one for each path. */
type Target = string | ((path: string) => string);

/** Ends with the test. */
export async function faultyProxy(t: TestContext, target: Target): Promise<FaultyProxy> {
  let rules: Rule[] = [];
  let cleared = Promise.withResolvers<void>();
  const requests: ProxiedRequest[] = [];
  const sockets = new Set<Socket>();
  let port = 0;

  const faultFor = ({ method, path }: ProxiedRequest): Fault => {
    const due = rules.findLast(
      ({ fitting, times }) =>
        times > 0 && (fitting.method ?? method) === method && (fitting.path?.test(path) ?? true),
    );
    if (due === undefined) return {};
    due.times--;
    return due.fault;
  };
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = '', url: path = '', headers } = incoming;
    const asked = { method, path, headers };
    requests.push(asked);
    const fault = faultFor(asked);
    await fault.waitFor;
    if (fault.stallAfter === -1) await cleared.promise;
    if (fault.refuse) return void incoming.socket.destroy();
    if (fault.redirect !== undefined) {
      const location = fault.redirect.replace('{path}', path);
      return void outgoing.writeHead(307, { location, ...defined(fault.headers) }).end();
    }
    if (fault.status !== undefined) {
      return void outgoing.writeHead(fault.status, defined(fault.headers)).end(fault.body);
    }
    const registry = typeof target === 'string' ? target : target(path);
    const given = await ask(registry, incoming, fault, outgoing);
    await relay(given, outgoing, fault, cleared.promise);
  };
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => incoming.socket.destroy()); // either side has gone
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const down = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const up = async (): Promise<void> => {
    if (server.listening) return;
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo); // it listens on TCP
  };
  await up();
  t.after(() => {
    cleared.resolve();
    return down();
  });
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    requests,
    rule(fitting, fault, { times = Infinity } = {}) {
      rules.push({ fitting, fault, times });
    },
    clear() {
      rules = [];
      cleared.resolve();
      cleared = Promise.withResolvers();
    },
    count: (method, path = /^/) =>
      requests.filter((request) => request.method === method && path.test(request.path)).length,
    down,
    up,
  };
}

function defined(headers: Fault['headers'] = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function ask(
  target: string,
  incoming: IncomingMessage,
  fault: Fault,
  outgoing: ServerResponse,
): Promise<IncomingMessage> {
  const { host: _host, range, ...headers } = incoming.headers;
  const wanted = fault.withoutRange || range === undefined ? {} : { range };
  return new Promise((resolve, reject) => {
    const request = send(new URL(incoming.url ?? '', target), {
      method: incoming.method ?? '',
      headers: { ...headers, ...wanted },
      agent: false,
    });
    request.once('response', resolve);
    request.once('error', reject);
    // A client that leaves takes its request with it.
    outgoing.once('close', () => request.destroy());
    incoming.pipe(request);
  });
}

async function relay(
  given: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault,
  cleared: Promise<void>,
): Promise<void> {
  given.on('error', () => outgoing.destroy());
  const headers = { ...given.headers, ...fault.headers };
  const length = Number(fault.body?.length ?? given.headers['content-length']) + (fault.lengthLie ?? 0);
  if (!Number.isNaN(length)) headers['content-length'] ??= String(length);
  if (fault.body !== undefined || fault.lengthLie !== undefined) headers['content-length'] = String(length);
  outgoing.writeHead(given.statusCode ?? 0, defined(headers as Fault['headers'])); // what came is what goes
  outgoing.flushHeaders();
  const body = fault.body === undefined ? given : [Buffer.from(fault.body)];
  let at = 0;
  for await (const whole of body as AsyncIterable<Buffer> | Buffer[]) {
    for (const chunk of pieces(whole, at, fault)) {
      if (at === fault.stallAfter) await cleared;
      if (at === fault.cutAfter) break;
      await write(outgoing, chunk, fault.bytesPerSecond);
      at += chunk.length;
    }
    if (at === fault.cutAfter) break;
  }
  if (at === fault.stallAfter) await cleared;
  if (at === fault.cutAfter || fault.lengthLie !== undefined) outgoing.socket?.destroySoon();
  else outgoing.end();
}

/** Of the bytes from `at` on, in pieces that end where a fault begins. */
function* pieces(chunk: Buffer, at: number, { flip, cutAfter, stallAfter }: Fault): Iterable<Buffer> {
  const within = (index = -1): boolean => index > at && index < at + chunk.length;
  const ends = [cutAfter, stallAfter].filter(within).map((index = 0) => index - at);
  const bytes = Buffer.from(chunk);
  const turned = (flip ?? -1) - at;
  if (turned >= 0 && turned < bytes.length) bytes[turned] = ~(bytes[turned] ?? 0) & 0xff;
  let from = 0;
  for (const end of [...ends.toSorted((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, end);
    from = end;
  }
}

/** Or closed. */
async function drained(outgoing: ServerResponse): Promise<void> {
  using over = new DisposableStack();
  await new Promise<void>((resolve) => {
    for (const event of ['drain', 'close'] as const) {
      outgoing.once(event, resolve);
      over.defer(() => outgoing.off(event, resolve));
    }
  });
}

async function write(outgoing: ServerResponse, chunk: Buffer, bytesPerSecond = Infinity): Promise<void> {
  if (outgoing.destroyed) throw new Error('the client has gone');
  const step = bytesPerSecond === Infinity ? chunk.length : Math.max(1, Math.floor(bytesPerSecond / 20));
  for (let from = 0; from < chunk.length; from += step) {
    if (!outgoing.write(chunk.subarray(from, from + step))) await drained(outgoing);
    if (bytesPerSecond !== Infinity) await new Promise((done) => setTimeout(done, 50));
  }
}
