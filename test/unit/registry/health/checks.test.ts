import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { configuredChecks } from '../../../../src/registry/health/checks.ts';
import type { HealthCheck } from '../../../../src/registry/health/health-monitor.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';

const driver = new MemoryDriver(() => 0);

function checksOf(
  health: string,
  environment: Readonly<Record<string, string>> = {},
): readonly HealthCheck[] {
  const text = `{version: 0.1, storage: filesystem, http: {addr: ":0"}, health: ${health}}`;
  const { config, errors } = parseConfig(text);
  assert.deepEqual(errors, []);
  assert.ok(config);
  return configuredChecks(config.health, { driver, kind: 'filesystem', environment });
}

function only(checks: readonly HealthCheck[]): HealthCheck {
  assert.equal(checks.length, 1);
  assert.ok(checks[0]);
  return checks[0];
}

async function problemOf(health: HealthCheck): Promise<string | undefined> {
  try {
    await health.check(new AbortController().signal);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function startUpstream(
  t: TestContext,
  answer: (request: IncomingMessage) => number,
): Promise<{ readonly address: string; readonly requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const status = answer(request);
    response.writeHead(status, status === 301 ? { location: '/moved' } : {}).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

test('without a section there is nothing to check, and defaults are those of docker distribution', () => {
  assert.deepEqual(checksOf('{}', { HTTPS_PROXY: 'nobody asks for it' }), []);
  assert.deepEqual(checksOf('{storagedriver: {enabled: false}}'), []);
  const { name, concern, interval, threshold } = only(checksOf('{storagedriver: {enabled: true}}'));
  assert.deepEqual([name, concern, interval, threshold], ['storagedriver_filesystem', 'storage', 10_000, 1]);
});

test('interval, threshold and timeout of each kind are taken, and 0 is the default', () => {
  const values = 'interval: 3s, threshold: 4';
  const all = checksOf(
    `{storagedriver: {enabled: true, ${values}}, file: [{file: /f, ${values}}],` +
      ` http: [{uri: "http://a", timeout: 2s, ${values}}], tcp: [{addr: "a:1", timeout: 2s, ${values}}]}`,
  );
  assert.deepEqual(
    all.map(({ interval, threshold }) => [interval, threshold]),
    Array.from({ length: 4 }, () => [3000, 4]),
  );
  assert.deepEqual(
    all.slice(2).map(({ timeout }) => timeout),
    [2000, 2000],
  );
  const zero = only(checksOf('{tcp: [{addr: "a:1", timeout: 0, interval: 0s, threshold: 0}]}'));
  assert.deepEqual([zero.timeout, zero.interval, zero.threshold], [5000, 10_000, 1]);
});

test('the storage is well while it answers, also when nothing was pushed yet', async () => {
  const storage = only(checksOf('{storagedriver: {enabled: true}}'));
  assert.equal(await problemOf(storage), undefined);
  driver.before = () => {
    throw new Error('unplugged');
  };
  assert.equal(await problemOf(storage), 'unplugged');
  driver.before = () => {};
});

test('a file is a failure while it exists', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'health-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = only(checksOf(`{file: [{file: ${folder}/out}]}`));
  assert.deepEqual([file.name, file.concern], [`${folder}/out`, 'instance']);
  assert.equal(await problemOf(file), undefined);
  writeFileSync(join(folder, 'out'), '');
  assert.equal(await problemOf(file), 'file exists');
});

test('a URL has to answer HEAD, with the headers and the status that are configured', async (t) => {
  const { address, requests } = await startUpstream(t, ({ url }) => (url === '/204' ? 204 : 200));
  const plain = only(checksOf(`{http: [{uri: "http://${address}/", headers: {X-A: [b, c]}}]}`));
  assert.deepEqual([plain.name, plain.concern], [`http://${address}/`, 'dependency']);
  assert.equal(await problemOf(plain), undefined);
  assert.equal(requests[0]?.method, 'HEAD');
  assert.equal(requests[0].headers['x-a'], 'b, c');
  const other = `{http: [{uri: "http://${address}/204"}]}`;
  assert.equal(await problemOf(only(checksOf(other))), 'downstream service returned unexpected status: 204');
  assert.equal(await problemOf(only(checksOf(other.replace('204"', '204", statuscode: 204')))), undefined);
});

test('redirects of a URL are followed, and credentials in it are sent and not told', async (t) => {
  const { address, requests } = await startUpstream(t, ({ url }) => (url === '/moved' ? 200 : 301));
  const check = only(checksOf(`{http: [{uri: "http://ann:secret@${address}/old"}]}`));
  assert.equal(check.name, `http://${address}/old`);
  assert.equal(await problemOf(check), undefined);
  assert.deepEqual(
    requests.map(({ url }) => url),
    ['/old', '/moved'],
  );
  assert.equal(requests[0]?.headers.authorization, `Basic ${btoa('ann:secret')}`);
});

test('an address has to accept connections, and a closed one is told', async (t) => {
  const { address } = await startUpstream(t, () => 200);
  const tcp = only(checksOf(`{tcp: [{addr: "${address}"}]}`));
  assert.deepEqual([tcp.name, tcp.concern], [address, 'dependency']);
  assert.equal(await problemOf(tcp), undefined);
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo; // it listens on TCP
  closed.close();
  await once(closed, 'close');
  assert.match(
    (await problemOf(only(checksOf(`{tcp: [{addr: "127.0.0.1:${port}"}]}`)))) ?? '',
    /^connection failed: .*ECONNREFUSED/,
  );
  assert.match(
    (await problemOf(only(checksOf(`{http: [{uri: "http://127.0.0.1:${port}"}]}`)))) ?? '',
    /^error while checking: .*ECONNREFUSED/,
  );
});

test('an address of a check that is none is an error of the configuration', () => {
  const text = '{version: 0.1, storage: filesystem, http: {addr: ":0"}, health: {tcp: [{addr: redis}]}}';
  assert.deepEqual(
    parseConfig(text).errors.map(({ path }) => path),
    ['health.tcp.0.addr'],
  );
});
