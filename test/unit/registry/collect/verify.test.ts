import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { collect } from '../../../../src/registry/collect/collect.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  TRASH_ROOT,
} from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent, repositoryName } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');

async function site() {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const content = new RegistryContent(driver);
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  await content.tag('latest', await content.index([image]));
  const garbage = await content.blob('garbage');
  const run = (): Promise<CollectionReport> =>
    collect(
      {
        dryRun: false,
        deleteUntagged: true,
        minimumAge: 0,
        trashGrace: 0,
        drainTimeout: 0,
        offline: true,
        verify: { bytesPerSecond: Number.POSITIVE_INFINITY, rules: { mustExist: () => true } },
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
  const isUntouched = (): boolean =>
    driver.files.has(blobDataPath(garbage)) &&
    [...driver.files.keys()].every((path) => !path.startsWith(TRASH_ROOT));
  return { driver, layer, image, garbage, run, isUntouched };
}

test('a run that verifies goes on when everything that is needed is in order', async () => {
  const { driver, garbage, run } = await site();
  await driver.putContent(blobDataPath(garbage), Buffer.from('damaged, and needed by nobody'));
  const report = await run();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.equal(driver.files.has(blobDataPath(garbage)), false);
  assert.ok('verify' in report.phaseSeconds);
});

for (const [title, damage, names] of [
  [
    'a layer that is damaged',
    ({ driver, layer }) => driver.putContent(blobDataPath(layer), Buffer.from('x')),
    ({ layer }) => layer,
  ],
  ['a layer without data', ({ driver, layer }) => driver.delete(blobDataPath(layer)), ({ layer }) => layer],
  [
    'a layer that is not linked',
    ({ driver, layer }) => driver.delete(layerLinkPath(app, layer)),
    ({ layer }) => layer,
  ],
  [
    'a child that is not there',
    ({ driver, image }) => driver.delete(revisionLinkPath(app, image)),
    ({ image }) => image,
  ],
] as const satisfies readonly (readonly [
  string,
  (of: Awaited<ReturnType<typeof site>>) => Promise<void>,
  (of: Awaited<ReturnType<typeof site>>) => string,
])[]) {
  test(`${title} ends a run that verifies before anything is deleted, with its name`, async () => {
    const made = await site();
    await damage(made);
    const report = await made.run();
    assert.equal(report.result, 'Failed');
    assert.match(report.message, /^nothing was deleted: /);
    assert.ok(report.message.includes(names(made)), report.message);
    assert.ok(made.isUntouched());
    assert.equal(report.readOnlySeconds, 0);
  });
}
