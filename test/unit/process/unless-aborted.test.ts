import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { unlessAborted } from '../../../src/process/unless-aborted.ts';

test('the result is that of the work, and nothing listens any more', async () => {
  const { signal } = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(1), signal), 1);
  await assert.rejects(unlessAborted(Promise.reject(new Error('work')), signal), { message: 'work' });
  assert.equal(await unlessAborted(Promise.resolve(2), undefined), 2);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('who is aborted, before or meanwhile, gets the reason and leaves the work alone', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const stop = new AbortController();
  const waiting = unlessAborted(promise, stop.signal);
  stop.abort(new Error('left'));
  await assert.rejects(waiting, { message: 'left' });
  await assert.rejects(unlessAborted(promise, stop.signal), { message: 'left' });
  resolve(1);
  assert.equal(await promise, 1);
});
