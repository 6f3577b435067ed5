import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from '../../../src/oci-client/challenge.ts';
import { TransientError, withRetries } from '../../../src/oci-client/retry.ts';
import { TestClock } from '../../support/test-clock.ts';

test('challenges of registries are read, however many a header has', () => {
  const bearer = {
    scheme: 'bearer',
    parameters: { realm: 'https://auth/token', service: 'registry', scope: 'repository:a:pull,push' },
  };
  const bearerText = 'Bearer realm="https://auth/token",service="registry",scope="repository:a:pull,push"';
  const basic = { scheme: 'basic', parameters: { realm: 'x' } };
  const cases: readonly (readonly [string, readonly object[]])[] = [
    ['Basic realm="a \\"quoted\\" realm"', [{ scheme: 'basic', parameters: { realm: 'a "quoted" realm' } }]],
    [bearerText, [bearer]],
    ['BASIC', [{ scheme: 'basic', parameters: {} }]],
    [
      'Bearer realm=plain, service = "x"',
      [{ scheme: 'bearer', parameters: { realm: 'plain', service: 'x' } }],
    ],
    ['bearer REALM="x" service="y"', [{ scheme: 'bearer', parameters: { realm: 'x', service: 'y' } }]],
    [`Basic realm="x", ${bearerText}`, [basic, bearer]],
    [`${bearerText}, Basic realm="x"`, [bearer, basic]],
    [`Negotiate, Basic realm="x"`, [{ scheme: 'negotiate', parameters: {} }, basic]],
    ['Negotiate YWJj==, Basic realm="x"', [{ scheme: 'negotiate', parameters: {} }, basic]],
    [', ,Basic realm="x",', [basic]],
    ['Basic realm="x", Digest realm="open', [basic, { scheme: 'digest', parameters: {} }]],
    ['"', []],
    ['', []],
  ];
  for (const [header, challenges] of cases) assert.deepEqual(parseChallenges(header), challenges, header);
});

test('what may go well is tried again, with pauses that grow and those that were asked for', async () => {
  const clock = new TestClock();
  const at: number[] = [];
  const outcome = withRetries({ retries: 3, clock, random: () => 1 }, async (number) => {
    at.push(clock.monotonic());
    if (number < 3) throw new TransientError('busy', { retryAfter: number === 2 ? 60_000 : 0 });
    return 'done';
  });
  await clock.advance(100_000);
  assert.equal(await outcome, 'done');
  assert.deepEqual(at, [0, 500, 1500, 61_500]);
});

test('nothing is tried again when the time for it is over', async () => {
  const clock = new TestClock();
  let tries = 0;
  const outcome = withRetries({ retries: 9, clock, random: () => 1, patience: 1000 }, async () => {
    tries++;
    throw new TransientError('busy');
  });
  outcome.catch(() => undefined);
  await clock.advance(100_000);
  await assert.rejects(outcome, /busy/);
  assert.equal(tries, 3);
});

test('what failed too often, or for good, is thrown', async () => {
  const clock = new TestClock();
  const options = { retries: 1, clock, random: () => 0 };
  let tries = 0;
  const often = withRetries(options, async () => {
    tries++;
    throw new TransientError('busy');
  });
  often.catch(() => undefined);
  await clock.advance(1000);
  await assert.rejects(often, /busy/);
  assert.equal(tries, 2);
  await assert.rejects(
    withRetries(options, () => Promise.reject(new Error('refused'))),
    /refused/,
  );
});
