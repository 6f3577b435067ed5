import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../../../../src/registry/scrub/pace.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

const { signal } = new AbortController();

test('readers get so many bytes a second, all together', async () => {
  const clock = new TestClock();
  const pace = new Pace(clock, 1000);
  let read = 0;
  const reader = async (): Promise<void> => {
    for (;;) {
      await pace.take(500, signal);
      read += 500;
    }
  };
  void reader();
  void reader();
  await clock.advance(10_000);
  assert.ok(read >= 10_000 && read <= 11_000, `${read} bytes in 10 s`);
});

test('time in which nothing was read is not made up for', async () => {
  const clock = new TestClock();
  const pace = new Pace(clock, 1000);
  await clock.advance(60_000);
  await pace.take(1000, signal);
  let taken = false;
  void pace.take(1000, signal).then(() => (taken = true));
  await settle();
  assert.equal(taken, false);
  await clock.advance(1000);
  assert.equal(taken, true);
});

test('without a limit nobody waits', async () => {
  const pace = new Pace(new TestClock(), Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < 10; turn++) await pace.take(1e9, signal);
});
