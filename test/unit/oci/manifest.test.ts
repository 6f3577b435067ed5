import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';

const descriptor = { mediaType: 'a/b', digest: digestOf(Buffer.from('x')), size: 1 };

const parse = (document: object): ReturnType<typeof parseManifest> =>
  parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...document })), undefined);

test('a document without a mediaType is told by what it holds', () => {
  assert.equal(parse({ manifests: [] }).mediaType, mediaTypes.ociIndex);
  assert.equal(parse({ config: descriptor }).mediaType, mediaTypes.ociManifest);
});

test('"manifests": null is not taken for an empty index', () => {
  assert.throws(() => parse({ manifests: null }), { message: 'config must be a descriptor' });
  const image = parse({ manifests: null, config: descriptor, layers: [descriptor] });
  assert.equal(image.mediaType, mediaTypes.ociManifest);
  assert.equal(image.blobs.length, 2);
});

test('the platform of a manifest in an index is known where it is said in full', () => {
  const platforms = [{ architecture: 'arm64', os: 'linux', variant: 'v8' }, { os: 'linux' }, null, 'linux'];
  const { manifests } = parse({ manifests: platforms.map((platform) => ({ ...descriptor, platform })) });
  assert.deepEqual(
    manifests.map(({ platform }) => platform),
    [{ architecture: 'arm64', os: 'linux' }, undefined, undefined, undefined],
  );
});
