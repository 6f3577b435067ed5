import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import { compactPulls, readLastPulls } from '../../../../src/registry/pulls/last-pulls.ts';
import { PullRecorder } from '../../../../src/registry/pulls/pull-recorder.ts';
import { PULLS_ROOT } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { repositoryName, tagName } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const v1 = tagName('v1');
const digest = digestOf(Buffer.from('manifest'));
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function store() {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const recorder = (serverId: string): PullRecorder => {
    const made = new PullRecorder({ driver, clock, log: logSink().log, serverId });
    made.start();
    return made;
  };
  const files = (): string[] => [...driver.files.keys()].filter((path) => path.startsWith(PULLS_ROOT));
  const lastPull = async (): Promise<number | undefined> => (await readLastPulls(driver)).of(app, v1, digest);
  return { clock, driver, recorder, files, lastPull };
}

test('pulls are written every few minutes, and not again when there are none', async (t) => {
  const { clock, driver, recorder, lastPull } = store();
  const server = recorder('a');
  t.after(() => server.stop());
  server.record(app, v1);
  const pulledAt = clock.now();
  assert.equal(await lastPull(), undefined);
  let writes = 0;
  driver.before = (operation) => void (operation === 'putContent' && writes++);
  await clock.advance(5 * MINUTE);
  assert.equal(await lastPull(), pulledAt);
  await clock.advance(60 * MINUTE);
  assert.equal(writes, 1);
});

test('a server that stops writes what it knows, and the next one adds to it', async () => {
  const { clock, recorder, lastPull } = store();
  const first = recorder('a');
  first.record(app, v1);
  await first.stop();
  await clock.advance(DAY);
  const second = recorder('b');
  second.record(app, digest);
  const pulledAt = clock.now();
  await second.stop();
  assert.equal(await lastPull(), pulledAt, 'the digest of a tag counts for the tag');
});

test('it is known since when pulls are recorded, although nothing was pulled', async (t) => {
  const { clock, driver, recorder } = store();
  assert.equal((await readLastPulls(driver)).since, undefined);
  const since = clock.now();
  const server = recorder('a');
  t.after(() => server.stop());
  await clock.advance(5 * MINUTE);
  assert.equal((await readLastPulls(driver)).since, since);
});

test('more pulls than fit into a file go into another, and what a store does not take is told as forgotten', async () => {
  const { clock, driver, recorder, files } = store();
  const server = recorder('a');
  const pull = (count: number, name: string): void => {
    for (let index = 0; index < count; index++) server.record(app, tagName(`${name}${index}`));
  };
  pull(15_000, 'first');
  await clock.advance(5 * MINUTE);
  assert.equal(files().length, 2);
  driver.before = (operation) => {
    if (operation === 'putContent') throw new Error('no space left');
  };
  await clock.advance(MINUTE);
  pull(25_000, 'second');
  const forgot = clock.now();
  await clock.advance(5 * MINUTE);
  driver.before = () => {};
  await server.stop();
  assert.equal((await readLastPulls(driver)).since, forgot);
});

test('a damaged file stands for pulls that nobody knows', async () => {
  const { clock, driver, recorder } = store();
  const server = recorder('a');
  server.record(app, v1);
  await server.stop();
  await clock.advance(DAY);
  await driver.putContent(`${PULLS_ROOT}/b.1`, Buffer.from('{'));
  assert.equal((await readLastPulls(driver)).since, clock.now());
});

test('files that are finished are put together, and a pull that is recorded meanwhile stays', async () => {
  const { clock, driver, recorder, files, lastPull } = store();
  const since = clock.now();
  for (let index = 0; index < 20; index++) {
    const server = recorder(`server${index}`);
    server.record(app, tagName(`v${index}`));
    await server.stop();
    await clock.advance(MINUTE);
  }
  const before = await lastPull();
  await compactPulls(driver, { name: 'merged.1', now: clock.now() });
  assert.equal(files().length, 20, 'somebody may write to them yet');
  await clock.advance(3 * DAY);
  const server = recorder('live');
  server.record(app, tagName('live'));
  await server.stop();
  await compactPulls(driver, { name: 'merged.2', now: clock.now() });
  assert.deepEqual(files().toSorted(), [`${PULLS_ROOT}/live.1`, `${PULLS_ROOT}/merged.2`]);
  assert.equal(await lastPull(), before);
  assert.equal((await readLastPulls(driver)).since, since);
});
