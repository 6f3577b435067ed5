import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from '@node-rs/bcrypt';
import { basicProvider } from '../../../../src/registry/auth/basic-provider.ts';
import { GuessDelay } from '../../../../src/registry/auth/guess-delay.ts';
import { openPasswordFile } from '../../../../src/registry/auth/htpasswd.ts';
import type { Caller } from '../../../../src/registry/auth/provider.ts';
import { logSink } from '../../../support/log-sink.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

const never = new AbortController().signal;

/** Milliseconds that the answer to a failure is held back. */
async function delayOf(clock: TestClock, failure: Promise<void>): Promise<number> {
  const began = clock.monotonic();
  const end = failure.then(() => clock.monotonic() - began);
  const step = async (): Promise<undefined> => {
    await settle();
    if (clock.sleeping > 0) await clock.advance(100);
    return undefined;
  };
  for (;;) {
    const waited = await Promise.race([end, step()]);
    if (waited !== undefined) return waited;
  }
}

test('the first failures cost nothing, then each doubles the wait, to five seconds', async () => {
  const clock = new TestClock();
  const delay = new GuessDelay(clock);
  const waits: number[] = [];
  for (let guess = 0; guess < 14; guess++)
    waits.push(await delayOf(clock, delay.failed('1.2.3.4', 'ann', never)));
  assert.deepEqual(waits, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
});

test('one source that tries many users is slowed down, and so are many sources that try one user', async () => {
  const clock = new TestClock();
  const delay = new GuessDelay(clock);
  for (let guess = 0; guess < 6; guess++)
    await delayOf(clock, delay.failed('1.2.3.4', `user ${guess}`, never));
  assert.equal(await delayOf(clock, delay.failed('1.2.3.4', 'another', never)), 200);
  for (let guess = 0; guess < 6; guess++) await delayOf(clock, delay.failed(`10.0.0.${guess}`, 'ann', never));
  assert.equal(await delayOf(clock, delay.failed('10.0.0.99', 'ann', never)), 200);
  assert.equal(await delayOf(clock, delay.failed('10.0.0.100', 'bob', never)), 0);
});

test('only the beginning of a name is kept, as long as an attacker makes it', async () => {
  const clock = new TestClock();
  const delay = new GuessDelay(clock);
  const name = 'a'.repeat(40_000);
  for (let guess = 0; guess < 6; guess++)
    await delayOf(clock, delay.failed(`10.0.0.${guess}`, `${name}${guess}`, never));
  assert.equal(await delayOf(clock, delay.failed('10.0.0.99', name, never)), 200);
});

test('failures are forgotten after a minute without one, and a client that goes away waits no longer', async () => {
  const clock = new TestClock();
  const delay = new GuessDelay(clock);
  for (let guess = 0; guess < 8; guess++) await delayOf(clock, delay.failed('1.2.3.4', 'ann', never));
  const gone = new AbortController();
  const failure = delay.failed('1.2.3.4', 'ann', gone.signal);
  gone.abort();
  await failure;
  await clock.advance(61_000);
  assert.equal(await delayOf(clock, delay.failed('1.2.3.4', 'ann', never)), 0);
});

test('under an attack a right password is let in at once, and a full queue refuses without locking out', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'damping-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'htpasswd');
  writeFileSync(path, ['ann', 'bob'].map((user) => `${user}:${hashSync(user, 4)}`).join('\n'));
  const clock = new TestClock();
  const passwords = openPasswordFile({ path, secret: Buffer.alloc(32), clock, log: logSink().log });
  const provider = basicProvider({
    realm: 'r',
    passwords,
    delay: new GuessDelay(clock),
    tokenUrl: () => undefined,
  });
  const as = (user: string, password: string): Caller => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    certificateUser: undefined,
    remote: '1.2.3.4',
    signal: never,
    host: 'r',
    forwardedProto: undefined,
    apiUrl: (name) => name,
  });
  assert.deepEqual(await provider.identify(as('ann', 'ann')), { user: 'ann' });
  const guesses = Array.from({ length: 300 }, (_, guess) => provider.identify(as('ann', `guess ${guess}`)));
  const outcomes = Promise.allSettled(guesses);
  assert.deepEqual(await provider.identify(as('ann', 'ann')), { user: 'ann' }, 'checked a moment ago');
  await assert.rejects(provider.identify(as('bob', 'bob')), {
    code: 'UNAVAILABLE',
    headers: { 'Retry-After': '1' },
  });
  const over = outcomes.then(() => true);
  while (!(await Promise.race([over, clock.advance(5000).then(() => false)])));
  const results = await outcomes;
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 300 - 102);
  assert.ok(results.every((result) => result.status === 'rejected' || result.value === 'wrong'));
  assert.deepEqual(
    await provider.identify(as('bob', 'bob')),
    { user: 'bob' },
    'after the attack, without a wait',
  );
});
