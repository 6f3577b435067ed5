import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { request } from 'undici';
import { digestOf } from '../../../src/oci/digest.ts';
import type { LogRecord } from '../../support/log-sink.ts';
import { converse } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const digest = digestOf(Buffer.from('x'));

test('the root, unknown paths and unknown methods', async (t) => {
  const { url } = await startTestRegistry(t);
  await converse(url, [
    {
      send: 'GET /v2/',
      status: 200,
      text: '{}',
      answer: { 'content-type': 'application/json', 'content-length': '2' },
    },
    { send: 'HEAD /v2/', status: 200, text: '', answer: { 'content-length': '2' } },
    { send: 'GET /v2', status: 301, answer: { location: '/v2/' } },
    { send: 'GET /', status: 200, text: '' },
    { send: 'GET /v1/', status: 404, code: 'UNSUPPORTED' },
    { send: 'GET /v2/a', status: 404, code: 'UNSUPPORTED' },
    { send: 'GET /v2/%zz/tags/list', status: 400, code: 'NAME_INVALID' },
    { send: 'GET /v2/A/tags/list', status: 400, code: 'NAME_INVALID' },
    { send: 'GET /v2/../etc/tags/list', status: 404 },
    { send: 'POST /v2/', status: 405, code: 'UNSUPPORTED', answer: { allow: 'GET, HEAD' } },
    { send: 'PUT /v2/a/tags/list', status: 405, code: 'UNSUPPORTED' },
    { send: 'GET /v2/a/blobs/uploads/', status: 405, code: 'UNSUPPORTED', answer: { allow: 'POST' } },
    { send: `PATCH /v2/a/blobs/${digest}`, status: 405, answer: { allow: 'DELETE, GET, HEAD' } },
    { send: 'OPTIONS /v2/', status: 405 },
    { send: 'PROPFIND /v2/', status: 405 },
    { send: `GET /v2/${'a/'.repeat(4000)}tags/list`, status: 400, code: 'NAME_INVALID' },
  ]);
});

test('a Content-Type that is none does not keep a request from its handler', async (t) => {
  const { url } = await startTestRegistry(t);
  const headers = { 'content-type': ';;;' };
  const foo = digestOf(Buffer.from('foo'));
  await converse(url, [
    { send: `POST /v2/a/blobs/uploads/?digest=${foo}`, headers, body: 'foo', status: 201 },
    { send: 'PUT /v2/a/manifests/x', headers, body: '{}', status: 400, code: 'MANIFEST_INVALID' },
    { send: 'DELETE /v2/a/manifests/x', headers, body: '{}', status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: 'QUERY /v2/', status: 405, code: 'UNSUPPORTED' },
  ]);
});

test('a client that vanished without a word is noticed: its connection is probed', async (t) => {
  const { url } = await startTestRegistry(t);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  // An upload whose end will never come, and which a collector would wait for.
  socket.write('POST /v2/a/blobs/uploads/?digest=x HTTP/1.1\r\nHost: r\r\n\r\n');
  await once(socket, 'data');
  // proc(5): local and remote address in hex, two columns further the timer, 02 for that of keep-alive.
  const hex = (port: number | undefined): string =>
    `0100007F:${(port ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .find((text) => text.includes(`${hex(socket.remotePort)} ${hex(socket.localPort)}`));
  assert.match(line ?? '', /: \w+:\w+ \w+:\w+ 01 \w+:\w+ 02:/);
});

test('configured headers are on every answer, and Location follows host and relativeurls', async (t) => {
  const { url } = await startTestRegistry(t, {
    REGISTRY_HTTP_HEADERS: '{X-Content-Type-Options: [nosniff], X-Two: [a, b]}',
    REGISTRY_HTTP_HOST: 'https://registry.example.com',
  });
  const answer = { 'x-content-type-options': 'nosniff', 'x-two': /^a, ?b$/ };
  await converse(url, [
    { send: 'GET /v2/', status: 200, answer },
    { send: 'GET /v2/a/tags/list', status: 404, answer },
    {
      send: 'POST /v2/a/blobs/uploads/',
      status: 202,
      answer: { location: /^https:\/\/registry\.example\.com\/v2\/a\// },
    },
  ]);
  const relative = await startTestRegistry(t, { REGISTRY_HTTP_RELATIVEURLS: 'true' });
  await converse(relative.url, [
    { send: 'POST /v2/a/blobs/uploads/', status: 202, answer: { location: /^\/v2\/a\/blobs\/uploads\// } },
  ]);
});

test('with maintenance.readonly each write is 405 and reads work', async (t) => {
  const { url, statusUrl } = await startTestRegistry(t, {
    REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true',
  });
  await converse(url, [
    { send: 'POST /v2/a/blobs/uploads/', status: 405, code: 'UNSUPPORTED' },
    { send: 'PUT /v2/a/manifests/x', body: '{}', status: 405, code: 'UNSUPPORTED' },
    { send: `DELETE /v2/a/blobs/${digest}`, status: 405, code: 'UNSUPPORTED' },
    { send: 'GET /v2/_catalog', status: 200 },
  ]);
  const status = (await (await request(`${statusUrl}/status`)).body.json()) as { readOnly: object };
  assert.partialDeepStrictEqual(status.readOnly, { active: true, reason: 'Configured' });
});

test('each request is one line with user, status and bytes, and none with the access log off', async (t) => {
  const { url, records } = await startTestRegistry(t);
  await converse(url, [
    { send: 'GET /v2/', headers: { 'user-agent': 'test/1' }, status: 200 },
    { send: 'GET /v2/a/tags/list?n=1', status: 404 },
  ]);
  const lines = (): LogRecord[] => records.filter(({ message }) => message === 'request');
  await waitFor(() => lines().length === 2);
  assert.partialDeepStrictEqual(lines()[0], {
    level: 'info',
    method: 'GET',
    url: '/v2/',
    status: 200,
    bytes: 2,
    remote: '127.0.0.1',
    userAgent: 'test/1',
  });
  const quiet = await startTestRegistry(t, { REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' });
  await converse(quiet.url, [{ send: 'GET /v2/', status: 200 }]);
  assert.deepEqual(
    quiet.records.filter(({ message }) => message === 'request'),
    [],
  );
});

test('a client that goes away is logged as 499, and the upload keeps what came', async (t) => {
  const { url, server, records } = await startTestRegistry(t);
  const opened = await request(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
  const location = String(opened.headers['location']);
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  const path = new URL(location).pathname;
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`);
  // The bytes have arrived when the server reports the upload as open.
  await waitFor(() => socket.bytesWritten >= 100_000 && socket.writableLength === 0);
  await new Promise<void>((resolve) => socket.end(resolve));
  socket.destroy();
  await waitFor(() => records.some(({ message, status }) => message === 'request' && status === 499));
  assert.deepEqual(
    records.filter(({ level }) => level === 'error'),
    [],
  );
  const state = await request(location);
  assert.match(String(state.headers['range']), /^0-\d+$/);
  await state.body.dump();
});

test('a download that is cut off closes the file and leaves the server well', async (t) => {
  const { url, records } = await startTestRegistry(t);
  const content = Buffer.alloc(32 * 1024 * 1024, 7);
  const name = digestOf(content);
  await converse(url, [{ send: `POST /v2/a/blobs/uploads/?digest=${name}`, body: content, status: 201 }]);
  for (let round = 0; round < 10; round++) {
    const answer = await request(`${url}/v2/a/blobs/${name}`);
    answer.body.on('error', () => {}); // it is cut off on purpose
    await once(answer.body, 'readable');
    answer.body.destroy();
  }
  await waitFor(() => records.filter(({ status }) => status === 499).length === 10);
  assert.deepEqual(
    records.filter(({ level }) => level === 'error'),
    [],
  );
  const whole = await request(`${url}/v2/a/blobs/${name}`);
  assert.equal(digestOf(Buffer.from(await whole.body.arrayBuffer())), name);
});

test('requests in progress end after the listener has closed, and idle connections are cut', async (t) => {
  const { url, server } = await startTestRegistry(t);
  const opened = await request(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
  await opened.body.dump();
  const path = new URL(String(opened.headers['location'])).pathname;
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab`);
  const beforeBody = await request(`${url}/v2/`);
  await beforeBody.body.dump();
  const stopped = server.stop();
  await waitFor(() =>
    request(`${url}/v2/`, { reset: true }).then(
      ({ body }) => body.dump().then(() => false),
      () => true,
    ),
  );
  socket.write('cd');
  const [answer] = (await once(socket, 'data')) as [string]; // a socket with an encoding emits text
  assert.match(answer, /^HTTP\/1\.1 202 /);
  await stopped;
});

test('a request that does not end within draintimeout is cut', async (t) => {
  const { url, server, records } = await startTestRegistry(t, { REGISTRY_HTTP_DRAINTIMEOUT: '50ms' });
  const opened = await request(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
  await opened.body.dump();
  const path = new URL(String(opened.headers['location'])).pathname;
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.on('error', () => {}); // it is cut off on purpose
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab`);
  const beforeBody = await request(`${url}/v2/`);
  await beforeBody.body.dump();
  await server.stop();
  assert.ok(records.some(({ message }) => message === 'cutting requests that did not end in time'));
});

test('a body that is still on its way after its answer does not hold up the stop', async (t) => {
  const { server, records } = await startTestRegistry(t);
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  socket.write('PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nx');
  const [answer] = (await once(socket, 'data')) as [string]; // a socket with an encoding emits text
  assert.match(answer, /^HTTP\/1\.1 413 /);
  const stopped = server.stop();
  socket.write(Buffer.alloc(5_000_000 - 1));
  await stopped;
  assert.deepEqual(
    records.filter(({ level }) => level === 'warn'),
    [],
  );
});
