import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { digestOf } from '../../../../src/oci/digest.ts';
import { createCacheMetrics } from '../../../../src/registry/cache/cache-metrics.ts';
import {
  createMemoryCache,
  ENTRY_LIFE,
  type DescriptorCache,
} from '../../../../src/registry/cache/descriptor-cache.ts';
import { blobDataPath, layerLinkPath } from '../../../../src/registry/storage/paths.ts';
import { BlobStore } from '../../../../src/registry/storage/blob-store.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent } from '../../../support/registry-content.ts';
import { readAll, repositoryName } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const digest = digestOf(Buffer.from('content'));

function memoryCache(size = 10) {
  const clock = new TestClock();
  const registry = new Registry();
  return {
    clock,
    registry,
    cache: createMemoryCache({ size, clock, metrics: createCacheMetrics(registry) }),
  };
}

test('the cache in memory has a size, or none with 0', async () => {
  for (const [size, left] of [
    [3, 3],
    [0, 1000],
  ] as const) {
    const { cache } = memoryCache(size);
    const digests = Array.from({ length: 1000 }, (_, number) => digestOf(Buffer.from(String(number))));
    for (const one of digests) await cache.set(one, 1);
    const found = await Promise.all(digests.map((one) => cache.get(one)));
    assert.equal(found.filter((one) => one !== undefined).length, left);
  }
});

test('an entry is believed for an hour, and look-ups are counted', async () => {
  const { cache, clock, registry } = memoryCache();
  await clock.advance(1);
  await cache.set(digest, 7);
  await clock.advance(ENTRY_LIFE - 1);
  assert.equal(await cache.get(digest), 7);
  await clock.advance(2);
  assert.equal(await cache.get(digest), undefined);
  const metrics = await registry.metrics();
  for (const line of [
    'registry_storage_cache_requests_total 2',
    'registry_storage_cache_hits_total 1',
    'registry_storage_cache_total{type="Miss"} 1',
  ]) {
    assert.ok(metrics.includes(line), line);
  }
});

/** A store that counts the looks at data, and a blob in it. */
async function storeWithBlob(sizes?: DescriptorCache) {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const content = new RegistryContent(driver);
  const blob = await content.blob('content');
  let looks = 0;
  driver.before = (operation, path) => {
    if (operation === 'stat' && path === blobDataPath(blob)) looks++;
  };
  const blobs = new BlobStore({ driver, clock, log: logSink().log, ...(sizes && { sizes }) });
  return { driver, blobs, blob, looks: () => looks };
}

test('a reader of a blob that is known costs one look less; a pusher is answered from the store', async () => {
  const { cache } = memoryCache();
  const { blobs, blob, looks } = await storeWithBlob(cache);
  for (let time = 0; time < 3; time++) assert.equal((await blobs.find(app, blob))?.size, 7);
  assert.equal(looks(), 1);
  assert.equal((await blobs.stat(app, blob))?.size, 7);
  assert.equal(looks(), 2);
});

test('without a cache each reader costs a look', async () => {
  const { blobs, blob, looks } = await storeWithBlob();
  await blobs.find(app, blob);
  await blobs.find(app, blob);
  assert.equal(looks(), 2);
});

test('a blob whose link is gone is unknown, whatever is remembered', async () => {
  const { cache } = memoryCache();
  const { blobs, blob, driver } = await storeWithBlob(cache);
  await blobs.find(app, blob);
  await driver.delete(layerLinkPath(app, blob));
  assert.equal(await blobs.find(app, blob), undefined);
  assert.equal(await blobs.find(repositoryName('other'), blob), undefined);
});

test('data that is gone behind the cache is unknown to a pusher at once, and to readers from the first on', async () => {
  const { cache } = memoryCache();
  const { blobs, blob, driver } = await storeWithBlob(cache);
  await blobs.find(app, blob);
  await driver.delete(blobDataPath(blob));
  assert.equal(await blobs.stat(app, blob), undefined);
  assert.equal((await blobs.find(app, blob))?.size, 7);
  await assert.rejects(blobs.read(blob), { code: 'BLOB_UNKNOWN' });
  assert.equal(await blobs.find(app, blob), undefined);
});

test('data that a collector took away behind the cache is put back for a reader', async () => {
  const { cache } = memoryCache();
  const { blobs, blob, driver } = await storeWithBlob(cache);
  await blobs.find(app, blob);
  await driver.move(blobDataPath(blob), `/docker/registry/stevedore/trash${blobDataPath(blob)}/run`);
  assert.equal((await readAll(await blobs.read(blob))).toString(), 'content');
});
