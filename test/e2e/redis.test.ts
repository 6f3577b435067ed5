import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { digestHex, digestOf, type Digest } from '../../src/oci/digest.ts';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { waitFor } from '../support/wait-for.ts';
import { killProcess } from './collector-process.ts';
import { succeed } from './command.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';
import { freePort } from './support/free-port.ts';

const layer = Buffer.alloc(100_000, 'layer');
const digest = digestOf(layer);

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server and waits until it answers. */
async function startRedis(t: TestContext, port: number, args: readonly string[] = []): Promise<ChildProcess> {
  const folder = temporaryFolder(t);
  const all = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args];
  const child = spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => killProcess(child));
  await new Promise<void>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (/Ready to accept connections|\+monitor|Sentinel ID/.test(text)) resolve();
    });
    child.once('exit', () => reject(new Error(text)));
  });
  return child;
}

async function serveWithCache(
  t: TestContext,
  redis: object,
  folder?: string,
): Promise<ServeProcess & { registry: HttpRegistry }> {
  const server = await startServe(t, {
    storage: { cache: { blobdescriptor: 'redis' } },
    environment: { REGISTRY_REDIS: JSON.stringify(redis) },
    ...(folder !== undefined && { folder }),
  });
  return { ...server, registry: new HttpRegistry(server.url) };
}

async function hits({ statusUrl }: ServeProcess): Promise<number> {
  const text = await (await fetch(`${statusUrl}/metrics`)).text();
  return Number(/registry_storage_cache_hits_total (\d+)/.exec(text)?.[1]);
}

async function pull(registry: HttpRegistry, blob: Digest = digest): Promise<Buffer> {
  return (await registry.send('GET', `/v2/team/app/blobs/${blob}`, { expect: 200 })).bytes;
}

/** A registry whose second pull is answered from the cache. */
async function assertCaches(server: ServeProcess & { registry: HttpRegistry }): Promise<void> {
  await server.registry.pushBlob('team/app', layer);
  await waitFor(async () => {
    assert.deepEqual(await pull(server.registry), layer);
    return (await hits(server)) > 0;
  });
}

test('a registry with Redis serves while Redis is killed and comes back', async (t) => {
  const port = await freePort();
  const first = await startRedis(t, port);
  const server = await serveWithCache(t, { addr: `127.0.0.1:${port}`, maxretrybackoff: '100ms' });
  await assertCaches(server);
  const client = new Redis(port, { lazyConnect: true });
  await client.connect();
  assert.deepEqual(await client.hgetall(`blobs::${digest}`), {
    digest,
    size: String(layer.length),
    mediatype: 'application/octet-stream',
  });
  client.disconnect();

  const over = new AbortController();
  let pulls = 0;
  const traffic = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      assert.deepEqual(await pull(server.registry), layer);
      pulls++;
    }
  });
  first.kill('SIGKILL');
  await once(first, 'exit');
  const before = pulls;
  await waitFor(() => pulls > before + 100);
  await startRedis(t, port);
  const known = await hits(server);
  await waitFor(async () => (await hits(server)) > known + 10);
  over.abort();
  await Promise.all(traffic);
  const warnings = server.records.filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, 1, JSON.stringify(warnings));
  assert.ok(server.records.some(({ message }) => message === 'the cache in Redis is there again'));
});

test('a Redis that hangs makes a registry slower and no more', async (t) => {
  const port = await freePort();
  const redis = await startRedis(t, port);
  const server = await serveWithCache(t, { addrs: [`127.0.0.1:${port}`], readtimeout: '100ms' });
  await assertCaches(server);
  redis.kill('SIGSTOP');
  const began = performance.now();
  for (let time = 0; time < 50; time++) assert.deepEqual(await pull(server.registry), layer);
  assert.ok(performance.now() - began < 3000);
  redis.kill('SIGCONT');
});

test('a blob that is deleted behind the cache is not there for a pusher, nor for a reader', async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const server = await serveWithCache(t, { addr: `127.0.0.1:${port}` });
  await assertCaches(server);
  const hex = digestHex(digest);
  const data = `storage/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
  rmSync(join(server.folder, data), { recursive: true });
  const path = `/v2/team/app/blobs/${digest}`;
  await server.registry.send('HEAD', path, { expect: 404 });
  await server.registry.send('GET', path, { expect: 404 });
  await server.registry.pushBlob('team/app', layer);
  assert.deepEqual(await pull(server.registry), layer);
  await server.registry.send('DELETE', path, { expect: 202 });
  await server.registry.send('GET', path, { expect: 404 });
});

test('distribution 3 and our server share a Redis', async (t) => {
  const [, distribution] = distributions;
  if (distribution === undefined) throw new Error('there is no distribution 3');
  const folder = temporaryFolder(t);
  const port = await freePort();
  await startRedis(t, port);
  const addrs = [`127.0.0.1:${port}`];
  const server = await serveWithCache(t, { addrs }, folder);
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage: join(folder, 'storage'),
    settings: { redis: { addrs } },
    cache: { blobdescriptor: 'redis' },
  });
  await theirs.pushBlob('team/app', layer);
  assert.deepEqual(await pull(theirs), layer);
  assert.deepEqual(await pull(server.registry), layer);
  assert.equal(await hits(server), 1, 'what distribution wrote is known');
  await server.registry.pushBlob('team/app', Buffer.from('ours'));
  assert.equal((await pull(server.registry, digestOf(Buffer.from('ours')))).toString(), 'ours');
  assert.equal((await pull(theirs, digestOf(Buffer.from('ours')))).toString(), 'ours');
});

test('Redis is reached with a password and TLS, through sentinels, and as a cluster', async (t) => {
  const folder = temporaryFolder(t);
  const authority = await createTestAuthority();
  const pair = await authority.issue();
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const ca = file('ca.crt', authority.certificate);
  const [cert, key] = [file('tls.crt', pair.certificate), file('tls.key', pair.key)];
  const secure = await freePort();
  const password = 'a-password';
  // It asks for a certificate of the client as well.
  const client = { certificate: join(folder, 'client.crt'), key: join(folder, 'client.key'), rootcas: [ca] };
  const self = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=client', '-days', '1'];
  await succeed('openssl', [...self, '-keyout', client.key, '-out', client.certificate]);
  const tls = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', client.certificate];
  await startRedis(t, 0, ['--tls-port', String(secure), ...tls, '--requirepass', password]);
  await assertCaches(await serveWithCache(t, { addr: `127.0.0.1:${secure}`, password, tls: client }));

  const [master, sentinel] = [await freePort(), await freePort()];
  await startRedis(t, master);
  const config = file('sentinel.conf', `sentinel monitor the-set 127.0.0.1 ${master} 1\n`);
  mkdirSync(join(folder, 'sentinel'));
  const watcher = spawn('redis-server', [config, '--sentinel', '--port', String(sentinel), '--dir', folder]);
  t.after(() => killProcess(watcher));
  const sentinels = { addrs: [`127.0.0.1:${sentinel}`], mastername: 'the-set', maxretrybackoff: '100ms' };
  await assertCaches(await serveWithCache(t, sentinels));

  const node = await freePort();
  await startRedis(t, node, ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']);
  await succeed('redis-cli', ['-p', String(node), 'cluster', 'addslotsrange', '0', '16383']);
  const addresses = [`127.0.0.1:${node}`, `localhost:${node}`];
  await assertCaches(await serveWithCache(t, { addrs: addresses, maxretrybackoff: '100ms' }));
});
