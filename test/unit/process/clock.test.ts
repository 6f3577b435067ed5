import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/process/clock.ts';

test('a sleep that is aborted rejects with the reason of the signal', async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const slept = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(slept, reason);
});

test('a sleep whose signal is aborted already does not begin', async () => {
  const reason = new Error('enough');
  await assert.rejects(systemClock.sleep(0, AbortSignal.abort(reason)), reason);
});
