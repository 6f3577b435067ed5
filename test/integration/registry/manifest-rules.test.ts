import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { digestOf } from '../../../src/oci/digest.ts';
import { imageIndex, imageManifest } from '../../support/store-fixture.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const config = Buffer.from('{}');
const nowhere = { digest: digestOf(Buffer.from('nowhere')) };

/** A registry that has a config. @returns what the answer to a push of a manifest is. */
async function start(t: TestContext, overrides: Readonly<Record<string, string>> = {}) {
  const { url } = await startTestRegistry(t, overrides);
  const digest = digestOf(config);
  const pushed = await request(`${url}/v2/a/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: config,
  });
  await pushed.body.dump();
  assert.equal(pushed.statusCode, 201);
  return async (manifest: Buffer): Promise<{ status: number; body: string }> => {
    const answer = await request(`${url}/v2/a/manifests/latest`, { method: 'PUT', body: manifest });
    return { status: answer.statusCode, body: await answer.body.text() };
  };
}

const foreign = imageManifest({ digest: digestOf(config) }, [
  {
    ...nowhere,
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    urls: ['https://example.com/layer'],
  },
]);

test('a URL of a layer is refused with the option that would allow it, and then taken', async (t) => {
  const push = await start(t);
  const refused = await push(foreign);
  assert.equal(refused.status, 400);
  assert.match(
    refused.body,
    /"MANIFEST_INVALID".*validation\.manifests\.urls.*https:\/\/example\.com\/layer/,
  );
  const allowing = await start(t, {
    REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW: '["^https://example[.]com/"]',
  });
  assert.equal((await allowing(foreign)).status, 201);
});

test('an index may come before its manifests where that is configured', async (t) => {
  const index = imageIndex([nowhere]);
  const push = await start(t);
  assert.match((await push(index)).body, /MANIFEST_BLOB_UNKNOWN/);
  const lax = await start(t, { REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS: 'none' });
  assert.equal((await lax(index)).status, 201);
});

test('a class that the policy does not list is denied', async (t) => {
  const image = imageManifest({ digest: digestOf(config) });
  const push = await start(t, { REGISTRY_POLICY_REPOSITORY_CLASSES: '[plugin]' });
  const { status, body } = await push(image);
  assert.equal(status, 403);
  assert.match(body, /"DENIED","message":"registry does not allow image manifest"/);
});
