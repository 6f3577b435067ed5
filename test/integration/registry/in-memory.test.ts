import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { converse } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const content = 'a layer';
const digest = digestOf(Buffer.from(content));

test('a registry in memory takes and serves blobs, and warns that it keeps nothing', async (t) => {
  const { url, records } = await startTestRegistry(t, { REGISTRY_STORAGE: 'inmemory' });
  await converse(url, [
    { send: 'POST /v2/a/blobs/uploads/', status: 202 },
    { send: 'PATCH {location}', body: content, status: 202 },
    { send: `PUT {location}?digest=${digest}`, status: 201 },
    { send: `GET /v2/a/blobs/${digest}`, status: 200, text: content },
    { send: `HEAD /v2/a/blobs/${digest}`, status: 200 },
  ]);
  assert.ok(records.some(({ message }) => /everything is lost when the server stops/.test(message)));
});
