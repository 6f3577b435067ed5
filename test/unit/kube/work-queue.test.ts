import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkQueue } from '../../../src/kube/work-queue.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { testMetrics } from './kube-metrics.ts';

/** A queue whose work on a key goes on until the test finishes it. */
function heldQueue(workers = 1, random = () => 1) {
  const clock = new TestClock();
  const { metrics, value } = testMetrics();
  const begun: string[] = [];
  const open = new Map<string, PromiseWithResolvers<void>>();
  const queue = new WorkQueue({
    name: 'boat',
    workers,
    handle: (key) => {
      begun.push(key);
      const work = Promise.withResolvers<void>();
      open.set(key, work);
      return work.promise;
    },
    clock,
    random,
    metrics,
  });
  async function finish(key: string, error?: Error): Promise<void> {
    const work = open.get(key);
    assert.ok(work, `${key} is being worked on`);
    open.delete(key);
    if (error) work.reject(error);
    else work.resolve();
    await settle();
  }
  return { clock, queue, begun, finish, value };
}

test('a key that is added several times before its turn is worked on once', async () => {
  const { queue, begun, finish } = heldQueue();
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.deepEqual(begun, [], 'nothing begins before start');
  queue.start();
  await finish('a');
  await finish('b');
  assert.deepEqual(begun, ['a', 'b']);
  assert.equal(queue.depth, 0);
});

test('a key that is added while it is worked on is worked on once more, and never twice at a time', async () => {
  const { queue, begun, finish } = heldQueue(4);
  queue.start();
  queue.add('a');
  queue.add('a');
  queue.add('a');
  assert.deepEqual(begun, ['a']);
  await finish('a');
  assert.deepEqual(begun, ['a', 'a']);
  await finish('a');
  assert.deepEqual(begun, ['a', 'a']);
});

test('as many keys as there are workers are worked on at a time, in the order of their addition', async () => {
  const { queue, begun, finish } = heldQueue(2);
  queue.start();
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  assert.deepEqual(begun, ['a', 'b']);
  await finish('b');
  assert.deepEqual(begun, ['a', 'b', 'c']);
  await finish('a');
  assert.deepEqual(begun, ['a', 'b', 'c', 'd']);
});

test('a later addition comes at its time, and the earliest of several counts', async () => {
  const { clock, queue, begun } = heldQueue();
  queue.start();
  queue.addAfter('a', 1000);
  queue.addAfter('a', 300);
  queue.addAfter('a', 5000);
  await clock.advance(299);
  assert.deepEqual(begun, []);
  await clock.advance(1);
  assert.deepEqual(begun, ['a']);
  assert.equal(clock.sleeping, 0, 'the others are cancelled');
});

test('work on a key cancels its later addition', async () => {
  const { clock, queue, begun, finish } = heldQueue();
  queue.start();
  queue.addAfter('a', 1000);
  queue.add('a');
  await finish('a');
  await clock.advance(2000);
  assert.deepEqual(begun, ['a']);
});

test('retries wait 5 ms times two to the number of failures, at most five minutes', () => {
  const { queue } = heldQueue();
  const waits = Array.from({ length: 20 }, () => queue.retry('a'));
  assert.deepEqual(waits.slice(0, 6), [5, 10, 20, 40, 80, 160]);
  assert.equal(waits[15], 163_840);
  assert.deepEqual(waits.slice(16), [300_000, 300_000, 300_000, 300_000]);
});

test('the jitter of a retry leaves out up to half of the wait', () => {
  const { queue } = heldQueue(1, () => 0);
  assert.deepEqual([queue.retry('a'), queue.retry('a')], [2.5, 5]);
});

test('a retry waits as long as the server asked for when that is longer', () => {
  const { queue } = heldQueue();
  assert.equal(queue.retry('a', 7000), 7000);
});

test('a key that was forgotten starts anew, and keys do not share their failures', () => {
  const { queue } = heldQueue();
  queue.retry('a');
  queue.retry('a');
  assert.equal(queue.retry('b'), 5);
  queue.forget('a');
  assert.equal(queue.retry('a'), 5);
});

test('work that throws is retried with backoff', async () => {
  const { clock, queue, begun, finish } = heldQueue();
  queue.start();
  queue.add('a');
  await finish('a', new Error('broken'));
  await clock.advance(5);
  assert.deepEqual(begun, ['a', 'a']);
});

test('stop waits for the work in progress and begins no more', async () => {
  const { clock, queue, begun, finish } = heldQueue();
  queue.start();
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  let stopped = false;
  const stopping = queue.stop().then(() => (stopped = true));
  queue.add('d');
  await clock.advance(10);
  assert.equal(stopped, false);
  await finish('a');
  await stopping;
  assert.deepEqual(begun, ['a']);
});

test('the metrics tell depth, additions, retries and the age of the work in progress', async () => {
  const { clock, queue, value, finish } = heldQueue(2);
  queue.start();
  for (const key of ['a', 'b', 'c', 'c']) queue.add(key);
  queue.retry('d');
  await clock.advance(4);
  assert.equal(await value('workqueue_depth'), 1);
  assert.equal(await value('workqueue_adds_total', { name: 'boat', controller: 'boat' }), 3);
  assert.equal(await value('workqueue_retries_total'), 1);
  assert.equal(await value('workqueue_unfinished_work_seconds'), 0.008);
  assert.equal(await value('workqueue_longest_running_processor_seconds'), 0.004);
  await finish('a');
  assert.equal(await value('workqueue_depth'), 0);
});
