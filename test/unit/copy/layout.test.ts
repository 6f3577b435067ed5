import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ImageLayout } from '../../../src/copy/layout-side.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(Buffer.from('subject')), size: 7 };
const bytes = Buffer.from(
  JSON.stringify({
    ...(JSON.parse(imageManifest({ digest: digestOf(Buffer.from('{}')), size: 2 }).toString()) as object),
    subject,
  }),
);
const signature = { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };

for (const order of [
  ['signature', undefined],
  [undefined, 'signature'],
  ['signature', undefined, 'other'],
]) {
  const names = order.map((tag) => tag ?? 'a referrer').join(', then as ');
  test(`a manifest that comes as ${names} has each of its names, and is listed once for each`, () =>
    withTemporaryFolder(async (folder) => {
      const layout = await ImageLayout.create(folder);
      for (const tag of order) await layout.putManifest(signature, tag);
      const tags = order.filter((tag) => tag !== undefined);
      const again = await ImageLayout.open(folder);
      assert.deepEqual((await again.tags()).toSorted(), tags.toSorted());
      assert.equal((await again.referrers(subject.digest)).length, tags.length);
    }));
}

test('names are listed in their order, whichever came first', () =>
  withTemporaryFolder(async (folder) => {
    const layout = await ImageLayout.create(folder);
    for (const tag of ['b', 'c', 'a']) await layout.putManifest(signature, tag);
    assert.deepEqual(await (await ImageLayout.open(folder)).tags(), ['a', 'b', 'c']);
  }));

test('a referrer whose copy was broken off before it was listed counts as not there', () =>
  withTemporaryFolder(async (folder) => {
    await (await ImageLayout.create(folder)).putManifest(signature, undefined);
    assert.equal(await (await ImageLayout.open(folder)).resolve(signature.digest), signature.digest);
    writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }));
    const again = await ImageLayout.open(folder);
    assert.equal(await again.resolve(signature.digest), undefined);
    assert.deepEqual((await again.manifest(signature.digest))?.bytes, bytes);
  }));
