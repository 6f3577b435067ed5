import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import type { WriteGate } from '../../../../src/registry/lease/write-gate.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { UploadPurge } from '../../../../src/registry/storage/upload-purge.ts';
import { logSink, type LogRecord } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { openGate, openPermit } from '../../../support/open-gate.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { waitFor } from '../../../support/wait-for.ts';

const HOUR = 3600_000;
const repositories = '/docker/registry/v2/repositories';
const ours = '01234567-89ab-8def-8123-456789abcdef';
const theirs = '01234567-89ab-4def-8123-456789abcdef';

interface Options {
  /** `storage.maintenance.uploadpurging`. */
  readonly settings?: string;
  readonly driver?: StorageDriver;
  readonly gate?: Partial<WriteGate>;
  readonly inHand?: string;
  readonly random?: number;
}

function startPurge(t: TestContext, clock: TestClock, options: Options = {}) {
  const memory = new MemoryDriver(() => clock.now());
  const { log, records } = logSink();
  const { config, errors } = parseConfig(
    `{version: 0.1, http: {addr: ":0"}, storage: {filesystem: , maintenance: {uploadpurging: ${options.settings ?? '{}'}}}}`,
  );
  assert.deepEqual(errors, []);
  assert.ok(config);
  const purge = new UploadPurge(config.storage.maintenance.uploadpurging, {
    driver: options.driver ?? memory,
    gate: { ...openGate, ...options.gate },
    clock,
    log,
    random: () => options.random ?? 0,
    isInHand: (folder) => folder === options.inHand,
  });
  t.after(() => purge.stop());
  return { memory, records, purge };
}

async function putUpload(driver: StorageDriver, folder: string, clock: TestClock): Promise<void> {
  await driver.putContent(`${folder}/startedat`, Buffer.from(new Date(clock.now()).toISOString()));
  await driver.putContent(`${folder}/data`, Buffer.from('half a layer'));
}

test('an upload goes once nothing was written to it for the age, ours and those of docker distribution', async (t) => {
  const clock = new TestClock();
  const { memory, purge, records } = startPurge(t, clock);
  await memory.putContent('/docker/registry/v2/blobs/sha256/00/00/data', Buffer.from('x'));
  for (const folder of [`${repositories}/a/_uploads/${ours}`, `${repositories}/a/b/c/_uploads/${theirs}`]) {
    await putUpload(memory, folder, clock);
  }
  const all = memory.files.size;
  await clock.advance(167 * HOUR);
  purge.start();
  await clock.advance(24 * HOUR - 1);
  assert.equal(memory.files.size, all);
  await clock.advance(1);
  assert.deepEqual([...memory.files.keys()], ['/docker/registry/v2/blobs/sha256/00/00/data']);
  const removed = records.filter(({ message }) => message === 'an abandoned upload was removed');
  assert.deepEqual(
    removed.map(({ path }) => path),
    [`${repositories}/a/_uploads/${ours}`, `${repositories}/a/b/c/_uploads/${theirs}`],
  );
  assert.equal(removed[0]?.['touched'], '2026-01-01T00:00:00.000Z');
});

test('an upload that began long ago and is still written to stays', async (t) => {
  const clock = new TestClock();
  const { memory, purge } = startPurge(t, clock, { settings: '{interval: 1h}' });
  const folder = `${repositories}/a/_uploads/${ours}`;
  await putUpload(memory, folder, clock);
  purge.start();
  await clock.advance(160 * HOUR);
  await memory.putContent(`${folder}/data`, Buffer.from('three quarters'));
  await clock.advance(100 * HOUR);
  assert.equal(memory.files.size, 2);
  await clock.advance(69 * HOUR);
  assert.equal(memory.files.size, 0);
});

test('age and interval are what is configured', async (t) => {
  const clock = new TestClock();
  const { memory, purge } = startPurge(t, clock, { settings: '{age: 2h, interval: 5h}' });
  await putUpload(memory, `${repositories}/a/_uploads/${ours}`, clock);
  purge.start();
  await clock.advance(5 * HOUR - 1);
  assert.equal(memory.files.size, 2);
  await clock.advance(1);
  assert.equal(memory.files.size, 0);
});

test('replicas that start together purge at different times within the first hour', async (t) => {
  const clock = new TestClock();
  const { memory, purge } = startPurge(t, clock, { random: 0.5 });
  await putUpload(memory, `${repositories}/a/_uploads/${ours}`, clock);
  await clock.advance(200 * HOUR);
  purge.start();
  await clock.advance(HOUR / 2 - 1);
  assert.equal(memory.files.size, 2);
  await clock.advance(1);
  assert.equal(memory.files.size, 0);
});

test('nothing is removed when it is disabled, and in a dry run it is only told', async (t) => {
  for (const settings of ['{enabled: false}', '{dryrun: true}']) {
    const clock = new TestClock();
    const gate = { tryBegin: () => assert.fail('no permit is needed') };
    const { memory, purge, records } = startPurge(t, clock, { settings, gate });
    await putUpload(memory, `${repositories}/a/_uploads/${ours}`, clock);
    purge.start();
    await clock.advance(400 * HOUR);
    assert.equal(memory.files.size, 2);
    if (settings.includes('enabled')) assert.deepEqual(records, []);
    const told = records.some(({ dryrun, path }) => dryrun === true && String(path).endsWith(ours));
    assert.equal(told, settings.includes('dryrun'));
  }
});

test('what this process has in hand, and what is no upload, stays', async (t) => {
  const clock = new TestClock();
  const inHand = `${repositories}/a/_uploads/${ours}`;
  const { memory, purge } = startPurge(t, clock, { inHand, settings: '{age: 0s}' });
  await putUpload(memory, inHand, clock);
  await memory.putContent(`${repositories}/a/_uploads/README`, Buffer.from('x'));
  await memory.putContent(`${repositories}/a/_manifests/_uploads/${theirs}`, Buffer.from('x'));
  purge.start();
  await clock.advance(400 * HOUR);
  assert.equal(memory.files.size, 4);
});

test('what was touched a moment ago stays, even with an age of nothing', async (t) => {
  const clock = new TestClock();
  const { memory, purge } = startPurge(t, clock, { settings: '{age: 0s, interval: 1s}' });
  purge.start();
  await clock.advance(1);
  await putUpload(memory, `${repositories}/a/_uploads/${ours}`, clock);
  await clock.advance(59_000);
  assert.equal(memory.files.size, 2);
  await clock.advance(2000);
  assert.equal(memory.files.size, 0);
});

test('while a collection holds writes a purge waits, and looks again before it removes', async (t) => {
  const clock = new TestClock();
  let held = true;
  const gate = { tryBegin: async () => (held ? undefined : openPermit) };
  const { memory, purge } = startPurge(t, clock, { gate, settings: '{interval: 1000h}' });
  const [one, other] = [`${repositories}/a/_uploads/${ours}`, `${repositories}/b/_uploads/${theirs}`];
  await putUpload(memory, one, clock);
  await putUpload(memory, other, clock);
  await clock.advance(200 * HOUR);
  purge.start();
  await clock.advance(60_000);
  assert.equal(memory.files.size, 4);
  // Somebody comes back to the first meanwhile.
  await memory.putContent(`${one}/data`, Buffer.from('more'));
  held = false;
  await clock.advance(30_000);
  assert.deepEqual([...memory.files.keys()], [`${one}/startedat`, `${one}/data`]);
});

test('a permit that lapsed spares the upload, and the next purge takes it', async (t) => {
  const clock = new TestClock();
  let live = true;
  const check = async (): Promise<void> => {
    if (live) throw new Error('a collector is live');
  };
  const gate = { tryBegin: async () => ({ ...openPermit, check }) };
  const { memory, purge, records } = startPurge(t, clock, { gate });
  await putUpload(memory, `${repositories}/a/_uploads/${ours}`, clock);
  await clock.advance(200 * HOUR);
  purge.start();
  await clock.advance(1);
  assert.equal(memory.files.size, 2);
  assert.ok(records.some(({ message }) => message.startsWith('abandoned uploads could not be')));
  live = false;
  await clock.advance(24 * HOUR);
  assert.equal(memory.files.size, 0);
});

test('folders that a crash left empty go, and temporary files of killed processes, wherever they are', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'purge-'));
  t.after(() => rmSync(root, { recursive: true }));
  const clock = new TestClock();
  const put = (path: string, age: number, content?: string): string => {
    const place = root + path;
    mkdirSync(content === undefined ? place : dirname(place), { recursive: true });
    if (content !== undefined) writeFileSync(place, content);
    utimesSync(place, (clock.now() - age) / 1000, (clock.now() - age) / 1000);
    return place;
  };
  const hex = 'ab'.repeat(32);
  const gone = [
    put(`${repositories}/a/_uploads/${ours}`, 200 * HOUR),
    put(`${repositories}/a/_manifests/tags/v1/current/link.${theirs}.tmp`, 200 * HOUR, 'x'),
    put(`/docker/registry/v2/blobs/sha256/ab/${hex}/data.${ours}.tmp`, 200 * HOUR, 'x'),
    put(`/docker/registry/stevedore/servers/one.${ours}.tmp`, 200 * HOUR, 'x'),
    put(`${repositories}/data/link/_layers/sha256/${hex}/link.${ours}.tmp`, 200 * HOUR, 'x'),
  ];
  const kept = [
    put(`${repositories}/a/_uploads/${theirs}`, HOUR),
    put(`${repositories}/a/_manifests/tags/v1/current/link`, 200 * HOUR, 'x'),
    put(`${repositories}/b/_layers/sha256/${hex}/link.${ours}.tmp`, HOUR, 'x'),
    put(`/docker/registry/v2/blobs/sha256/ab/${hex}/data`, 200 * HOUR, 'x'),
    put(`${repositories}/c.tmp/_manifests/tags/tmp/current/link`, 200 * HOUR, 'x'),
  ];
  const { log } = logSink();
  const driver = createFilesystemDriver({ root, log });
  const { purge, records } = startPurge(t, clock, { driver });
  purge.start();
  await clock.advance(1);
  const done = (): LogRecord | undefined =>
    records.find(({ message }) => message === 'abandoned uploads were removed');
  await waitFor(() => done() !== undefined);
  assert.deepEqual(
    [...gone, ...kept].filter((path) => existsSync(path)),
    kept,
  );
  assert.deepEqual([done()?.['uploads'], done()?.['files']], [1, 4]);
});
