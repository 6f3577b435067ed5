import { test } from 'node:test';
import { digestHex, digestOf } from '../../../src/oci/digest.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const content = 'a layer';
const digest = digestOf(Buffer.from(content));
const hex = digestHex(digest);
const push: Call = { send: `POST /v2/a/blobs/uploads/?digest=${digest}`, body: content, status: 201 };
const middleware = {
  REGISTRY_MIDDLEWARE_STORAGE: '[{name: redirect, options: {baseurl: "https://cdn.example.com/files"}}]',
};
const location = `https://cdn.example.com/files/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;

test('readers of a blob are sent where the middleware says', async (t) => {
  const { url } = await startTestRegistry(t, middleware);
  await converse(url, [
    push,
    { send: `GET /v2/a/blobs/${digest}`, status: 307, answer: { location, 'docker-content-digest': digest } },
    { send: `HEAD /v2/a/blobs/${digest}`, status: 307, answer: { location } },
    { send: `GET /v2/b/blobs/${digest}`, status: 404, code: 'BLOB_UNKNOWN' },
  ]);
});

test('with redirects disabled they read here', async (t) => {
  const { url } = await startTestRegistry(t, { ...middleware, REGISTRY_STORAGE_REDIRECT_DISABLE: 'true' });
  await converse(url, [push, { send: `GET /v2/a/blobs/${digest}`, status: 200, text: content }]);
});
