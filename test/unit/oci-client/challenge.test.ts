import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenge } from '../../../src/oci-client/challenge.ts';
import { TransientError, withRetries } from '../../../src/oci-client/retry.ts';
import { TestClock } from '../../support/test-clock.ts';

test('challenges of registries are read', () => {
  const cases: readonly (readonly [string | undefined, object | undefined])[] = [
    ['Basic realm="a \\"quoted\\" realm"', { scheme: 'basic', parameters: { realm: 'a "quoted" realm' } }],
    [
      'Bearer realm="https://auth/token",service="registry",scope="repository:a:pull,push"',
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth/token', service: 'registry', scope: 'repository:a:pull,push' },
      },
    ],
    ['BASIC', { scheme: 'basic', parameters: {} }],
    ['Bearer realm=plain, service = "x"', { scheme: 'bearer', parameters: { realm: 'plain', service: 'x' } }],
    [undefined, undefined],
    ['', undefined],
  ];
  for (const [header, challenge] of cases)
    assert.deepEqual(parseChallenge(header), challenge, header ?? 'none');
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
