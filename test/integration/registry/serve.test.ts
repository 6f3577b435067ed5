import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { Agent, request } from 'undici';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import type { LogRecord } from '../../support/log-sink.ts';
import { runProgram } from '../../support/run-program.ts';
import { startServe, writePair } from '../../support/serve-process.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { waitFor } from '../../support/wait-for.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'serve-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function json<T>(url: string): Promise<T> {
  return (await (await request(url)).body.json()) as T; // the caller names what the page holds
}

test('a bad configuration prints every error with its path and exits with 2', async (t) => {
  const file = join(folder(t), 'config.yml');
  writeFileSync(
    file,
    `
version: 0.1
storage: {s3: {bucket: b}}
http: {addr: nowhere, tls: {certificate: /no/such.crt, key: /no/such.key}}
auth: {htpasswd: {realm: r, path: /no/such/users}}
`,
  );
  const { code, stderr } = await runProgram(['serve', file]);
  assert.equal(code, 2);
  assert.deepEqual(stderr.trim().split('\n').toSorted(), [
    `${file}: auth.htpasswd.path names /no/such/users, which cannot be read: ENOENT`,
    `${file}: http.addr must be host:port, as in :5000 or 127.0.0.1:5000, not "nowhere"`,
    `${file}: http.tls.certificate names /no/such.crt, which cannot be read: ENOENT`,
    `${file}: http.tls.key names /no/such.key, which cannot be read: ENOENT`,
    `${file}: storage.s3.region is required without a regionendpoint`,
  ]);
});

test('a key that does not fit its certificate, and a storage root that is a file, are errors of the configuration', async (t) => {
  const path = folder(t);
  const authority = await createTestAuthority();
  const [one, other] = [await authority.issue(), await authority.issue()];
  writePair(path, { certificate: one.certificate, key: other.key });
  const file = join(path, 'config.yml');
  writeFileSync(
    file,
    `
version: 0.1
storage: {filesystem: {rootdirectory: ${file}}, cache: {blobdescriptor: redis}}
redis: {addr: "127.0.0.1:0"}
http: {addr: "127.0.0.1:0", tls: {certificate: ${path}/tls.crt, key: ${path}/tls.key}}
`,
  );
  // It ends although Redis is asked again and again.
  const { code, stderr } = await runProgram(['serve', file]);
  assert.equal(code, 2);
  assert.match(stderr, /: http\.tls the key of \S+tls\.key is not the one of \S+tls\.crt$/m);
  assert.match(stderr, /: storage\.filesystem .*cannot be used/m);
});

test('usage: a missing CONFIG, and REGISTRY_CONFIGURATION_PATH in its place', async () => {
  assert.equal((await runProgram(['serve'])).code, 2);
  assert.equal((await runProgram(['serve', 'a', 'b'])).code, 2);
  const { code, stderr } = await runProgram(['serve'], {
    environment: { REGISTRY_CONFIGURATION_PATH: '/no/such.yml' },
  });
  assert.equal(code, 2);
  assert.equal(stderr, '/no/such.yml: cannot be read: ENOENT\n');
});

test('an address that is taken is told, and the exit code is 1', async (t) => {
  const server = await startServe(t);
  const file = join(server.folder, 'second.yml');
  writeFileSync(
    file,
    `
version: 0.1
storage: {filesystem: {rootdirectory: ${server.folder}/storage}}
http: {addr: "${server.address}"}
`,
  );
  const { code, stderr } = await runProgram(['serve', file]);
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `stevedore serve: cannot start: http.addr: ${server.address} is in use by another process\n`,
  );
  const json = await runProgram(['serve', file], { environment: { REGISTRY_LOG_FORMATTER: 'json' } });
  const last = JSON.parse(json.stderr.trim().split('\n').at(-1) ?? '') as LogRecord; // the logger writes objects
  assert.equal(last.message, 'cannot start');
  assert.equal(last['reason'], `http.addr: ${server.address} is in use by another process`);
});

test('a server with TLS serves a new certificate without a restart and says which', async (t) => {
  const tls = await createTestAuthority();
  const server = await startServe(t, { tls, users: { ann: 'secret' } });
  const { url, statusUrl } = server;
  const dispatcher = (): Agent => new Agent({ connect: { ca: tls.certificate } });
  const before = await json<StatusDocument>(`${statusUrl}/status`);
  const serials = new Set<string>();
  for (let round = 0; round < 3; round++) {
    writePair(server.folder, await tls.issue());
    const { certificate } = await json<StatusDocument>(`${statusUrl}/status`);
    serials.add(certificate?.serial ?? '');
    const agent = dispatcher();
    const answer = await request(`${url}/v2/`, {
      dispatcher: agent,
      headers: { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` },
    });
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    await agent.close();
  }
  assert.equal(serials.size, 3);
  assert.ok(!serials.has(before.certificate?.serial ?? ''));
  assert.equal(before.users?.count, 1);
  assert.match(before.configHash, /^[0-9a-f]{64}$/);
  await assert.rejects(request(`${url}/v2/`), /certificate|unable to verify/);
});

test('the status port answers health, readiness and metrics', async (t) => {
  const { url, statusUrl } = await startServe(t, {
    environment: {
      REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0',
      REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED: 'true',
      REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH: '/m',
    },
  });
  await (await request(`${url}/v2/`)).body.dump();
  for (const [path, status, body] of [
    ['/healthz', 200, /^ok$/m],
    ['/readyz', 200, /^ok$/m],
    ['/metrics', 200, /^registry_http_requests_total\{handler="base",method="get",code="200"\} 1$/m],
    ['/metrics', 200, /^stevedore_read_only 0$/m],
    ['/metrics', 200, /^process_resident_memory_bytes \d+$/m],
    ['/nothing', 404, /no such page/],
  ] as const) {
    const answer = await request(`${statusUrl}${path}`);
    assert.equal(answer.statusCode, status, path);
    assert.match(await answer.body.text(), body, path);
  }
  const posted = await request(`${statusUrl}/healthz`, { method: 'POST' });
  assert.equal(posted.statusCode, 405);
  await posted.body.dump();
});

test('the debug listener serves metrics where it is told to', async (t) => {
  const { records } = await startServe(t, {
    environment: {
      REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0',
      REGISTRY_HTTP_DEBUG_PROMETHEUS: '{enabled: true, path: /m}',
    },
  });
  const listening = records.find(({ message }) => message === 'listening');
  const debug = `http://${String(listening?.['debug'])}`;
  const metrics = await request(`${debug}/m`);
  assert.match(await metrics.body.text(), /registry_http_in_flight_requests/);
  assert.deepEqual(await json(`${debug}/debug/health`), {});
});

test('SIGTERM ends the server with 0 after the request in progress', async (t) => {
  const server = await startServe(t);
  const opened = await request(`${server.url}/v2/a/blobs/uploads/`, { method: 'POST' });
  await opened.body.dump();
  const body = new PassThrough();
  body.write('ab');
  const patch = request(String(opened.headers['location']), { method: 'PATCH', body });
  await waitFor(async () => (await json<StatusDocument>(`${server.statusUrl}/status`)).openUploads === 1);
  const exited = once(server.process, 'exit') as Promise<[number | null]>; // code first
  server.process.kill('SIGTERM');
  await waitFor(() => server.records.some(({ message }) => message === 'stopping'));
  const ready = await request(`${server.statusUrl}/readyz`);
  assert.equal(ready.statusCode, 503);
  await ready.body.dump();
  await waitFor(async () => {
    const answered = await request(`${server.url}/v2/`, { reset: true }).then(
      async ({ body }) => body.dump().then(() => true),
      () => false,
    );
    return !answered;
  });
  body.end('cd');
  const answer = await patch;
  assert.equal(answer.statusCode, 202);
  assert.equal(answer.headers['range'], '0-3');
  await answer.body.dump();
  assert.deepEqual((await exited)[0], 0);
  assert.deepEqual(
    server.records.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
});

test('htpasswd prints a line that the server takes', async () => {
  const fromInput = await runProgram(['htpasswd', '--cost', '4', 'ann'], { input: 'secret\n' });
  assert.match(fromInput.stdout, /^ann:\$2y\$04\$[./A-Za-z0-9]{53}\n$/);
  const fromArgument = await runProgram(['htpasswd', '-C', '4', 'ann', 'secret']);
  assert.match(fromArgument.stdout, /^ann:\$2y\$04\$/);
  for (const args of [
    [],
    ['a:b', 'x'],
    ['a', 'b', 'c'],
    ['a'],
    ['--cost', '3', 'a', 'b'],
    ['a', 'x'.repeat(73)],
  ]) {
    assert.equal((await runProgram(['htpasswd', ...args])).code, 2, args.join(' '));
  }
});
