import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeAnnouncement, type Announcement } from '../../../../src/registry/lease/announcement.ts';
import { CollectorLease } from '../../../../src/registry/lease/collector-lease.ts';
import { leaseParameters } from '../../../../src/registry/lease/parameters.ts';
import { runPath, writeRun } from '../../../../src/registry/lease/run-files.ts';
import type { RunRecord } from '../../../../src/registry/lease/run-record.ts';
import { ServerLease } from '../../../../src/registry/lease/server-lease.ts';
import { RegistryError } from '../../../../src/registry/errors.ts';
import { RUNS_ROOT, SERVERS_ROOT } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

interface Fixture {
  readonly clock: TestClock;
  readonly driver: MemoryDriver;
  readonly lease: ServerLease;
  readonly operations: string[];
  readonly announcement: () => Announcement;
  readonly run: (change: Partial<RunRecord>) => Promise<void>;
}

async function serverLease(options: { readOnly?: boolean } = {}): Promise<Fixture> {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const operations: string[] = [];
  driver.before = (operation, path) => void operations.push(`${operation} ${path}`);
  const lease = new ServerLease({
    driver,
    clock,
    log: logSink().log,
    serverId: 'server',
    readOnly: options.readOnly ?? false,
  });
  await lease.start();
  let record: RunRecord = { run: 'run', phase: 'draining', counter: 0, duration: 45_000 };
  return {
    clock,
    driver,
    lease,
    operations,
    announcement: () => {
      const file = driver.files.get(`${SERVERS_ROOT}/server`);
      assert.ok(file, 'the server has announced itself');
      return decodeAnnouncement('server', file.content) ?? assert.fail('the announcement can be read');
    },
    run: async (change) => {
      record = { ...record, counter: record.counter + 1, ...change };
      await writeRun(driver, record);
    },
  };
}

/** What became of a call, without waiting for it. */
function outcomeOf<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const outcome: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error),
  );
  return outcome;
}

function assertRefused(error: unknown, reason: string): void {
  assert.ok(error instanceof RegistryError, `refused with an error of the table, not ${String(error)}`);
  assert.equal(error.status, 503);
  assert.ok(Number(error.headers['Retry-After']) > 0);
  assert.deepEqual(error.items[0].detail, { reason });
}

test('a server that starts says that it is idle, and reads nothing while it is', async () => {
  const { announcement, operations, clock } = await serverLease();
  assert.equal(announcement().state, 'idle');
  operations.length = 0;
  await clock.advance(3600_000);
  assert.deepEqual(operations, []);
});

test('an idle server renews its announcement every 12 h', async () => {
  const { clock, driver } = await serverLease();
  await clock.advance(13 * 3600_000);
  assert.equal(clock.now() - (driver.files.get(`${SERVERS_ROOT}/server`)?.modifiedAt ?? 0), 3600_000);
});

test('the announcement of writing has landed before the first look', async () => {
  const { lease, operations, announcement } = await serverLease();
  operations.length = 0;
  using permit = await lease.begin('manifest');
  await permit.check();
  assert.equal(announcement().state, 'writing');
  const announced = operations.findIndex((operation) => operation.startsWith('putContent'));
  const looked = operations.findIndex((operation) => operation.includes('/runs'));
  assert.ok(announced >= 0 && announced < looked, operations.join('\n'));
});

test('writes within a permission need no further look', async () => {
  const { lease, operations } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  operations.length = 0;
  using permit = await lease.begin('manifest');
  await permit.check();
  assert.deepEqual(operations, []);
});

test('a server says idle again 10 s after its last write', async () => {
  const { lease, clock, announcement } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  await clock.advance(8_000);
  assert.equal(announcement().state, 'writing');
  await clock.advance(5_000);
  assert.equal(announcement().state, 'idle');
});

test('a server stays writing while an upload is open, and 10 s after its last request', async () => {
  const { lease, clock, announcement } = await serverLease();
  const request = lease.enter('upload');
  (await lease.begin('upload'))[Symbol.dispose]();
  await clock.advance(60_000);
  assert.equal(announcement().state, 'writing');
  assert.equal(lease.openUploads(), 1);
  request[Symbol.dispose]();
  await clock.advance(9_000);
  assert.equal(lease.openUploads(), 1);
  await clock.advance(20_000);
  assert.equal(lease.openUploads(), 0);
  assert.equal(announcement().state, 'idle');
});

test('a write that meets a lease is held for 15 s and then refused with a reason', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'draining' });
  const outcome = outcomeOf(lease.begin('manifest'));
  await clock.advance(14_500);
  assert.deepEqual(outcome, {});
  await clock.advance(1_000);
  assertRefused(outcome.error, 'GarbageCollectionDraining');
});

test('a held write goes through when the lease is released', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'marking' });
  const outcome = outcomeOf(lease.begin('manifest'));
  await clock.advance(5_000);
  await run({ phase: 'done' });
  await clock.advance(2_500);
  assert.ok(outcome.value);
});

test('held writes share the looks, and all go through at the end of one', async () => {
  const { lease, clock, run, operations } = await serverLease();
  await run({ phase: 'marking' });
  const outcomes = [0, 1, 2, 3, 4].map(() => outcomeOf(lease.begin('open')));
  await clock.advance(100);
  operations.length = 0;
  await clock.advance(5_000);
  const looks = operations.filter((operation) => operation === `list ${RUNS_ROOT}`);
  assert.ok(looks.length >= 9 && looks.length <= 11, `${looks.length} looks`);
  await run({ phase: 'done' });
  await clock.advance(500);
  for (const { value } of outcomes) assert.ok(value);
});

test('writes go on while a run calls, and their server answers it', async () => {
  const { lease, clock, run, announcement } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  await run({ phase: 'calling' });
  await clock.advance(2_000);
  assert.deepEqual([announcement().runs, announcement().holds], [['run'], []]);
  await clock.advance(20_000);
  using permit = await lease.begin('manifest');
  await permit.check();
  assert.equal(await permit.validate(), 'unchanged');
  assert.deepEqual(await lease.state(), { active: false });
  await run({ phase: 'draining' });
  await clock.advance(500);
  assert.deepEqual([announcement().runs, announcement().holds], [['run'], ['run']]);
  assert.equal(announcement().writes, 1);
});

test('a run that called when a write began and is over may have taken what the write refers to', async () => {
  const { lease, run } = await serverLease();
  await run({ phase: 'calling' });
  using permit = await lease.begin('manifest');
  await run({ phase: 'done' });
  assert.equal(await permit.validate(), 'verify');
});

test('bytes for an open upload go on while the lease drains, not while it marks', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'draining' });
  using permit = await lease.begin('upload');
  await permit.check();
  await run({ phase: 'marking' });
  const outcome = outcomeOf(lease.begin('upload'));
  await clock.advance(16_000);
  assertRefused(outcome.error, 'GarbageCollectionMarking');
  await assert.rejects(permit.check(), RegistryError);
});

test('when every collector is dead writes are free within the duration and two looks', async () => {
  const { lease, clock, run } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  await run({ phase: 'marking' });
  await clock.advance(2_500);
  const early = outcomeOf(lease.begin('manifest'));
  await clock.advance(16_000);
  assert.ok(early.error);
  await clock.advance(45_000 + 4_000 - 18_500);
  using permit = await lease.begin('manifest');
  await permit.check();
});

test('a server that has not been looking takes the age of a dead lease from the store', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'marking' });
  await clock.advance(61_000);
  using permit = await lease.begin('manifest');
  await permit.check();
});

test('a server whose first write comes late in a dead lease takes it within a minute of the last renewal', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'marking' });
  await clock.advance(46_000);
  const begun = outcomeOf(lease.begin('manifest'));
  await clock.advance(8_000);
  assert.equal(begun.value, undefined, 'stamps may be some seconds wrong');
  await clock.advance(3_000);
  assert.ok(begun.value);
});

test('it does so as well when its state was asked for before', async () => {
  const { lease, clock, run } = await serverLease();
  await run({ phase: 'marking' });
  await clock.advance(61_000);
  await lease.state();
  const begun = outcomeOf(lease.begin('manifest'));
  await settle();
  assert.ok(begun.value);
  assert.deepEqual(await lease.state(), { active: false });
});

test('a wall clock that jumps makes no lease of others end early', async () => {
  const { lease, clock, run } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  await run({ phase: 'marking' });
  await clock.advance(2_500);
  clock.jumpWall(3600_000);
  const outcome = outcomeOf(lease.begin('manifest'));
  await clock.advance(16_000);
  assertRefused(outcome.error, 'GarbageCollectionMarking');
});

test('a permission does not outlive a suspended machine: the larger clock counts', async () => {
  const { lease, clock, run } = await serverLease();
  using permit = await lease.begin('manifest');
  await run({ phase: 'draining' });
  clock.jumpWall(11_000);
  await assert.rejects(permit.check(), RegistryError);
});

test('a write that began before a run drains may go on until its permission lapses', async () => {
  const { lease, clock, run } = await serverLease();
  using permit = await lease.begin('manifest');
  await run({ phase: 'draining' });
  await clock.advance(9_000);
  await permit.check();
  await clock.advance(1_500);
  await assert.rejects(permit.check(), RegistryError);
});

test('a look that took longer than a permission lasts lets nobody write', async () => {
  for (const [kind, before] of [
    ['manifest', undefined],
    ['upload', 'draining'],
  ] as const) {
    const { lease, clock, driver, run } = await serverLease();
    if (before) await run({ phase: before });
    using permit = await lease.begin(kind);
    const stalled = Promise.withResolvers<void>();
    const getContent = driver.getContent.bind(driver);
    const list = driver.list.bind(driver);
    driver.list = async (path) => {
      const names = await list(path).catch(() => []);
      if (!before) await stalled.promise;
      return names;
    };
    driver.getContent = async (path) => {
      const content = await getContent(path);
      await stalled.promise;
      return content;
    };
    await clock.advance(11_000);
    const checked = outcomeOf(permit.check());
    await run({ phase: 'marking' });
    await clock.advance(11_000);
    Object.assign(driver, { list, getContent });
    stalled.resolve();
    await settle();
    assertRefused(checked.error, 'GarbageCollectionMarking');
    await lease.stop();
  }
});

test('validation finds nothing new when no run came', async () => {
  const { lease } = await serverLease();
  using permit = await lease.begin('manifest');
  assert.equal(await permit.validate(), 'unchanged');
});

test('validation lets a write pass a run that only drains', async () => {
  const { lease, run } = await serverLease();
  using permit = await lease.begin('manifest');
  await run({ phase: 'draining' });
  assert.equal(await permit.validate(), 'unchanged');
});

test('validation refuses a write while a run marks', async () => {
  const { lease, run } = await serverLease();
  using permit = await lease.begin('manifest');
  await run({ phase: 'marking' });
  await assert.rejects(permit.validate(), (error) => {
    assertRefused(error, 'GarbageCollectionMarking');
    return true;
  });
});

test('validation asks for verification when a run came and went', async () => {
  const { lease, run } = await serverLease();
  using permit = await lease.begin('manifest');
  await run({ phase: 'draining' });
  assert.equal(await permit.validate(), 'unchanged');
  await run({ phase: 'done' });
  assert.equal(await permit.validate(), 'verify');
  assert.equal(await permit.validate(), 'unchanged');
});

test('runs that were over before a write began do not concern it', async () => {
  const { lease, run } = await serverLease();
  await run({ phase: 'done' });
  using permit = await lease.begin('manifest');
  assert.equal(await permit.validate(), 'unchanged');
});

test('the announcement acknowledges a run with what is still in progress', async () => {
  const { lease, clock, run, announcement } = await serverLease();
  const request = lease.enter('upload');
  const permit = await lease.begin('manifest');
  await run({ phase: 'draining' });
  await clock.advance(2_500);
  assert.deepEqual(announcement(), {
    server: 'server',
    state: 'writing',
    runs: ['run'],
    holds: ['run'],
    writes: 1,
    uploads: 1,
  });
  permit[Symbol.dispose]();
  request[Symbol.dispose]();
  lease.leave('upload');
  await settle();
  assert.deepEqual(announcement(), {
    server: 'server',
    state: 'writing',
    runs: ['run'],
    holds: ['run'],
    writes: 0,
    uploads: 0,
  });
});

test('a client that gave up in the middle of an upload makes no write of others fail', async () => {
  const { lease, clock, driver } = await serverLease();
  (await lease.begin('open'))[Symbol.dispose]();
  const collector = new CollectorLease({
    driver,
    clock,
    log: logSink().log,
    parameters: leaseParameters,
    run: 'run',
    random: () => 0,
  });
  const { signal } = new AbortController();
  await collector.acquire(signal);
  const called = collector.call({ offline: false, signal });
  await clock.advance(3_000);
  await called;
  lease.enter('given up')[Symbol.dispose]();
  await collector.declareDraining();
  const drained = collector.drain({ drainTimeout: 300_000, signal }).then(() => collector.release());
  await clock.advance(1_000);
  const outcome = outcomeOf(lease.begin('open'));
  await clock.advance(15_000);
  assert.ok(outcome.value, String(outcome.error));
  await drained;
});

test('while a run waits for uploads their server renews its announcement, and only then', async () => {
  const { lease, clock, driver, run } = await serverLease();
  const announced = () => driver.files.get(`${SERVERS_ROOT}/server`)?.modifiedAt ?? 0;
  (await lease.begin('open'))[Symbol.dispose]();
  using upload = lease.enter('upload');
  await clock.advance(20_000);
  const before = announced();
  await clock.advance(20_000);
  assert.equal(announced(), before, 'no run asks');
  await run({});
  await clock.advance(20_000);
  assert.ok(clock.now() - announced() <= 2_000);
  upload[Symbol.dispose]();
  lease.leave('upload');
  await clock.advance(2_000);
  const after = announced();
  await clock.advance(6_000);
  assert.equal(announced(), after, 'nothing is in progress');
});

test('refreshing an age never waits for a lease', async () => {
  const { lease, run } = await serverLease();
  await run({ phase: 'draining' });
  assert.equal(await lease.tryBegin(), undefined);
});

test('a registry that is configured read-only answers 405 and announces nothing', async () => {
  const { lease, driver } = await serverLease({ readOnly: true });
  await assert.rejects(
    lease.begin('open'),
    (error) => error instanceof RegistryError && error.status === 405,
  );
  assert.equal(await lease.tryBegin(), undefined);
  assert.deepEqual([...driver.files.keys()], []);
  const state = await lease.state();
  assert.equal(state.reason, 'Configured');
});

test('an idle server that is asked for its state looks', async () => {
  const { lease, run } = await serverLease();
  assert.deepEqual(await lease.state(), { active: false });
  await run({ phase: 'marking' });
  const state = await lease.state();
  assert.equal(state.active, true);
  assert.equal(state.reason, 'Marking');
  assert.ok(state.since);
});

test('a server tells its state as it knows it while the store fails or does not answer', async () => {
  const { lease, driver, clock, run } = await serverLease();
  await run({ phase: 'marking' });
  await lease.state();
  driver.before = () => {
    throw new Error('the store is gone');
  };
  assert.equal((await lease.state()).reason, 'Marking');
  driver.before = () => new Promise<void>(() => {});
  const asked = outcomeOf(lease.state());
  await clock.advance(1000);
  assert.equal(asked.value?.reason, 'Marking');
});

test('a server that stops takes its announcement back', async () => {
  const { lease, driver } = await serverLease();
  (await lease.begin('manifest'))[Symbol.dispose]();
  await lease.stop();
  assert.equal(driver.files.has(`${SERVERS_ROOT}/server`), false);
});

test('a server can stop when its announcement is gone already', async () => {
  const { lease, driver } = await serverLease();
  driver.files.clear();
  await lease.stop();
});

for (const [title, operation, path] of [
  ['idle', 'putContent', `${SERVERS_ROOT}/server`],
  ['writing', 'list', RUNS_ROOT],
] as const) {
  test(`a server that could not turn ${title} says idle when the store works again`, async () => {
    const { lease, driver, clock, announcement } = await serverLease();
    const fail = (): void => {
      driver.before = (name, at) => {
        if (name === operation && at === path) throw new Error('no answer');
      };
    };
    if (title === 'writing') {
      fail();
      await assert.rejects(lease.begin('manifest'));
    } else {
      (await lease.begin('manifest'))[Symbol.dispose]();
      fail();
    }
    await clock.advance(20_000);
    driver.before = () => {};
    await clock.advance(2_000);
    assert.equal(announcement().state, 'idle');
    using permit = await lease.begin('manifest');
    await permit.check();
    assert.equal(announcement().state, 'writing');
  });
}

test('a store that cannot be read refuses writes and they go on when it can', async () => {
  const { lease, driver, clock } = await serverLease();
  driver.before = (operation) => {
    if (operation === 'list') throw new Error('no answer');
  };
  await assert.rejects(lease.begin('manifest'));
  driver.before = () => {};
  await clock.advance(3_000);
  using permit = await lease.begin('manifest');
  await permit.check();
  assert.equal(driver.files.has(runPath('run')), false);
});
