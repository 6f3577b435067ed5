import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Exchange } from '../../../../src/registry/http/exchange.ts';
import { StalledBodies } from '../../../../src/registry/http/stalled-bodies.ts';
import { logSink } from '../../../support/log-sink.ts';
import { openRaw, readAnswer } from '../../../support/raw-request.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { waitFor } from '../../../support/wait-for.ts';

const TIMEOUT = 60_000;

interface Fixture {
  readonly socket: Socket;
  readonly clock: TestClock;
  /** What the handler was given. */
  readonly exchange: () => Promise<Exchange>;
}

/** A server that watches each request and does `handle` with it. */
async function start(t: TestContext, handle: (exchange: Exchange) => void): Promise<Fixture> {
  const clock = new TestClock();
  const bodies = new StalledBodies({ timeout: TIMEOUT, clock, log: logSink().log });
  let seen: Exchange | undefined;
  const server = createServer((request, response) => {
    seen = new Exchange({ request, response, newId: () => 'x', search: '', headers: {} });
    bodies.watch(seen);
    handle(seen);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server has one
  const socket = await openRaw(`127.0.0.1:${port}`);
  t.after(() => {
    socket.destroy();
    bodies.stop();
    server.closeAllConnections();
    server.close();
  });
  const exchange = async (): Promise<Exchange> => {
    await waitFor(() => seen !== undefined);
    return seen ?? assert.fail();
  };
  return { socket, clock, exchange };
}

const HEAD = 'PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n';
const receive = ({ request }: Exchange): void =>
  void request.on('data', () => undefined).on('error', () => undefined);

/** Sends bytes and waits until the server has them. */
async function deliver(socket: Socket, exchange: Exchange, bytes: string): Promise<void> {
  const before = exchange.request.socket.bytesRead;
  socket.write(bytes);
  await waitFor(() => exchange.request.socket.bytesRead === before + bytes.length);
}

test('a body that stands still is answered with 408, and the connection is closed', async (t) => {
  const { socket, clock, exchange } = await start(t, receive);
  socket.write(HEAD);
  await deliver(socket, await exchange(), 'x');
  await clock.advance(TIMEOUT - 1);
  assert.equal((await exchange()).response.headersSent, false);
  await clock.advance(TIMEOUT / 4);
  const answer = await readAnswer(socket);
  assert.equal(answer.status, 408);
  assert.match(answer.body, /"the body stood still"/);
  await once(socket, 'close');
});

test('a body that trickles counts as one that stands still', async (t) => {
  const { socket, clock, exchange } = await start(t, receive);
  socket.write(HEAD);
  for (let look = 0; look < 4; look++) {
    await deliver(socket, await exchange(), 'x'.repeat(100));
    await clock.advance(TIMEOUT / 4);
  }
  assert.equal((await readAnswer(socket)).status, 408);
});

test('a body that moves goes on for any time', async (t) => {
  const { socket, clock, exchange } = await start(t, receive);
  socket.write(HEAD);
  for (let look = 0; look < 20; look++) {
    await deliver(socket, await exchange(), 'x'.repeat(2000));
    await clock.advance(TIMEOUT / 4);
  }
  assert.equal((await exchange()).response.headersSent, false);
});

test('a body that the server does not read yet is not the fault of its client', async (t) => {
  const { socket, clock, exchange } = await start(t, () => undefined);
  socket.write(HEAD);
  const { request, response } = await exchange();
  await clock.advance(3 * TIMEOUT);
  assert.equal(response.headersSent, false);
  request.on('data', () => undefined).pause();
  await clock.advance(3 * TIMEOUT);
  assert.equal(response.headersSent, false);
});

test('an answer that nobody reads is cut', async (t) => {
  const { socket, clock, exchange } = await start(t, ({ response }) => {
    response.writeHead(200, { 'content-length': 100_000_000 });
    response.write(Buffer.alloc(100_000_000));
  });
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const { response } = await exchange();
  await clock.advance(TIMEOUT + TIMEOUT / 4);
  await waitFor(() => response.destroyed);
});

test('a body that goes on after its answer is cut when it stands still', async (t) => {
  const { socket, clock, exchange } = await start(t, (asked) => {
    asked.request.resume();
    asked.answer(401);
  });
  socket.write(HEAD);
  assert.equal((await readAnswer(socket)).status, 401);
  const { request } = await exchange();
  await clock.advance(TIMEOUT + TIMEOUT / 4);
  await waitFor(() => request.destroyed && socket.closed);
});
