import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { request } from 'undici';
import { digestOf } from '../../../src/oci/digest.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { converse } from '../../support/protocol.ts';
import { openRaw, readAnswer } from '../../support/raw-request.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

async function openUpload(url: string): Promise<string> {
  const { headers, body } = await request(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
  await body.dump();
  return new URL(String(headers['location'])).pathname;
}

test('an upload that stands still is cut, keeps what came, and does not hold up a stop', async (t) => {
  const { url, server } = await startTestRegistry(t, { REGISTRY_STEVEDORE_LIMITS_IDLETIMEOUT: '100ms' });
  const path = await openUpload(url);
  const socket = await openRaw(server.address);
  t.after(() => socket.destroy());
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab`);
  const answer = await readAnswer(socket);
  assert.equal(answer.status, 408);
  assert.match(answer.body, /BLOB_UPLOAD_INVALID/);
  await waitFor(async () => {
    const { headers, body } = await request(`${url}${path}`);
    await body.dump();
    return headers['range'] === '0-1';
  });
  await server.stop();
});

test('more uploads at once than the limit are told to come again, and the rest works meanwhile', async (t) => {
  const { url, server } = await startTestRegistry(t, { REGISTRY_STEVEDORE_LIMITS_UPLOADS: '1' });
  const [first, second] = [await openUpload(url), await openUpload(url)];
  const socket = await openRaw(server.address);
  t.after(() => socket.destroy());
  socket.write(`PATCH ${first} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab`);
  const limited = {
    body: 'x',
    status: 503,
    code: 'UNAVAILABLE',
    answer: { 'retry-after': '5' },
  };
  await waitFor(async () => {
    const { statusCode, body } = await request(`${url}${second}`, { method: 'PATCH', body: 'x' });
    await body.dump();
    return statusCode === 503;
  });
  await converse(url, [
    { send: `PATCH ${second}`, ...limited },
    { send: 'PUT /v2/a/manifests/x', ...limited },
    { send: 'POST /v2/a/blobs/uploads/', status: 202 },
    { send: 'GET /v2/_catalog', status: 200 },
  ]);
  socket.write('cd');
  assert.equal((await readAnswer(socket)).status, 202);
  await converse(url, [{ send: `PATCH ${second}`, body: 'x', status: 202 }]);
});

test('of many writes that demand a new tag one succeeds, and of many that saw the same tag one moves it', async (t) => {
  const { url } = await startTestRegistry(t);
  const config = Buffer.from('{}');
  const named = { digest: digestOf(config), size: 2 };
  await converse(url, [
    { send: `POST /v2/a/blobs/uploads/?digest=${named.digest}`, body: config, status: 201 },
  ]);
  const manifests = Array.from({ length: 10 }, (_, index) =>
    imageManifest(named, [], { annotations: { n: `${index}` } }),
  );
  const put = async (manifest: Buffer, headers: Readonly<Record<string, string>>): Promise<number> => {
    const { statusCode, body } = await request(`${url}/v2/a/manifests/v1`, {
      method: 'PUT',
      body: manifest,
      headers,
    });
    await body.dump();
    return statusCode;
  };
  const statuses = await Promise.all(manifests.map((manifest) => put(manifest, { 'if-none-match': '*' })));
  assert.deepEqual(counts(statuses), { 201: 1, 412: 9 });
  const { headers, body } = await request(`${url}/v2/a/manifests/v1`, { method: 'HEAD' });
  await body.dump();
  const etag = String(headers['etag']);
  const others = manifests.filter((manifest) => `"${digestOf(manifest)}"` !== etag);
  const moves = await Promise.all(others.map((manifest) => put(manifest, { 'if-match': etag })));
  assert.deepEqual(counts(moves), { 201: 1, 412: 8 });
});

function counts(statuses: readonly number[]): Readonly<Record<number, number>> {
  const result: Record<number, number> = {};
  for (const status of statuses) result[status] = (result[status] ?? 0) + 1;
  return result;
}

test('a refused request whose body never ends is cut as well', async (t) => {
  const { server } = await startTestRegistry(t, { REGISTRY_STEVEDORE_LIMITS_IDLETIMEOUT: '100ms' });
  const socket = await openRaw(server.address);
  socket.write('PUT /v2/A/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab');
  assert.equal((await readAnswer(socket)).status, 400);
  await once(socket, 'close');
});
