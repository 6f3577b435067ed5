import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { digestOf } from '../../../../src/oci/digest.ts';
import { collect } from '../../../../src/registry/collect/collect.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import {
  RUNS_ROOT,
  TRASH_ROOT,
  blobDataPath,
  layerLinkPath,
} from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { bytesOf, createStores, pushBlob, repositoryName } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const garbage = bytesOf(100, 'garbage');
const digest = digestOf(garbage);

interface Bucket {
  readonly clock: TestClock;
  readonly driver: StorageDriver;
  /** Lifetimes of deletes that the store was asked for, milliseconds. */
  readonly lifetimes: readonly number[];
  readonly run: () => Promise<CollectionReport>;
  readonly has: (path: string) => Promise<boolean>;
}

/** A bucket with a blob that nothing needs, whose store refuses late deletes. */
async function bucket(onDelete: () => void = () => {}): Promise<Bucket> {
  const clock = new TestClock();
  const lifetimes: number[] = [];
  const store = new InMemoryStore(() => clock.now());
  const deleteWithin = async (key: string, milliseconds: number): Promise<boolean> => {
    lifetimes.push(milliseconds);
    onDelete();
    await store.delete([key]);
    return true;
  };
  const driver = createObjectDriver(Object.assign(store, { deleteWithin }), { rootDirectory: '' });
  await pushBlob(createStores(driver), app, garbage);
  const options = {
    dryRun: false,
    deleteUntagged: true,
    minimumAge: 0,
    trashGrace: 24 * 3600_000,
    drainTimeout: 0,
    offline: true,
  };
  return {
    clock,
    driver,
    lifetimes,
    run: () =>
      collect(options, {
        driver,
        clock,
        log: logSink().log,
        run: 'run',
        random: () => 0,
        signal: new AbortController().signal,
      }),
    has: async (path) =>
      driver.stat(path).then(
        () => true,
        () => false,
      ),
  };
}

test('what nothing needs is deleted from a bucket for good, by requests that end with the lease', async () => {
  const { run, has, lifetimes } = await bucket();
  const report = await run();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.deepEqual([report.blobsDeleted, report.linksDeleted, report.bytesReclaimed], [1, 1, 100]);
  assert.equal(report.bytesInTrash, 0);
  assert.equal(await has(blobDataPath(digest)), false);
  assert.equal(await has(layerLinkPath(app, digest)), false);
  assert.equal(await has(TRASH_ROOT), false);
  assert.ok(lifetimes.every((milliseconds) => milliseconds > 0 && milliseconds <= 30_000));
});

test('a delete without an answer ends the run, and its lease is left to lapse', async () => {
  const { run, has, driver, clock } = await bucket(() => {
    throw new Error('connection reset');
  });
  const report = await run();
  assert.equal(report.result, 'LeaseLost');
  assert.match(report.message, /it is not known whether .* was deleted/);
  assert.equal(await has(blobDataPath(digest)), true);
  const record = (await driver.getContent(`${RUNS_ROOT}/run`)).toString();
  assert.match(record, /"phase":"marking"/);
  await clock.advance(60_000);
  assert.equal((await driver.getContent(`${RUNS_ROOT}/run`)).toString(), record, 'nobody renews it');
  assert.equal(clock.sleeping, 0, 'the process can end');
});
