import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestHex, digestOf, type Digest } from '../../../../src/oci/digest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { ManifestStore } from '../../../../src/registry/storage/manifest-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { openPermit } from '../../../support/open-gate.ts';
import {
  bytesOf,
  createStores,
  imageIndex,
  imageManifest,
  pushBlob,
  repositoryName,
  tagName,
  type Stores,
} from '../../../support/store-fixture.ts';

const app = repositoryName('team/app');
const config = bytesOf(10, 'config');
const image = imageManifest({ digest: digestOf(config) });
const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length };
const fallback = tagName(`sha256-${digestHex(subject.digest)}`);

function referrer(name: string): Buffer {
  return imageManifest({ digest: digestOf(config) }, [], { subject, annotations: { name } });
}

/** Stores that keep fallback tags, as `serve` puts them together. */
function storesOn(driver: StorageDriver): Stores {
  const stores = createStores(driver);
  const rules = { assertAllowed: () => {}, mustExist: () => true };
  const manifests = new ManifestStore({ ...stores, rules, log: logSink().log, fallbackTags: true });
  return { ...stores, manifests };
}

async function world(driver: StorageDriver = new MemoryDriver(() => 0)): Promise<Stores> {
  const stores = storesOn(driver);
  await pushBlob(stores, app, config);
  await put(stores, image);
  return stores;
}

async function put(stores: Stores, bytes: Buffer): Promise<Digest> {
  return (await stores.manifests.put(app, { bytes, mediaType: undefined, tags: [] }, openPermit)).digest;
}

/** What somebody sees who knows no referrers API. */
async function listed(stores: Stores): Promise<readonly { readonly digest: string }[] | undefined> {
  const index = await stores.manifests.get(app, fallback);
  if (index === undefined) return undefined;
  assert.equal(index.mediaType, mediaTypes.ociIndex);
  return (JSON.parse(index.bytes.toString()) as { manifests: { digest: string }[] }).manifests; // an index
}

const digests = async (stores: Stores): Promise<string[] | undefined> =>
  (await listed(stores))?.map(({ digest }) => digest).toSorted();

for (const [title, driver] of [
  ['on a file system', () => new MemoryDriver(() => 0)],
  ['in a bucket', () => createObjectDriver(new InMemoryStore(() => 0), { rootDirectory: '' })],
] as const) {
  test(`each referrer that is pushed is listed under the fallback tag, ${title}`, async () => {
    const stores = await world(driver());
    assert.equal(await listed(stores), undefined);
    const [one, two] = [await put(stores, referrer('one')), await put(stores, referrer('two'))];
    assert.deepEqual(await digests(stores), [one, two].toSorted());
    const descriptor = (await listed(stores))?.find(({ digest }) => digest === one);
    assert.deepEqual(descriptor, {
      mediaType: mediaTypes.ociManifest,
      digest: one,
      size: referrer('one').length,
      artifactType: 'application/vnd.oci.image.config.v1+json',
      annotations: { name: 'one' },
    });
  });
}

test('a referrer that is deleted leaves the list, and the last one takes the tag with it', async () => {
  const stores = await world();
  const [one, two] = [await put(stores, referrer('one')), await put(stores, referrer('two'))];
  await stores.manifests.delete(app, one, openPermit);
  assert.deepEqual(await digests(stores), [two]);
  await stores.manifests.delete(app, two, openPermit);
  assert.equal(await listed(stores), undefined);
  assert.deepEqual(await stores.tags.list(app), []);
});

test('what a client listed there itself stays', async () => {
  const stores = await world();
  // An artifact without a subject, as clients made them before there was one.
  const old = await put(
    stores,
    imageManifest({ digest: digestOf(config) }, [], { annotations: { old: 'yes' } }),
  );
  await stores.manifests.put(
    app,
    { bytes: imageIndex([{ digest: old }]), mediaType: undefined, tags: [fallback] },
    openPermit,
  );
  const one = await put(stores, referrer('one'));
  assert.deepEqual(await digests(stores), [old, one].toSorted());
});

test('referrers that are pushed and deleted at the same time, also by another server, are all in the end listed right', async () => {
  const driver = new MemoryDriver(() => 0);
  // Every operation takes a turn of the event loop, so that those of the servers mix.
  driver.before = () => new Promise((resolve) => setImmediate(resolve));
  const one = await world(driver);
  const other = storesOn(driver);
  const early = await Promise.all(['a', 'b', 'c'].map((name) => put(one, referrer(name))));
  const [late] = await Promise.all([
    Promise.all(['d', 'e', 'f', 'g'].map((name, index) => put(index % 2 ? one : other, referrer(name)))),
    other.manifests.delete(app, early[0] ?? subject.digest, openPermit),
  ]);
  assert.deepEqual(await digests(other), [...early.slice(1), ...late].toSorted());
});

test('a manifest without a subject, and a server that does not keep the tags, write none', async () => {
  const stores = await world();
  await put(stores, imageManifest({ digest: digestOf(config) }, [], { annotations: { a: 'b' } }));
  assert.deepEqual(await stores.tags.list(app), []);
  const plain = createStores(stores.driver);
  await put(plain, referrer('one'));
  assert.deepEqual(await stores.tags.list(app), []);
});
