import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyImage } from '../../../src/copy/copy-image.ts';
import { ImageLayout } from '../../../src/copy/layout-side.ts';
import type { ImageSource } from '../../../src/copy/sides.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { Semaphore } from '../../../src/process/semaphore.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const config = Buffer.from('{}');

/** Holds one image, whose blob is what `blob` gives. */
function source(blob: () => AsyncIterable<Uint8Array>): ImageSource {
  const bytes = imageManifest({ digest: digestOf(config), size: config.length });
  return {
    title: 'a source',
    manifest: async () => ({ digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes }),
    blob,
    tags: async () => ['v1'],
    referrers: async () => [],
  };
}

test('a blob that does not end is cut where its manifest says that it does', async () => {
  let given = 0;
  const endless = source(async function* () {
    for (;;) {
      given++;
      yield config;
    }
  });
  await withTemporaryFolder(async (folder) => {
    const copied = copyImage('v1', 'v1', {
      source: endless,
      destination: await ImageLayout.create(folder),
      platform: undefined,
      ownPlatform: { os: 'linux', architecture: 'amd64', variant: undefined },
      referrers: false,
      blobs: new Semaphore(1),
      progress: { sent: () => assert.ok(given < 10, 'it goes on'), blob: () => undefined },
    });
    await assert.rejects(copied, /is longer than its manifest says/);
  });
});
