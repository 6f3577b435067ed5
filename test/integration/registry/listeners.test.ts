import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import { digestOf } from '../../../src/oci/digest.ts';
import { writePair } from '../../support/serve-process.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const authority = await createTestAuthority();
const pair = await authority.issue();

function startTls(t: TestContext, overrides: Readonly<Record<string, string>> = {}): Promise<TestRegistry> {
  return startTestRegistry(
    t,
    {
      REGISTRY_HTTP_TLS_CERTIFICATE: '{folder}/tls.crt',
      REGISTRY_HTTP_TLS_KEY: '{folder}/tls.key',
      ...overrides,
    },
    (folder) => writePair(folder, pair),
  );
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function ask(
  session: ClientHttp2Session,
  method: string,
  path: string,
  body?: Buffer,
): Promise<Answer> {
  const stream = session.request({ ':method': method, ':path': path }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]; // as node:http2 documents it
  return { headers, body: await buffer(stream) };
}

const content = Buffer.alloc(3_000_000, 'content.');
const digest = digestOf(content);

/** Everything that differs between the two versions: bodies without a length, many at once, Location, ranges. */
async function converseHttp2(session: ClientHttp2Session, base: string): Promise<void> {
  const opened = await ask(session, 'POST', '/v2/a/blobs/uploads/');
  assert.equal(opened.headers[':status'], 202);
  const location = String(opened.headers['location']);
  assert.ok(location.startsWith(`${base}/v2/a/blobs/uploads/`), location);
  const { pathname } = new URL(location);
  const patched = await ask(session, 'PATCH', pathname, content.subarray(0, 1_000_000));
  assert.deepEqual([patched.headers[':status'], patched.headers['range']], [202, '0-999999']);
  const put = await ask(session, 'PUT', `${pathname}?digest=${digest}`, content.subarray(1_000_000));
  assert.deepEqual([put.headers[':status'], put.headers['docker-content-digest']], [201, digest]);
  const pulls = Array.from({ length: 5 }, () => ask(session, 'GET', `/v2/a/blobs/${digest}`));
  for (const { body } of await Promise.all(pulls)) assert.equal(digestOf(body), digest);
  const head = await ask(session, 'HEAD', `/v2/a/blobs/${digest}`);
  assert.deepEqual([head.headers[':status'], head.headers['content-length']], [200, '3000000']);
  const missing = await ask(session, 'GET', '/v2/a/manifests/none');
  assert.equal(missing.headers[':status'], 404);
  assert.match(missing.body.toString(), /MANIFEST_UNKNOWN/);
}

test('HTTP/2 over TLS is chosen in the handshake, and does all that HTTP/1.1 does', async (t) => {
  const registry = await startTls(t);
  const session = connectHttp2(registry.url, { ca: authority.certificate });
  t.after(() => session.destroy());
  await converseHttp2(session, registry.url);
  const agent = new Agent({ connect: { ca: authority.certificate }, allowH2: false });
  const { statusCode, body } = await request(`${registry.url}/v2/`, { dispatcher: agent });
  assert.deepEqual([statusCode, await body.text()], [200, '{}']);
  await agent.close();
});

test('with http2.disabled the handshake offers HTTP/1.1 alone', async (t) => {
  const { server } = await startTls(t, { REGISTRY_HTTP_HTTP2_DISABLED: 'true' });
  const socket = await handshake(server.address, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(socket.alpnProtocol, 'http/1.1');
  socket.destroy();
});

test('with h2c.enabled a connection may begin with HTTP/2, and else is one of HTTP/1.1', async (t) => {
  const registry = await startTestRegistry(t, { REGISTRY_HTTP_H2C_ENABLED: 'true' });
  const session = connectHttp2(registry.url);
  t.after(() => session.destroy());
  await converseHttp2(session, registry.url);
  const { statusCode, body } = await request(`${registry.url}/v2/`);
  assert.deepEqual([statusCode, await body.text()], [200, '{}']);
  const { hostname, port } = new URL(registry.url);
  const slow = connect(Number(port), hostname);
  for (const piece of ['P', 'U', 'T /v2/ HTTP/1.1\r\nHost: x\r\n\r\n']) {
    slow.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [answer] = (await once(slow, 'data')) as [Buffer]; // what a socket emits
  assert.match(answer.toString(), /^HTTP\/1\.1 405 /);
  slow.destroy();
});

test('without h2c.enabled HTTP/2 on a plain connection is a malformed request', async (t) => {
  const registry = await startTestRegistry(t);
  const session = connectHttp2(registry.url);
  const [error] = (await once(session, 'error')) as [Error]; // as node:http2 documents it
  assert.match(error.message, /Protocol error/i);
});

test('a stop lets streams of HTTP/2 end, takes no further ones, and is not held up by idle sessions', async (t) => {
  const registry = await startTls(t);
  const session = connectHttp2(registry.url, { ca: authority.certificate });
  const idle = connectHttp2(registry.url, { ca: authority.certificate });
  await ask(idle, 'GET', '/v2/');
  const opened = await ask(session, 'POST', '/v2/a/blobs/uploads/');
  const { pathname } = new URL(String(opened.headers['location']));
  const stream = session.request({ ':method': 'PATCH', ':path': pathname });
  stream.write('ab');
  await waitFor(() => stream.writableLength === 0 && !stream.pending);
  const stopped = registry.server.stop();
  await once(idle, 'close');
  stream.end('cd');
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]; // as node:http2 documents it
  assert.deepEqual([headers[':status'], headers['range']], [202, '0-3']);
  stream.resume();
  await stopped;
});

test('a body that the client cuts off is logged as 499, the upload keeps what came, and the session goes on', async (t) => {
  const registry = await startTls(t);
  const session = connectHttp2(registry.url, { ca: authority.certificate });
  t.after(() => session.destroy());
  const opened = await ask(session, 'POST', '/v2/a/blobs/uploads/');
  const { pathname } = new URL(String(opened.headers['location']));
  const stream = session.request({ ':method': 'PUT', ':path': `${pathname}?digest=${digest}` });
  stream.write('ab');
  await waitFor(() => stream.writableLength === 0 && !stream.pending);
  stream.destroy();
  await waitFor(() =>
    registry.records.some(({ message, status }) => message === 'request' && status === 499),
  );
  const left = await ask(session, 'GET', pathname);
  assert.deepEqual([left.headers[':status'], left.headers['range']], [204, '0-1']);
  assert.deepEqual(
    registry.records.filter(({ level }) => level === 'error'),
    [],
  );
});

async function handshake(address: string, options: ConnectionOptions): Promise<TLSSocket> {
  const [host = '', port] = address.split(':');
  const socket = connectTls({ host, port: Number(port), ca: authority.certificate, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

test('cipher suites by their Go names are the only ones of TLS 1.2, and those of TLS 1.3 stay', async (t) => {
  const { server } = await startTls(t, {
    REGISTRY_HTTP_TLS_CIPHERSUITES: '[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]',
  });
  const old = { maxVersion: 'TLSv1.2' } as const;
  const socket = await handshake(server.address, old);
  assert.equal(socket.getCipher().standardName, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384');
  socket.destroy();
  await assert.rejects(
    handshake(server.address, { ...old, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
    /handshake/,
  );
  const young = await handshake(server.address, {});
  assert.equal(young.getProtocol(), 'TLSv1.3');
  young.destroy();
});

test('cipher suites that OpenSSL does not have are told at the start', async (t) => {
  const started = startTls(t, { REGISTRY_HTTP_TLS_CIPHERSUITES: '[TLS_RSA_WITH_3DES_EDE_CBC_SHA]' });
  await assert.rejects(started, /http\.tls ciphersuites names none that OpenSSL has here/);
});

test('a configured header about the connection is left out, over HTTP/2 too', async (t) => {
  const registry = await startTls(t, {
    REGISTRY_HTTP_HEADERS: '{Connection: [close], X-Content-Type-Options: [nosniff]}',
  });
  const session = connectHttp2(registry.url, { ca: authority.certificate });
  t.after(() => session.destroy());
  const { headers } = await ask(session, 'GET', '/v2/');
  assert.deepEqual([headers[':status'], headers['x-content-type-options']], [200, 'nosniff']);
});

function unixRequest(socketPath: string, path: string): Promise<number> {
  const agent = new Agent({ connect: { socketPath } });
  return request(`http://registry${path}`, { dispatcher: agent }).then(
    async ({ statusCode, headers, body }) => {
      await body.dump();
      await agent.close();
      return headers['location'] === undefined ? statusCode : 0;
    },
  );
}

test('a Unix socket is listened on, is gone after a stop, and one that nobody listens on is taken over', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'registry.sock');
  const settings = { REGISTRY_HTTP_NET: 'unix', REGISTRY_HTTP_ADDR: path };
  const first = await startTestRegistry(t, settings);
  assert.equal(first.server.address, path);
  assert.equal(await unixRequest(path, '/v2/'), 200);
  await assert.rejects(startTestRegistry(t, settings), /in use/);
  assert.equal(await unixRequest(path, '/v2/'), 200);
  await first.server.stop();
  assert.equal(existsSync(path), false);
  await leaveStaleSocket(path);
  await startTestRegistry(t, settings);
  assert.equal(await unixRequest(path, '/v2/'), 200);
});

/** As a server leaves it that is killed. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer().listen(path);
  await once(server, 'listening');
  // A hard link is left when the server removes its own name.
  linkSync(path, `${path}.left`);
  server.close();
  await once(server, 'close');
  renameSync(`${path}.left`, path);
}

test('a file in the place of the socket is left alone', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'registry.sock');
  writeFileSync(path, 'precious');
  await assert.rejects(
    startTestRegistry(t, { REGISTRY_HTTP_NET: 'unix', REGISTRY_HTTP_ADDR: path }),
    /in use/,
  );
  assert.ok(existsSync(path));
});
