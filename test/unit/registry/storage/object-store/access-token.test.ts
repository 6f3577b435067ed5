import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  TokenKeeper,
  type AccessToken,
} from '../../../../../src/registry/storage/object-store/access-token.ts';
import { TestClock } from '../../../../support/test-clock.ts';

const MINUTE = 60_000;

/** Gives tokens 1, 2, … for an hour each. */
function tokens(): { fetch: () => Promise<AccessToken>; fail: boolean; readonly asked: () => number } {
  let asked = 0;
  const source = {
    fail: false,
    asked: () => asked,
    async fetch(): Promise<AccessToken> {
      asked++;
      if (source.fail) throw new Error('no token');
      return { value: `token ${asked}`, lifetime: 3600 };
    },
  };
  return source;
}

test('a token serves until five minutes before its end', async () => {
  const clock = new TestClock();
  const source = tokens();
  const keeper = new TokenKeeper(source.fetch, clock);
  assert.deepEqual(await Promise.all([keeper.get(), keeper.get()]), ['token 1', 'token 1']);
  await clock.advance(54 * MINUTE);
  assert.equal(await keeper.get(), 'token 1');
  await clock.advance(2 * MINUTE);
  assert.equal(await keeper.get(), 'token 2');
  assert.equal(source.asked(), 2);
});

test('when no new one is to be had, the old one serves to its end', async () => {
  const clock = new TestClock();
  const source = tokens();
  const keeper = new TokenKeeper(source.fetch, clock);
  await keeper.get();
  source.fail = true;
  await clock.advance(59 * MINUTE);
  assert.equal(await keeper.get(), 'token 1');
  await clock.advance(2 * MINUTE);
  await assert.rejects(keeper.get(), { message: 'no token' });
});

test('a wall clock that is set forward or back makes a token no longer good than it is', async () => {
  for (const jump of [2 * 60 * MINUTE, -2 * 60 * MINUTE]) {
    const clock = new TestClock();
    const keeper = new TokenKeeper(tokens().fetch, clock);
    await keeper.get();
    clock.jumpWall(jump);
    await clock.advance(56 * MINUTE);
    assert.equal(await keeper.get(), 'token 2');
  }
});

test('a token that the store no longer takes can be forgotten', async () => {
  const keeper = new TokenKeeper(tokens().fetch, new TestClock());
  await keeper.get();
  keeper.forget();
  assert.equal(await keeper.get(), 'token 2');
});
