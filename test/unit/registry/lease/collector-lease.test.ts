import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeAnnouncement, type Announcement } from '../../../../src/registry/lease/announcement.ts';
import {
  CollectorLease,
  DrainTimeoutError,
  LeaseConflictError,
  LeaseLostError,
  NoServerError,
} from '../../../../src/registry/lease/collector-lease.ts';
import { LeaseWatch } from '../../../../src/registry/lease/lease-watch.ts';
import { leaseParameters } from '../../../../src/registry/lease/parameters.ts';
import { runPath } from '../../../../src/registry/lease/run-files.ts';
import { decodeRunRecord } from '../../../../src/registry/lease/run-record.ts';
import { SERVERS_ROOT } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { TestClock } from '../../../support/test-clock.ts';

const never = new AbortController().signal;

function storage(): { clock: TestClock; driver: MemoryDriver } {
  const clock = new TestClock();
  return { clock, driver: new MemoryDriver(() => clock.now()) };
}

function collector({ clock, driver }: ReturnType<typeof storage>, run = 'run', random = 0): CollectorLease {
  return new CollectorLease({
    driver,
    clock,
    log: logSink().log,
    parameters: leaseParameters,
    run,
    random: () => random,
  });
}

function phaseOf(driver: MemoryDriver, run = 'run'): string {
  return decodeRunRecord(run, driver.files.get(runPath(run))?.content ?? new Uint8Array(), 0).phase;
}

async function announce(driver: MemoryDriver, change: Partial<Announcement>): Promise<void> {
  const announcement = {
    server: 'server',
    state: 'writing',
    runs: [],
    holds: [],
    writes: 0,
    uploads: 0,
    ...change,
  } as const;
  await driver.putContent(`${SERVERS_ROOT}/${announcement.server}`, encodeAnnouncement(announcement));
}

/** How a call ended, looked at while time passes. */
function watch(promise: Promise<unknown>): { ended?: unknown } {
  const seen: { ended?: unknown } = {};
  promise.then(
    () => (seen.ended = 'well'),
    (error: unknown) => (seen.ended = error),
  );
  return seen;
}

test('a run does not mark when one of its records may still land and say that it drains', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  store.driver.before = (operation) => {
    if (operation === 'putContent') throw new Error('no answer');
  };
  await store.clock.advance(leaseParameters.renewEvery);
  store.driver.before = () => {};
  await assert.rejects(lease.declareMarking(), LeaseLostError);
  await lease.release();
  assert.equal(phaseOf(store.driver), 'done');
});

test('a run calls, drains, marks and is done', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  assert.equal(phaseOf(store.driver), 'calling');
  await lease.declareDraining();
  assert.equal(phaseOf(store.driver), 'draining');
  await lease.declareMarking();
  assert.equal(phaseOf(store.driver), 'marking');
  await lease.release();
  assert.equal(phaseOf(store.driver), 'done');
  assert.throws(() => lease.assertHeld(), LeaseLostError);
});

test('a lease is renewed as long as it is held', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  await store.clock.advance(600_000);
  lease.assertHeld();
  await lease.release();
});

test('a lease whose renewals fail is over 15 s before the servers let it lapse, and is not taken up again', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  store.driver.before = (operation) => {
    if (operation === 'putContent') throw new Error('no answer');
  };
  await store.clock.advance(29_000);
  lease.assertHeld();
  await store.clock.advance(1_000);
  assert.throws(() => lease.assertHeld(), LeaseLostError);
  store.driver.before = () => {};
  await store.clock.advance(20_000);
  assert.throws(() => lease.assertHeld(), LeaseLostError);
  await lease.release();
});

test('a renewal counts from its start: one that takes long renews little', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  store.driver.before = (operation) => (operation === 'putContent' ? store.clock.sleep(19_000) : undefined);
  await store.clock.advance(10_000 + 19_000);
  lease.assertHeld();
  await store.clock.advance(10_900);
  lease.assertHeld();
  await store.clock.advance(200);
  assert.throws(() => lease.assertHeld(), LeaseLostError, '30 s after the start of the renewal');
  const released = watch(lease.release());
  await store.clock.advance(60_000);
  assert.equal(released.ended, 'well');
});

test('a suspended machine ends the lease: the larger clock counts', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  store.clock.jumpWall(31_000);
  assert.throws(() => lease.assertHeld(), LeaseLostError);
  await lease.release();
});

test('a collector that finds another live one does not declare itself and gives up after a minute', async () => {
  const store = storage();
  const first = collector(store, 'first');
  await first.acquire(never);
  const second = watch(collector(store, 'second').acquire(never));
  await store.clock.advance(65_000);
  assert.ok(second.ended instanceof LeaseConflictError);
  assert.equal(store.driver.files.has(runPath('second')), false);
  await first.release();
});

test('two that declare at once both withdraw, and one gets the lease', async () => {
  const store = storage();
  const a = collector(store, 'a', 0);
  const b = collector(store, 'b', 0.9);
  const [first, second] = [watch(a.acquire(never)), watch(b.acquire(never))];
  await store.clock.advance(500);
  assert.deepEqual([phaseOf(store.driver, 'a'), phaseOf(store.driver, 'b')], ['done', 'done']);
  await store.clock.advance(1_000);
  assert.deepEqual([first.ended, second.ended], ['well', undefined]);
  await a.release();
  await store.clock.advance(10_000);
  assert.equal(second.ended, 'well');
  await b.release();
});

test('a collector that withdrew comes back as a run that everybody takes for a new one', async () => {
  const store = storage();
  const a = collector(store, 'a', 0);
  const b = collector(store, 'b', 0.9);
  const [first, second] = [watch(a.acquire(never)), watch(b.acquire(never))];
  await store.clock.advance(500);
  // A server, and a collector, that saw both withdraw: what is done is not looked at again.
  const server = new LeaseWatch({ ...store, parameters: leaseParameters });
  assert.deepEqual((await server.look()).live, []);
  const known = (await server.look()).runs;
  await store.clock.advance(1_000);
  assert.equal(first.ended, 'well');
  const { live } = await server.look();
  assert.deepEqual(
    live.map(({ phase }) => phase),
    ['calling'],
  );
  assert.equal(known.has(live[0]?.run ?? ''), false, 'a write that began before has to notice it');
  await store.clock.advance(30_000);
  assert.equal(second.ended, undefined, 'the other one waits');
  await a.release();
  await store.clock.advance(10_000);
  assert.equal(second.ended, 'well');
  await b.release();
});

test('a dead collector is succeeded when its lease has lapsed', async () => {
  const store = storage();
  const dead = collector(store, 'dead');
  await dead.acquire(never);
  // Dead from here on: its renewals reach nobody.
  store.driver.before = (operation, path) => {
    if (operation === 'putContent' && path === runPath('dead')) throw new Error('dead');
  };
  const next = collector(store, 'next', 0.9);
  const taken = watch(next.acquire(never));
  await store.clock.advance(30_000);
  assert.equal(taken.ended, undefined);
  await store.clock.advance(20_000);
  assert.equal(taken.ended, 'well');
  await dead.release().catch(() => undefined);
  await next.release();
});

test('a collector that died before another began keeps that one waiting no longer than the store says', async () => {
  const store = storage();
  const dead = collector(store, 'dead');
  await dead.acquire(never);
  store.driver.before = (operation, path) => {
    if (operation === 'putContent' && path === runPath('dead')) throw new Error('dead');
  };
  await store.clock.advance(50_000);
  const soon = collector(store, 'soon');
  const first = watch(soon.acquire(never));
  await store.clock.advance(4_000);
  assert.equal(first.ended, undefined, 'the margin is not over');
  await store.clock.advance(10_000);
  assert.equal(first.ended, 'well');
  await soon.release();
  await store.clock.advance(3600_000);
  const later = collector(store, 'later');
  const taken = watch(later.acquire(never));
  await store.clock.advance(0);
  assert.equal(taken.ended, 'well', 'the record of the dead one is still there');
  await later.release();
});

const waits: readonly {
  readonly title: string;
  readonly step: 'call' | 'drain';
  readonly servers: readonly Partial<Announcement>[];
  /** The servers are alive: with something in progress they say so again every 2 s. */
  readonly renewed?: boolean;
  readonly offline?: boolean;
  readonly after: number;
  readonly ended: 'well' | 'waits' | (new (message: string) => Error);
}[] = [
  {
    title: 'an idle server is not called',
    step: 'call',
    servers: [{ state: 'idle' }],
    after: 0,
    ended: 'well',
  },
  {
    title: 'a server that has seen the run has answered, whatever is in progress',
    step: 'call',
    servers: [{ runs: ['run'], uploads: 1 }],
    after: 0,
    ended: 'well',
  },
  {
    title: 'a call waits for a server that does not answer as long as its permission may last',
    step: 'call',
    servers: [{}, { server: 'other', state: 'idle' }],
    after: 10_000,
    ended: 'waits',
  },
  {
    title: 'a server that does not answer is passed over after that',
    step: 'call',
    servers: [{}, { server: 'other', state: 'idle' }],
    after: 11_500,
    ended: 'well',
  },
  {
    title: 'a run without any sign of a server is refused',
    step: 'call',
    servers: [],
    after: 0,
    ended: NoServerError,
  },
  {
    title: 'a run whose only server does not answer is refused',
    step: 'call',
    servers: [{}],
    after: 12_000,
    ended: NoServerError,
  },
  {
    title: 'an offline run needs no server',
    step: 'call',
    servers: [],
    offline: true,
    after: 0,
    ended: 'well',
  },
  {
    title: 'a server that holds writes and has nothing in progress is not waited for',
    step: 'drain',
    servers: [
      { runs: ['run'], holds: ['run'] },
      { server: 'other', state: 'idle' },
    ],
    after: 0,
    ended: 'well',
  },
  {
    title: 'a server that has seen the run and does not hold writes yet is waited for',
    step: 'drain',
    servers: [{ runs: ['run'] }],
    after: 10_000,
    ended: 'waits',
  },
  {
    title: 'it is passed over after that',
    step: 'drain',
    servers: [{ runs: ['run'] }],
    after: 11_500,
    ended: 'well',
  },
  {
    title: 'a server that holds writes with an upload in progress is waited for',
    step: 'drain',
    servers: [{ runs: ['run'], holds: ['run'], uploads: 1 }],
    renewed: true,
    after: 59_000,
    ended: 'waits',
  },
  {
    title: 'a server whose upload does not end makes the run give up',
    step: 'drain',
    servers: [{ runs: ['run'], holds: ['run'], uploads: 1 }],
    renewed: true,
    after: 61_000,
    ended: DrainTimeoutError,
  },
  {
    title:
      'a server with an upload in progress that says no more is waited for as long as its permission may last',
    step: 'drain',
    servers: [{ runs: ['run'], holds: ['run'], uploads: 1 }],
    after: 10_000,
    ended: 'waits',
  },
  {
    title: 'a server that died with an upload in progress is passed over after that',
    step: 'drain',
    servers: [{ runs: ['run'], holds: ['run'], uploads: 1 }],
    after: 11_500,
    ended: 'well',
  },
];

for (const { title, step, servers, renewed = false, offline = false, after, ended } of waits) {
  test(title, async () => {
    const store = storage();
    for (const server of servers) await announce(store.driver, server);
    const lease = collector(store);
    await lease.acquire(never);
    const outcome = watch(lease[step]({ drainTimeout: 60_000, offline, signal: never }));
    for (let passed = 0; passed <= after; passed += 2_000) {
      await store.clock.advance(Math.min(after - passed, 2_000));
      if (renewed) for (const server of servers) await announce(store.driver, server);
    }
    if (ended === 'waits') assert.equal(outcome.ended, undefined);
    else if (ended === 'well') assert.equal(outcome.ended, 'well');
    else assert.ok(outcome.ended instanceof ended, String(outcome.ended));
    await lease.release();
  });
}

test('writes are not held for a server that did not answer the call', async () => {
  const store = storage();
  await announce(store.driver, {});
  await announce(store.driver, { server: 'other', runs: ['run'] });
  const lease = collector(store);
  await lease.acquire(never);
  const called = watch(lease.call({ offline: false, signal: never }));
  await store.clock.advance(11_500);
  assert.equal(called.ended, 'well');
  await lease.declareDraining();
  const drained = watch(lease.drain({ drainTimeout: 60_000, signal: never }));
  await announce(store.driver, { server: 'other', runs: ['run'], holds: ['run'] });
  await store.clock.advance(500);
  assert.equal(drained.ended, 'well');
  await lease.release();
});

test('a call is not made longer by servers that come and die meanwhile', async () => {
  const store = storage();
  await announce(store.driver, { server: 'other', state: 'idle' });
  const lease = collector(store);
  await lease.acquire(never);
  await announce(store.driver, { server: 'first' });
  const called = watch(lease.call({ offline: false, signal: never }));
  await store.clock.advance(8_000);
  await announce(store.driver, { server: 'second' });
  await store.clock.advance(3_500);
  assert.equal(called.ended, 'well');
  await lease.declareDraining();
  const drained = watch(lease.drain({ drainTimeout: 60_000, signal: never }));
  await store.clock.advance(0);
  assert.equal(drained.ended, 'well', 'nor are writes held for them');
  await lease.release();
});

test('what a server says twice within the resolution of the stamps is heard', async () => {
  const store = storage();
  await announce(store.driver, {});
  const lease = collector(store);
  await lease.acquire(never);
  const called = watch(lease.call({ offline: false, signal: never }));
  await store.clock.advance(0);
  assert.equal(called.ended, undefined);
  const stamp = store.driver.files.get(`${SERVERS_ROOT}/server`)?.modifiedAt ?? 0;
  await announce(store.driver, { runs: ['run'] });
  Object.assign(store.driver.files.get(`${SERVERS_ROOT}/server`) ?? {}, { modifiedAt: stamp });
  await store.clock.advance(500);
  assert.equal(called.ended, 'well');
  await lease.release();
});

test('an idle announcement of more than a day ago is no sign of a server', async () => {
  const store = storage();
  await announce(store.driver, { state: 'idle' });
  await store.clock.advance(25 * 3600_000);
  const lease = collector(store);
  await lease.acquire(never);
  await assert.rejects(lease.call({ offline: false, signal: never }), NoServerError);
  await lease.release();
});

test('a delete without an answer ends the run, which then releases nothing', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  await lease.declareMarking();
  const stalled = watch(lease.fenced(() => new Promise(() => {})));
  await store.clock.advance(5_000);
  assert.ok(stalled.ended instanceof LeaseLostError);
  assert.throws(() => lease.assertHeld(), LeaseLostError);
  await lease.release();
  assert.equal(phaseOf(store.driver), 'marking');
});

test('a fenced operation does not begin when the lease is over', async () => {
  const store = storage();
  const lease = collector(store);
  await lease.acquire(never);
  store.clock.jumpWall(31_000);
  let began = false;
  await assert.rejects(
    lease.fenced(async () => {
      began = true;
    }),
    LeaseLostError,
  );
  assert.equal(began, false);
  await lease.release();
});

test('records of runs that ended stay for a day and are removed by a later run', async () => {
  const store = storage();
  const first = collector(store, 'first');
  await first.acquire(never);
  await first.release();
  await store.clock.advance(3600_000);
  const second = collector(store, 'second');
  await second.acquire(never);
  await second.release();
  assert.ok(store.driver.files.has(runPath('first')));
  await store.clock.advance(24 * 3600_000);
  const third = collector(store, 'third');
  await third.acquire(never);
  await third.release();
  assert.deepEqual(
    [...store.driver.files.keys()].filter((path) => path.startsWith(runPath(''))),
    [runPath('third')],
  );
});
