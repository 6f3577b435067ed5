import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HealthMonitor, type HealthCheck } from '../../../../src/registry/health/health-monitor.ts';
import { logSink } from '../../../support/log-sink.ts';
import { TestClock } from '../../../support/test-clock.ts';

function check(outcome: () => Promise<void>, changes: Partial<HealthCheck> = {}): HealthCheck {
  return {
    name: 'one',
    concern: 'dependency',
    interval: 10_000,
    threshold: 1,
    timeout: 1000,
    check: outcome,
    ...changes,
  };
}

const broken = async (): Promise<void> => {
  throw new Error('broken');
};

function monitor(...checks: readonly HealthCheck[]) {
  const clock = new TestClock();
  const { log, records } = logSink();
  return { clock, records, health: new HealthMonitor({ checks, clock, log }) };
}

test('a check runs for the first time after its interval', async () => {
  const { clock, health } = monitor(check(broken));
  await clock.advance(9999);
  assert.deepEqual([health.isWell, health.report().failures], [true, {}]);
  await clock.advance(1);
  assert.deepEqual([health.isWell, health.report().failures], [false, { one: 'broken' }]);
  assert.deepEqual([...health.concerns()], ['dependency']);
  await health.stop();
});

test('a check counts as failing from its threshold on, in a row', async () => {
  const outcomes = [broken, broken, async () => {}, broken, broken, broken];
  const { clock, health } = monitor(check(async () => outcomes.shift()?.(), { threshold: 3 }));
  const seen: boolean[] = [];
  for (let round = 0; round < 6; round++) {
    await clock.advance(10_000);
    seen.push(health.isWell);
  }
  assert.deepEqual(seen, [true, true, true, true, true, false]);
  await health.stop();
});

test('what is well again is so at once, and both are logged once', async () => {
  const outcomes = [broken, broken, async () => {}];
  const { clock, health, records } = monitor(check(async () => outcomes.shift()?.()));
  await clock.advance(30_000);
  assert.equal(health.isWell, true);
  assert.deepEqual(
    records.map(({ level, message, check: name }) => [level, message, name]),
    [
      ['error', 'a health check fails', 'one'],
      ['info', 'a health check is fine again', 'one'],
    ],
  );
  await health.stop();
});

test('a check that does not end has failed after its timeout, and is not begun twice', async () => {
  let begun = 0;
  let end = (): void => {};
  const { clock, health } = monitor(
    check(() => {
      begun++;
      return new Promise((resolve) => (end = resolve));
    }),
  );
  await clock.advance(10_999);
  assert.equal(health.isWell, true);
  await clock.advance(1);
  assert.deepEqual(health.report().failures, { one: 'no answer within 1000 ms' });
  await clock.advance(20_000);
  assert.equal(begun, 1);
  end();
  await clock.advance(10_000);
  assert.equal(begun, 2);
  await health.stop();
});

test('an instance is put out of service and back by hand', async () => {
  const { health } = monitor();
  health.setInService(false);
  assert.deepEqual(health.report().failures, { manual_http_status: 'manual Check' });
  assert.deepEqual([...health.concerns()], ['instance']);
  health.setInService(true);
  assert.equal(health.isWell, true);
  await health.stop();
});

test('a stop ends a check in progress', async () => {
  const { clock, health } = monitor(check(() => new Promise(() => {})));
  await clock.advance(10_000);
  await health.stop();
  assert.equal(health.isWell, true);
});
