import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { collect, type CollectOptions } from '../../../../src/registry/collect/collect.ts';
import { REPOSITORIES_ROOT, RESERVE_PATH, RUNS_ROOT } from '../../../../src/registry/storage/paths.ts';
import { storageError } from '../../../../src/registry/storage/filesystem/storage-error.ts';
import { makeReserve } from '../../../../src/registry/storage/reserve.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const HOUR = 3600_000;

/** A store in which only so many files have room, each as much as another but the reserve, which is worth `reserve`. */
async function volume({ room, reserve }: { room: number; reserve: number }) {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const content = new RegistryContent(driver);
  for (let index = 0; index < 50; index++) await content.blob(`garbage ${index}`);
  await makeReserve(driver);
  const most = driver.files.size - 1 + reserve + room;
  const used = (): number => driver.files.size + (driver.files.has(RESERVE_PATH) ? reserve - 1 : 0);
  driver.before = (operation, path) => {
    // A move takes room for folders of the trash, and gives none back.
    const takes = operation === 'move' || (operation === 'putContent' && !driver.files.has(path));
    if (takes && used() + (operation === 'move' ? moved() : 0) >= most) {
      throw storageError(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }), path);
    }
  };
  const moved = (): number => [...driver.files.keys()].filter((path) => path.includes('/trash/')).length;
  const run = (change: Partial<CollectOptions> = {}): Promise<CollectionReport> =>
    collect(
      {
        dryRun: false,
        deleteUntagged: false,
        minimumAge: 0,
        trashGrace: 0,
        drainTimeout: 0,
        offline: true,
        ...change,
      },
      {
        driver,
        clock,
        log: logSink().log,
        run: 'run',
        random: () => 0,
        signal: new AbortController().signal,
      },
    );
  const left = (): number =>
    [...driver.files.keys()].filter((path) => path.startsWith(REPOSITORIES_ROOT)).length;
  return { driver, run, left };
}

test('a collection on a full volume uses the reserve, and makes it again', async () => {
  const { driver, run, left } = await volume({ room: 0, reserve: 4 });
  const report = await run();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.equal(report.blobsDeleted, 50);
  assert.equal(left(), 0);
  assert.ok(driver.files.has(RESERVE_PATH));
});

test('without a reserve a run on a full volume fails and says why', async () => {
  const { driver, run, left } = await volume({ room: 0, reserve: 4 });
  await driver.delete(RESERVE_PATH);
  await driver.putContent('/ballast', Buffer.from(''));
  for (let index = 0; index < 3; index++) await driver.putContent(`/ballast${index}`, Buffer.from(''));
  const report = await run();
  assert.equal(report.result, 'Failed');
  assert.match(report.message, /^the volume is full/);
  assert.equal(left(), 50);
});

test('where content stays in the trash, a volume that fills up ends the run, and nothing of it stays live', async () => {
  const { driver, run } = await volume({ room: 8, reserve: 4 });
  const report = await run({ trashGrace: 24 * HOUR });
  assert.equal(report.result, 'Failed');
  assert.match(report.message, /set the trash grace to 0s/);
  const phases = [...driver.files]
    .filter(([path]) => path.startsWith(RUNS_ROOT))
    .map(([, { content }]) => (JSON.parse(Buffer.from(content).toString()) as { phase: string }).phase); // a run's record
  assert.deepEqual(new Set(phases), new Set(['done']));
});
