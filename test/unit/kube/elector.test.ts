import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Elector,
  type LeaseRecord,
  type LeaseStore,
  type VersionedLease,
} from '../../../src/kube/elector.ts';
import { logSink } from '../../support/log-sink.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { testMetrics } from './kube-metrics.ts';

/** One lease in memory, with the faults that an API server can have. */
class MemoryLease {
  current: VersionedLease | undefined;
  /** Every call fails. */
  down = false;
  /** Every call hangs until its signal is aborted. */
  hanging = false;
  /** The next write lands, and its answer is lost. */
  loseNextAnswer = false;
  writes = 0;
  #versions = 0;

  write(record: LeaseRecord): VersionedLease {
    this.writes += 1;
    this.current = { record, version: String(++this.#versions) };
    return this.current;
  }

  get holder(): string | undefined {
    return this.current?.record.holder;
  }

  store(): LeaseStore {
    return {
      read: async (signal) => {
        await this.#reach(signal);
        return this.current;
      },
      create: async (record, signal) => {
        await this.#reach(signal);
        return this.current === undefined ? this.#answer(record) : undefined;
      },
      update: async (record, version, signal) => {
        await this.#reach(signal);
        return this.current?.version === version ? this.#answer(record) : undefined;
      },
    };
  }

  #answer(record: LeaseRecord): VersionedLease {
    const written = this.write(record);
    if (!this.loseNextAnswer) return written;
    this.loseNextAnswer = false;
    throw new Error('socket hang up');
  }

  async #reach(signal: AbortSignal): Promise<void> {
    if (this.down) throw new Error('connect ECONNREFUSED');
    if (!this.hanging) return;
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  }
}

/** A candidate with a clock of its own, as another machine has. */
function candidate(lease: MemoryLease, identity: string, clock = new TestClock()) {
  const { log, records } = logSink();
  const { metrics, value } = testMetrics();
  const story: string[] = [];
  const elector = new Elector({
    name: 'stevedore',
    identity,
    store: lease.store(),
    clock,
    random: () => 0,
    log,
    metrics,
    onElected: () => story.push('elected'),
    onLost: () => story.push('lost'),
  });
  const stop = new AbortController();
  const ended = elector.run(stop.signal);
  return {
    clock,
    elector,
    story,
    records,
    value,
    ended,
    async stop() {
      stop.abort();
      return ended;
    },
  };
}

/** Lets time pass for several machines in small steps. */
async function advanceAll(milliseconds: number, ...clocks: readonly TestClock[]): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    for (const clock of clocks) await clock.advance(500);
  }
}

test('the first candidate makes the lease, leads, and renews every two seconds', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  assert.deepEqual(a.story, ['elected']);
  assert.equal(await a.value('leader_election_master_status', { name: 'stevedore' }), 1);
  await a.clock.advance(20_000);
  assert.equal(lease.writes, 11);
  assert.equal(lease.current?.record.durationMs, 15_000);
  assert.match(lease.current?.record.renewTime ?? '', /^2026-01-01T00:00:20\.000000Z$/);
  assert.match(lease.current?.record.acquireTime ?? '', /^2026-01-01T00:00:00\.000000Z$/);
  await a.stop();
});

test('a second candidate waits for as long as the first renews', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  const b = candidate(lease, 'b');
  await advanceAll(120_000, a.clock, b.clock);
  assert.deepEqual([a.story, b.story], [['elected'], []]);
  assert.equal(b.elector.leading, false);
  await Promise.all([a.stop(), b.stop()]);
});

test('a leader that stops gives the lease back, and the next one leads within its retry period', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  const b = candidate(lease, 'b');
  await advanceAll(5000, a.clock, b.clock);
  assert.equal(await a.stop(), 'released');
  assert.equal(lease.holder, '');
  assert.equal(await a.value('leader_election_master_status'), 0);
  await b.clock.advance(2000);
  assert.deepEqual(b.story, ['elected']);
  assert.equal(lease.current?.record.transitions, 1);
  await b.stop();
});

test('a leader that dies is followed after the lease duration, not sooner', async () => {
  const lease = new MemoryLease();
  const start = new TestClock();
  candidate(lease, 'a', start);
  await start.advance(10_000); // and never again: its process is gone
  const b = candidate(lease, 'b');
  await b.clock.advance(14_900);
  assert.deepEqual(b.story, []);
  await b.clock.advance(2000);
  assert.deepEqual(b.story, ['elected']);
  await b.stop();
});

test('the duration that counts is the one that the holder wrote', async () => {
  const lease = new MemoryLease();
  lease.write({ holder: 'a', durationMs: 60_000, acquireTime: '', renewTime: '', transitions: 4 });
  const b = candidate(lease, 'b');
  await b.clock.advance(59_000);
  assert.deepEqual(b.story, []);
  await b.clock.advance(3000);
  assert.deepEqual(b.story, ['elected']);
  assert.equal(lease.current?.record.transitions, 5);
  await b.stop();
});

for (const [what, years] of [
  ['behind', -10],
  ['ahead', 10],
] as const) {
  test(`a candidate whose wall clock is years ${what} neither takes over early nor late`, async () => {
    const lease = new MemoryLease();
    const a = candidate(lease, 'a');
    await settle();
    const clock = new TestClock();
    clock.jumpWall(years * 365 * 86_400_000);
    const b = candidate(lease, 'b', clock);
    await advanceAll(60_000, a.clock, b.clock);
    assert.deepEqual(b.story, []);
    await b.clock.advance(17_000); // a is frozen
    assert.deepEqual(b.story, ['elected']);
    await b.stop();
  });

  test(`the wall clock of the leader may jump ${what} while it leads`, async () => {
    const lease = new MemoryLease();
    const a = candidate(lease, 'a');
    await settle();
    const b = candidate(lease, 'b');
    await advanceAll(10_000, a.clock, b.clock);
    a.clock.jumpWall(years * 365 * 86_400_000);
    await advanceAll(60_000, a.clock, b.clock);
    assert.deepEqual([a.story, b.story], [['elected'], []]);
    await Promise.all([a.stop(), b.stop()]);
  });
}

for (const fault of ['down', 'hanging'] as const) {
  test(`a leader gives up 10 s after its last renewal when the API is ${fault}, before anybody takes over`, async () => {
    const lease = new MemoryLease();
    const a = candidate(lease, 'a');
    await settle();
    const b = candidate(lease, 'b');
    await advanceAll(4000, a.clock, b.clock);
    lease[fault] = true;
    await advanceAll(9000, a.clock, b.clock);
    assert.deepEqual(a.story, ['elected']);
    await advanceAll(1000, a.clock, b.clock);
    assert.deepEqual(a.story, ['elected', 'lost']);
    assert.equal(await a.ended, 'lost');
    assert.deepEqual(b.story, []);
    lease[fault] = false;
    await b.clock.advance(20_000);
    assert.deepEqual(b.story, ['elected']);
    await b.stop();
  });
}

test('a leader survives an outage that is shorter than its deadline', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  lease.down = true;
  await a.clock.advance(7500);
  lease.down = false;
  await a.clock.advance(60_000);
  assert.deepEqual(a.story, ['elected']);
  await a.stop();
});

test('a renewal whose answer was lost is found to be ours', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  lease.loseNextAnswer = true;
  await a.clock.advance(30_000);
  assert.deepEqual(a.story, ['elected']);
  assert.equal(lease.holder, 'a');
  await a.stop();
});

test('an acquisition whose answer was lost leads after all', async () => {
  const lease = new MemoryLease();
  lease.loseNextAnswer = true;
  const a = candidate(lease, 'a');
  await settle();
  assert.deepEqual(a.story, []);
  await a.clock.advance(2000);
  assert.deepEqual(a.story, ['elected']);
  await a.stop();
});

test('a leader whose lease was taken is lost at its next renewal', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  assert.ok(lease.current);
  lease.write({ ...lease.current.record, holder: 'c' });
  await a.clock.advance(2000);
  assert.deepEqual(a.story, ['elected', 'lost']);
  assert.equal(lease.holder, 'c');
});

test('a leader that finds the lease deleted makes it anew', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  lease.current = undefined;
  await a.clock.advance(4000);
  assert.deepEqual(a.story, ['elected']);
  assert.equal(lease.holder, 'a');
  await a.stop();
});

test('a stopped process that wakes after its lease has lapsed does not go on', async () => {
  const lease = new MemoryLease();
  const a = candidate(lease, 'a');
  await settle();
  const b = candidate(lease, 'b');
  await b.clock.advance(18_000);
  assert.deepEqual(b.story, ['elected']);
  // For a no time has passed: its machine was suspended, and its monotonic clock with it.
  await a.clock.advance(2000);
  assert.deepEqual(a.story, ['elected', 'lost']);
  await b.stop();
});

test('of two candidates that find the lease free at the same time one leads', async () => {
  const lease = new MemoryLease();
  lease.write({ holder: '', durationMs: 1000, acquireTime: '', renewTime: '', transitions: 0 });
  const clock = new TestClock();
  const both = [candidate(lease, 'a', clock), candidate(lease, 'b', clock)];
  await clock.advance(30_000);
  assert.equal(both.flatMap(({ story }) => story).join(), 'elected');
  await Promise.all(both.map((one) => one.stop()));
});

test('a candidate that is stopped while it waits ends without a trace', async () => {
  const lease = new MemoryLease();
  lease.write({ holder: 'other', durationMs: 15_000, acquireTime: '', renewTime: '', transitions: 0 });
  const a = candidate(lease, 'a');
  await a.clock.advance(5000);
  assert.equal(await a.stop(), 'released');
  assert.equal(lease.holder, 'other');
  assert.equal(a.clock.sleeping, 0);
});
