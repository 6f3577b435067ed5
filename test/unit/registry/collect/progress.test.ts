import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../../../src/registry/collect/progress.ts';
import { TestClock } from '../../../support/test-clock.ts';

test('what is left is estimated by the pace of the phase', async () => {
  const clock = new TestClock();
  const progress = new Progress(clock);
  progress.set(10, undefined);
  assert.deepEqual(progress.report(), { phase: 'look', done: 10 });
  progress.set(100, 1000);
  assert.deepEqual(progress.report(), { phase: 'look', done: 100, total: 1000 }, 'too early to tell');
  await clock.advance(2000);
  assert.deepEqual(progress.report(), { phase: 'look', done: 100, total: 1000, secondsLeft: 18 });
  progress.begin('sweep', 2);
  await clock.advance(1500);
  progress.advance();
  progress.advance();
  progress.advance();
  assert.deepEqual(progress.report(), { phase: 'sweep', done: 3, total: 3, secondsLeft: 0 });
});

test('each phase that was gone through has its time', async () => {
  const clock = new TestClock();
  const progress = new Progress(clock);
  await clock.advance(1000);
  progress.begin('mark');
  await clock.advance(250);
  assert.deepEqual(progress.seconds(), { look: 1, mark: 0.3 });
});
