import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachAtOnce } from '../../../src/process/at-once.ts';

async function* numbers(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) yield number;
}

for (const [title, items] of [
  ['a list', [0, 1, 2, 3, 4, 5, 6]],
  ['a stream', numbers(7)],
] as const) {
  test(`each item of ${title} is taken once, and no more at a time than was said`, async () => {
    const taken: number[] = [];
    let running = 0;
    let most = 0;
    await forEachAtOnce<number>(items, 3, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      taken.push(item);
      running--;
    });
    assert.deepEqual(
      taken.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.equal(most, 3);
  });
}

test('after an error nothing is begun any more, and what was begun has ended when it is thrown', async () => {
  let begun = 0;
  let ended = 0;
  const work = forEachAtOnce(numbers(100), 2, async (item) => {
    begun++;
    await new Promise((resolve) => setImmediate(resolve));
    ended++;
    if (item === 3) throw new Error('three');
  });
  await assert.rejects(work, { message: 'three' });
  assert.equal(begun, ended);
  assert.ok(begun < 10);
});

test('others get a turn every few items, however many are worked on at a time', async () => {
  let taken = 0;
  let most = 0;
  let before = 0;
  let isOver = false;
  const look = (): void => {
    most = Math.max(most, taken - before);
    before = taken;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await forEachAtOnce(numbers(5000), 16, async () => void taken++);
  isOver = true;
  assert.equal(taken, 5000);
  assert.ok(most <= 100, `${most} items were done without a turn`);
});
