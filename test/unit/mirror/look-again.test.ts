import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAgain } from '../../../src/mirror/look-again.ts';
import { TestClock } from '../../support/test-clock.ts';

test('once a minute those are looked at that did not answer, until they do', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  const looks: string[] = [];
  const upstream = (name: string, answers: (boolean | undefined)[]) => ({
    status: {
      get reachable() {
        return answers[0];
      },
    },
    look: async () => {
      looks.push(name);
      answers.shift();
    },
  });
  const upstreams = [
    upstream('away', [false, false, true]),
    upstream('there', [true]),
    upstream('unknown', [undefined]),
  ];
  const looking = lookAgain(upstreams, { clock, signal: stop.signal });
  await clock.advance(59_999);
  assert.deepEqual(looks, []);
  await clock.advance(1);
  assert.deepEqual(looks, ['away']);
  await clock.advance(600_000);
  assert.deepEqual(looks, ['away', 'away']);
  stop.abort(new Error('the server stops'));
  await looking;
});
