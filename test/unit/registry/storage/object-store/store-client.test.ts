import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createNetServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import {
  jitteredDelay,
  StoreClient,
  type StoreClientOptions,
} from '../../../../../src/registry/storage/object-store/store-client.ts';
import { sleeplessClock, standInService } from '../../../../support/stand-in-service.ts';

function client(t: TestContext, options: Partial<StoreClientOptions> = {}): StoreClient {
  const made = new StoreClient({
    clock: sleeplessClock(),
    retryDelay: jitteredDelay(() => 1),
    environment: {},
    ...options,
  });
  t.after(() => made.close());
  return made;
}

test('what passes by itself is tried again, with longer and longer waits', async (t) => {
  const clock = sleeplessClock();
  const statuses = [500, 503, 429, 408, 200];
  const service = await standInService(t, (_, count) => ({ status: statuses[count - 1] ?? 200, body: 'x' }));
  const answer = await client(t, { clock }).fetch({
    method: 'PUT',
    url: new URL(service.url),
    body: 'content',
  });
  assert.deepEqual([answer.status, answer.retried, answer.body.toString()], [200, true, 'x']);
  assert.deepEqual(clock.slept, [200, 400, 800, 1600]);
  assert.deepEqual(new Set(service.received.map(({ body }) => body)), new Set(['content']));
});

test('a connection that breaks is tried again', async (t) => {
  const service = await standInService(t, (_, count) => (count === 1 ? 'cut' : { body: 'x' }));
  const answer = await client(t).fetch({ method: 'GET', url: new URL(service.url) });
  assert.deepEqual([answer.status, answer.retried], [200, true]);
});

test('a store that answers before it has read the body gets nothing more on that connection', async (t) => {
  const size = 16 * 1024 * 1024;
  const closed = Promise.withResolvers<void>();
  const { promise: answered, resolve: resume } = Promise.withResolvers<void>();
  let connections = 0;
  let received = 0;
  const server = createNetServer((socket) => {
    socket.on('error', () => undefined);
    if (++connections === 1) {
      socket.once('close', closed.resolve);
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n');
        // It does not see that the connection is closed before it reads on.
        void answered.then(() => socket.resume());
      });
      return;
    }
    socket.on('data', (data: Buffer) => {
      received += data.length;
      if (received > size) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on a port
  const url = new URL(`http://127.0.0.1:${port}/`);
  const answer = await client(t).fetch({ method: 'PUT', url, body: new Uint8Array(size) });
  assert.deepEqual([answer.status, answer.retried, connections], [200, true, 2]);
  // Whoever sends frees the memory of what was taken: nothing may read it then.
  resume();
  await closed.promise;
});

test('Retry-After is waited for, in seconds and as a date, unless it is too long', async (t) => {
  const clock = sleeplessClock();
  const inTen = new Date(clock.now() + 17_000).toUTCString();
  const waits = ['7', inTen, '3600'];
  const service = await standInService(t, (_, count) => ({
    status: 503,
    headers: { 'Retry-After': waits[count - 1] ?? '' },
  }));
  const answer = await client(t, { clock }).fetch({ method: 'GET', url: new URL(service.url) });
  assert.equal(answer.status, 503);
  assert.deepEqual(clock.slept, [7_000, 10_000]);
});

test('a refusal is an answer, and is not tried again', async (t) => {
  const service = await standInService(t, () => ({ status: 403 }));
  const answer = await client(t).fetch({ method: 'GET', url: new URL(service.url) });
  assert.deepEqual([answer.status, answer.retried, service.received.length], [403, false, 1]);
});

test('a store that never answers is UNAVAILABLE, and the address is for the log alone', async (t) => {
  const service = await standInService(t, () => 'cut');
  const url = new URL(`${service.url}/bucket/key?signature=secret`);
  for (const send of ['fetch', 'open'] as const) {
    await assert.rejects(client(t)[send]({ method: 'GET', url }), (error: Error) => {
      assert.equal(error.message, 'the storage of the registry does not answer');
      assert.ok(error.cause instanceof Error && error.cause.message.includes('/bucket/key'));
      assert.ok(!error.cause.message.includes('secret'));
      return true;
    });
  }
  assert.equal(service.received.length, 14);
});

test('a request is signed anew for each attempt', async (t) => {
  let signatures = 0;
  const service = await standInService(t, (_, count) => ({ status: count < 3 ? 500 : 200 }));
  const signing = client(t, {
    authorize: (request) => ({ ...request, headers: { authorization: `signature ${++signatures}` } }),
  });
  await signing.fetch({ method: 'GET', url: new URL(service.url) });
  assert.deepEqual(
    service.received.map(({ headers }) => headers.authorization),
    ['signature 1', 'signature 2', 'signature 3'],
  );
});

test('what must not be sent twice is sent once', async (t) => {
  const service = await standInService(t, () => 'cut');
  await assert.rejects(client(t).fetchOnce({ method: 'DELETE', url: new URL(service.url) }), {
    code: 'UNAVAILABLE',
  });
  assert.equal(service.received.length, 1);
});

test("the store's time follows its Date, never ahead of it", async (t) => {
  const clock = sleeplessClock();
  const service = await standInService(t, () => ({ headers: { Date: 'Sat, 01 Jan 2000 00:00:00 GMT' } }));
  const asking = client(t, { clock });
  assert.equal(asking.storeTime(), clock.now());
  await asking.fetch({ method: 'HEAD', url: new URL(service.url) });
  await clock.sleep(5_000);
  assert.equal(asking.storeTime(), Date.UTC(2000, 0, 1, 0, 0, 5));
});

test('a proxy of the environment is used, but not for what NO_PROXY names', async (t) => {
  const proxy = await standInService(t, () => ({ body: 'by proxy' }));
  const service = await standInService(t, () => ({ body: 'direct' }));
  const ask = async (environment: Record<string, string>): Promise<string> => {
    const answer = await client(t, { environment }).fetch({
      method: 'GET',
      url: new URL(`${service.url}/x`),
    });
    return answer.body.toString();
  };
  assert.equal(await ask({ NO_PROXY: '127.0.0.1', HTTP_PROXY: proxy.url }), 'direct');
  assert.equal(await ask({}), 'direct');
  assert.equal(proxy.received.length, 0);
  assert.equal(await ask({ HTTP_PROXY: proxy.url }), 'by proxy');
  assert.equal(await ask({ http_proxy: proxy.url }), 'by proxy');
});

test('connections are kept, after a HEAD too', async (t) => {
  let connections = 0;
  const server = createServer((_, response) => response.end()).on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // of a TCP listener
  const store = client(t);
  for (let count = 0; count < 10; count++) {
    await store.fetch({ method: 'HEAD', url: new URL(`http://127.0.0.1:${port}`) });
  }
  // A pool may open a second one while the first is about to be free.
  assert.ok(connections <= 2, `${connections} connections`);
});
