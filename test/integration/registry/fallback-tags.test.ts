import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { digestHex, digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const config = Buffer.from('{}');
const image = imageManifest({ digest: digestOf(config) });
const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length };
const referrer = imageManifest({ digest: digestOf(config) }, [], { subject });

for (const [overrides, status] of [
  [{}, 404],
  [{ REGISTRY_STEVEDORE_COMPATIBILITY_FALLBACKTAGS: 'true' }, 200],
] as const) {
  test(`with ${JSON.stringify(overrides)} the fallback tag of a manifest answers ${status}`, async (t) => {
    const { url } = await startTestRegistry(t, overrides);
    const push = async (method: 'POST' | 'PUT', path: string, body: Buffer): Promise<void> => {
      const answer = await request(`${url}/v2/a/${path}`, { method, body });
      await answer.body.dump();
      assert.equal(answer.statusCode, 201);
    };
    await push('POST', `blobs/uploads/?digest=${digestOf(config)}`, config);
    for (const manifest of [image, referrer]) await push('PUT', `manifests/${digestOf(manifest)}`, manifest);
    const answer = await request(`${url}/v2/a/manifests/sha256-${digestHex(subject.digest)}`);
    await answer.body.dump();
    assert.equal(answer.statusCode, status);
  });
}
