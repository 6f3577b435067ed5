import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

test('a registry that is read-only by its configuration refuses writes at once, and says so', async (t) => {
  const { url, statusUrl } = await startTestRegistry(t, {
    REGISTRY_STORAGE_MAINTENANCE_READONLY: '{enabled: true}',
  });
  for (const [method, path] of [
    ['POST', '/v2/a/blobs/uploads/'],
    ['PUT', '/v2/a/manifests/latest'],
    ['DELETE', '/v2/a/manifests/latest'],
  ] as const) {
    const answer = await request(`${url}${path}`, { method, body: method === 'PUT' ? '{}' : null });
    assert.equal(answer.statusCode, 405, method);
    assert.match(await answer.body.text(), /"UNSUPPORTED".*storage\.maintenance\.readonly/);
  }
  const read = await request(`${url}/v2/_catalog`);
  assert.equal(read.statusCode, 200);
  await read.body.dump();
  const status = (await (await request(`${statusUrl}/status`)).body.json()) as StatusDocument; // the page's type
  assert.equal(status.readOnly.reason, 'Configured');
});
