import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { digestOf } from '../../../../src/oci/digest.ts';
import { systemClock } from '../../../../src/process/clock.ts';
import { openCache } from '../../../../src/registry/cache/open-cache.ts';
import { logSink } from '../../../support/log-sink.ts';
import { waitFor } from '../../../support/wait-for.ts';

const digest = digestOf(Buffer.from('content'));

/** Takes commands of the Redis protocol and answers each as it is told; the real one is in test/e2e. */
async function startStandIn(t: TestContext, answer: (command: readonly string[]) => string | undefined) {
  const commands: (readonly string[])[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const command of parseCommands(bytes.toString())) {
        commands.push(command);
        const reply = answer(command);
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(stop);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, commands, stop }; // it listens on TCP
}

function parseCommands(text: string): string[][] {
  return text
    .split(/^\*\d+\r\n/m)
    .filter(Boolean)
    .map((part) => part.split('\r\n').filter((line) => line !== '' && !/^\$\d+$/.test(line)));
}

async function open(t: TestContext, redis: object) {
  const { config, errors } = parseConfig(
    JSON.stringify({
      version: '0.1',
      storage: { filesystem: {}, cache: { blobdescriptor: 'redis' } },
      http: { addr: ':0' },
      redis,
    }),
  );
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const { log, records } = logSink();
  const metrics = new Registry();
  const cache = await openCache(config, { clock: systemClock, log, metrics });
  t.after(() => cache.close());
  return { cache, records, metrics };
}

const simple = (command: readonly string[]): string =>
  command[0]?.toLowerCase() === 'info' ? '$13\r\nredis_version\r\n' : '+OK\r\n';

test('descriptors are where distribution keeps them, under the options of the section', async (t) => {
  const redis = await startStandIn(t, (command) => {
    switch (String(command[0]).toLowerCase()) {
      case 'hmget':
        return `*2\r\n$71\r\n${digest}\r\n$1\r\n7\r\n`;
      case 'hset':
      case 'hsetnx':
      case 'expire':
      case 'hdel':
        return ':1\r\n';
      default:
        return simple(command);
    }
  });
  const { cache, records } = await open(t, {
    addr: redis.address,
    username: 'user',
    password: 'secret',
    db: 3,
    protocol: 2,
    clientname: 'registry',
    disableidentity: true,
  });
  assert.equal(await cache.get(digest), 7);
  await cache.set(digest, 7);
  await cache.delete(digest);
  const sent = redis.commands.map((command) => command.join(' ').toLowerCase());
  for (const command of [
    'auth user secret',
    'select 3',
    'client setname registry',
    `hmget blobs::${digest} digest size`,
    `hset blobs::${digest} digest ${digest} size 7`,
    `hsetnx blobs::${digest} mediatype application/octet-stream`,
    `expire blobs::${digest} 3600`,
    `hdel blobs::${digest} digest size mediatype`,
  ]) {
    assert.ok(sent.includes(command), `${command} in ${sent.join('\n')}`);
  }
  assert.ok(!sent.some((command) => command.startsWith('client setinfo')));
  assert.deepEqual(records, []);
});

test('a Redis that does not answer costs its timeout once a second, one warning, and no answer is wrong', async (t) => {
  const redis = await startStandIn(t, (command) =>
    command[0]?.toLowerCase() === 'hmget' ? undefined : simple(command),
  );
  const { cache, records, metrics } = await open(t, {
    addrs: [redis.address],
    readtimeout: '20ms',
    protocol: 2,
  });
  const began = performance.now();
  for (let time = 0; time < 100; time++) assert.equal(await cache.get(digest), undefined);
  assert.ok(performance.now() - began < 1000);
  assert.equal(redis.commands.filter(([name]) => name?.toLowerCase() === 'hmget').length, 1);
  assert.equal(records.length, 1);
  assert.match(await metrics.metrics(), /registry_storage_cache_errors_total 1/);
});

test('without Redis the cache knows nothing, and knows again when it is back', async (t) => {
  let size = '7';
  const answer = (command: readonly string[]): string =>
    command[0]?.toLowerCase() === 'hmget'
      ? `*2\r\n$71\r\n${digest}\r\n$${size.length}\r\n${size}\r\n`
      : simple(command);
  const redis = await startStandIn(t, answer);
  const { cache, records } = await open(t, { addr: redis.address, protocol: 2, maxretrybackoff: '50ms' });
  assert.equal(await cache.get(digest), 7);
  size = 'x';
  assert.equal(await cache.get(digest), undefined, 'what is no size is not known');
  redis.stop();
  await waitFor(() => records.length > 0);
  assert.equal(await cache.get(digest), undefined);
  await cache.set(digest, 1);
  await cache.delete(digest);
  assert.equal(records.length, 1);
  assert.match(records[0]?.message ?? '', /the store is asked each time/);
});
