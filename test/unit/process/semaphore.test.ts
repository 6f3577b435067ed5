import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore } from '../../../src/process/semaphore.ts';
import { settle } from '../../support/test-clock.ts';

test('no more actions run at once than are let in, and they begin in order', async () => {
  const semaphore = new Semaphore(2);
  const began: number[] = [];
  const finish: (() => void)[] = [];
  const all = [0, 1, 2, 3].map((index) =>
    semaphore.run(() => {
      began.push(index);
      return new Promise<void>((resolve) => finish.push(resolve));
    }),
  );
  await settle();
  assert.deepEqual(began, [0, 1]);
  finish[1]?.();
  await settle();
  assert.deepEqual(began, [0, 1, 2]);
  finish[0]?.();
  finish[2]?.();
  await settle();
  finish[3]?.();
  await Promise.all(all);
  assert.deepEqual(began, [0, 1, 2, 3]);
});

test('an action that fails gives its place back', async () => {
  const semaphore = new Semaphore(1);
  await assert.rejects(
    semaphore.run(() => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await semaphore.run(() => Promise.resolve('yes')), 'yes');
});
