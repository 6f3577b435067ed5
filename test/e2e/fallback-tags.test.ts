import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestHex, digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startServe } from '../support/serve-process.ts';
import { imageManifest } from '../support/store-fixture.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';

for (const distribution of distributions) {
  test(`${distribution.title} serves the referrers that our server listed under fallback tags`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fallback-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { url } = await startServe(t, {
      folder,
      environment: { REGISTRY_STEVEDORE_COMPATIBILITY_FALLBACKTAGS: 'true' },
    });
    const ours = new HttpRegistry(url);
    const config = Buffer.from('{}');
    await ours.pushBlob('app', config);
    const put = (bytes: Buffer): Promise<Digest> => ours.pushManifest('app', digestOf(bytes), bytes);
    const image = imageManifest({ digest: digestOf(config), size: config.length });
    const subject = { mediaType: mediaTypes.ociManifest, digest: await put(image), size: image.length };
    const referrer = (name: string): Buffer =>
      imageManifest({ digest: digestOf(config), size: config.length }, [], {
        subject,
        annotations: { name },
      });
    const gone = await put(referrer('gone'));
    const kept = await put(referrer('kept'));
    await ours.send('DELETE', `/v2/app/manifests/${gone}`, { expect: 202 });

    const theirs = await serveWithDistribution(t, distribution, {
      config: join(folder, 'theirs.yml'),
      storage: join(folder, 'storage'),
      settings: { http: { addr: '127.0.0.1:0' } },
    });
    const tag = `/v2/app/manifests/sha256-${digestHex(subject.digest)}`;
    const { bytes, headers } = await theirs.send('GET', tag, { expect: 200 });
    assert.equal(headers.get('content-type'), mediaTypes.ociIndex);
    assert.partialDeepStrictEqual(JSON.parse(bytes.toString()), { manifests: [{ digest: kept }] });
    const signature = await theirs.send('GET', `/v2/app/manifests/${kept}`, { expect: 200 });
    assert.deepEqual(signature.bytes, referrer('kept'));
  });
}
