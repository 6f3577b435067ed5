import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import type { WriteGate } from '../../../../src/registry/lease/write-gate.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { blobDataPath, layerLinkPath } from '../../../../src/registry/storage/paths.ts';
import { moveToTrash } from '../../../../src/registry/storage/trash.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openGate, openPermit } from '../../../support/open-gate.ts';
import {
  bytesOf,
  createStores,
  pushBlob,
  readBlob,
  repositoryName,
  type Stores,
} from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('team/app');
const other = repositoryName('team/other');
const layer = bytesOf(3_000, 'layer');
const digest = digestOf(layer);

interface World extends Stores {
  readonly clock: TestClock;
}

function world(): World {
  const clock = new TestClock();
  const files = new MemoryFileSystem({ now: () => clock.now() });
  const driver = createFilesystemDriver({ root: '/data', files, log: logSink().log });
  return { ...createStores(driver, clock), clock };
}

describe('a blob', () => {
  test('is known with its size and the time of its link', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    assert.deepEqual(await stores.blobs.stat(app, digest), {
      size: 3_000,
      digest,
      linkedAt: stores.clock.now(),
    });
  });

  test('of another repository is not known, though its bytes are there', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    assert.equal(await stores.blobs.stat(other, digest), undefined);
  });

  test('is not known when its bytes are gone', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.driver.delete(blobDataPath(digest));
    assert.equal(await stores.blobs.stat(app, digest), undefined);
  });

  test('is not known by an empty link, which an old server left after a crash', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.driver.putContent(layerLinkPath(app, digest), Buffer.alloc(0));
    assert.equal(await stores.blobs.stat(app, digest), undefined);
  });

  test('is known by a link with a line end', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.driver.putContent(layerLinkPath(app, digest), Buffer.from(`${digest}\n`));
    assert.equal((await stores.blobs.stat(app, digest))?.size, 3_000);
  });

  test('with a sha512 digest lies under its sha256 digest and answers to both', async () => {
    const stores = world();
    const sha512 = await pushBlob(stores, app, layer, { algorithm: 'sha512' });
    assert.equal((await stores.blobs.stat(app, sha512))?.digest, digest);
    assert.equal((await stores.blobs.stat(app, digest))?.digest, digest);
    assert.equal((await stores.driver.getContent(layerLinkPath(app, sha512))).toString(), digest);
  });

  test('comes back from the trash, link and bytes', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await moveToTrash(stores.driver, { path: layerLinkPath(app, digest) }, 'run');
    await moveToTrash(stores.driver, { path: blobDataPath(digest) }, 'run');
    assert.ok((await readBlob(stores, app, digest))?.equals(layer));
  });

  test('can be read in part', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    const chunks: Buffer[] = [];
    for await (const chunk of await stores.blobs.read(digest, { start: 10, end: 20 }))
      chunks.push(Buffer.from(chunk));
    assert.ok(Buffer.concat(chunks).equals(layer.subarray(10, 20)));
  });
});

describe('deleting a blob', () => {
  test('takes it out of one repository and leaves the other', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await pushBlob(stores, other, layer);
    await stores.blobs.unlink(app, digest, openPermit);
    assert.equal(await stores.blobs.stat(app, digest), undefined);
    assert.ok(await stores.blobs.stat(other, digest));
  });

  test('removes what collectors kept of its link as well, so that it does not come back', async () => {
    const stores = world();
    for (const run of ['run1', 'run2']) {
      await pushBlob(stores, app, layer);
      await moveToTrash(stores.driver, { path: layerLinkPath(app, digest) }, run);
    }
    await stores.blobs.unlink(app, digest, openPermit);
    assert.equal(await stores.blobs.stat(app, digest), undefined);
    await assert.rejects(stores.blobs.unlink(app, digest, openPermit), { code: 'BLOB_UNKNOWN' });
  });

  test('that is not there is BLOB_UNKNOWN', async () => {
    await assert.rejects(world().blobs.unlink(app, digest, openPermit), { code: 'BLOB_UNKNOWN' });
  });

  test('does nothing without permission', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    const refusing = { ...openPermit, check: async () => Promise.reject(new Error('held')) };
    await assert.rejects(stores.blobs.unlink(app, digest, refusing), { message: 'held' });
    assert.ok(await stores.blobs.stat(app, digest));
  });
});

describe('mounting a blob', () => {
  test('links it from a repository that has it', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    assert.equal((await stores.blobs.mount(other, app, digest, openPermit))?.digest, digest);
    assert.ok((await readBlob(stores, other, digest))?.equals(layer));
  });

  test('by its sha512 digest links that, and the sha256 digest as docker distribution needs it', async () => {
    const stores = world();
    const sha512 = await pushBlob(stores, app, layer, { algorithm: 'sha512' });
    assert.ok(await stores.blobs.mount(other, app, sha512, openPermit));
    assert.equal((await stores.blobs.stat(other, sha512))?.digest, digest);
    assert.equal((await stores.blobs.stat(other, digest))?.digest, digest);
  });

  test('does nothing when the source lacks it or is not named', async () => {
    const stores = world();
    assert.equal(await stores.blobs.mount(other, app, digest, openPermit), undefined);
    assert.equal(await stores.blobs.mount(other, undefined, digest, openPermit), undefined);
    assert.equal(await stores.blobs.stat(other, digest), undefined);
  });

  test('renews an old link and leaves a young one', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.blobs.mount(other, app, digest, openPermit);
    const linkedAt = stores.clock.now();
    await stores.clock.advance(29 * 60_000);
    await stores.blobs.mount(other, app, digest, openPermit);
    assert.equal((await stores.blobs.stat(other, digest))?.linkedAt, linkedAt);
    await stores.clock.advance(2 * 60_000);
    await stores.blobs.mount(other, app, digest, openPermit);
    assert.equal((await stores.blobs.stat(other, digest))?.linkedAt, stores.clock.now());
  });
});

describe('a pusher who is told that a blob exists', () => {
  const refreshed = async (stores: ReturnType<typeof world>, gate: WriteGate): Promise<void> => {
    const found = await stores.blobs.stat(app, digest);
    assert.ok(found);
    await stores.blobs.refresh(app, digest, found, gate);
  };

  test('makes its link young again', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.clock.advance(31 * 60_000);
    await refreshed(stores, openGate);
    assert.equal((await stores.blobs.stat(app, digest))?.linkedAt, stores.clock.now());
  });

  test('writes nothing while the link is young', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    const linkedAt = stores.clock.now();
    await stores.clock.advance(60_000);
    await refreshed(stores, openGate);
    assert.equal((await stores.blobs.stat(app, digest))?.linkedAt, linkedAt);
  });

  test('writes nothing while a collector holds the lease', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    const linkedAt = stores.clock.now();
    await stores.clock.advance(31 * 60_000);
    const held: WriteGate = { ...openGate, tryBegin: async () => undefined };
    await refreshed(stores, held);
    assert.equal((await stores.blobs.stat(app, digest))?.linkedAt, linkedAt);
  });

  test('is not bothered when that fails; the log tells', async () => {
    const stores = world();
    await pushBlob(stores, app, layer);
    await stores.clock.advance(31 * 60_000);
    const broken: WriteGate = { ...openGate, tryBegin: async () => Promise.reject(new Error('broken')) };
    await refreshed(stores, broken);
    assert.deepEqual(
      stores.records.map(({ message }) => message),
      ['the age of a blob could not be renewed'],
    );
  });
});
