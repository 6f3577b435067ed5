import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WorkerLocks } from '../../../../src/registry/workers/worker-locks.ts';

const [first, second, third] = [{}, {}, {}];

describe('a lock of workers', () => {
  test('is held by one at a time, in the order in which they ask', async () => {
    const locks = new WorkerLocks();
    const order: string[] = [];
    await locks.lock(first, 'tag');
    const others = [second, third].map(async (worker, index) => {
      await locks.lock(worker, 'tag');
      order.push(`locked ${index}`);
      locks.unlock(worker, 'tag');
    });
    await locks.lock(second, 'other tag');
    order.push('unlocked');
    locks.unlock(first, 'tag');
    await Promise.all(others);
    assert.deepEqual(order, ['unlocked', 'locked 0', 'locked 1']);
  });

  test('is free when the worker that held it is no more, and never goes to one that is no more', async () => {
    const locks = new WorkerLocks();
    await locks.lock(first, 'tag');
    void locks.lock(second, 'tag');
    const waiting = locks.lock(third, 'tag');
    locks.forget(second);
    locks.forget(first);
    await waiting;
  });
});
