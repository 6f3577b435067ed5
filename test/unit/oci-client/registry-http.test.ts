import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standInService } from '../../support/stand-in-service.ts';
import { connectHttp } from './connect-http.ts';

test('a host that the registry redirects to gets no credentials, whatever it asks for', async (t) => {
  for (const scheme of ['Basic', 'Bearer'] as const) {
    const bucket = await standInService(t, () => ({
      status: 401,
      headers: { 'www-authenticate': `${scheme} realm="${bucket.url}/token"` },
    }));
    const registry = await standInService(t, ({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': 'Basic realm="registry"' } }
        : { status: 307, headers: { location: `${bucket.url}/blob` } },
    );
    const http = connectHttp(t, registry.url);
    const request = { method: 'GET', target: '/v2/app/blobs/x', scopes: [], expect: [200] } as const;
    await assert.rejects(http.send(request), { name: 'RegistryRefusal', status: 401 });
    await assert.rejects(http.send(request), { name: 'RegistryRefusal', status: 401 });
    assert.deepEqual(
      bucket.received.map(({ path, headers }) => [path, headers.authorization]),
      [
        ['/blob', undefined],
        ['/blob', undefined],
      ],
      scheme,
    );
  }
});

const whole = { method: 'GET', target: '/v2/app/manifests/v1', scopes: [], expect: [200] } as const;

test('an answer that breaks off is asked for again', async (t) => {
  const registry = await standInService(t, (_request, count) => ({
    headers: { connection: 'close', 'content-length': '8' },
    body: count === 1 ? 'manif' : 'manifest',
  }));
  const { bytes } = await connectHttp(t, registry.url, 1).read(whole);
  assert.equal(bytes.toString(), 'manifest');
});

test('an answer that is too long is not read, and not asked for again', async (t) => {
  const registry = await standInService(t, () => ({ body: 'manifest' }));
  const http = connectHttp(t, registry.url, 1);
  assert.equal((await http.read(whole, 8)).bytes.toString(), 'manifest');
  await assert.rejects(http.read(whole, 7), { name: 'RegistryRefusal', message: /longer than 7 bytes/ });
  assert.equal(registry.received.length, 2);
});
