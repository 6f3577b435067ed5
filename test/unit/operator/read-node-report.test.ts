import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberReports } from '../../../src/operator/read-node-report.ts';
import { TestClock } from '../../support/test-clock.ts';

test('an agent is asked once a second, however many resources want to know', async () => {
  const clock = new TestClock();
  const asked: string[] = [];
  const read = rememberReports((address) => {
    asked.push(address);
    return Promise.resolve({ node: `${address} ${asked.length}`, entries: [] });
  }, clock);
  const first = await Promise.all([read('a'), read('b'), read('a')]);
  assert.deepEqual(
    first.map((report) => report?.node),
    ['a 1', 'b 2', 'a 1'],
  );
  await clock.advance(900);
  await read('c');
  assert.equal((await read('a'))?.node, 'a 1');
  await clock.advance(100);
  assert.equal((await read('a'))?.node, 'a 4');
  assert.equal((await read('c'))?.node, 'c 3');
  assert.deepEqual(asked, ['a', 'b', 'c', 'a']);
});
