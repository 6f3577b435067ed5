import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect } from '../../../../src/registry/collect/collect.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import { logSink } from '../../../support/log-sink.ts';
import { bytesOf, createStores, pushBlob, repositoryName } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

test('a bucket is not collected yet: the report says so, and all of it stays', async () => {
  const clock = new TestClock();
  const store = new InMemoryStore(() => clock.now());
  const driver = createObjectDriver(store, { rootDirectory: '' });
  await pushBlob(createStores(driver), repositoryName('app'), bytesOf(100, 'garbage'));
  const keys = await Array.fromAsync(store.list('', { shallow: false }), ({ key }) => key);
  const options = { deleteUntagged: true, minimumAge: 0, trashGrace: 0, drainTimeout: 0, offline: true };
  for (const dryRun of [true, false]) {
    const report = await collect(
      { ...options, dryRun },
      {
        driver,
        clock,
        log: logSink().log,
        run: 'run',
        random: () => 0,
        signal: new AbortController().signal,
      },
    );
    assert.equal(report.result, 'Failed');
    assert.match(report.message, /collects no garbage in storage\.inmemory/);
  }
  assert.deepEqual(await Array.fromAsync(store.list('', { shallow: false }), ({ key }) => key), keys);
});
