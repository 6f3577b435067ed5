import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planCollection, type CollectionPlan } from '../../../src/operator/collection-plan.ts';
import { parseSchedule, ScheduleError } from '../../../src/operator/schedule.ts';
import { collection, job } from './resource-builders.ts';

const at = (text: string): number => Date.parse(text);
const NIGHTLY = { schedule: '0 3 * * *' };

/** The plan of a RegistryGC made on New Year's midnight, at a time, with names and times for people. */
function planOf(
  changes: Parameters<typeof collection>[0] & object,
  now: string,
  jobs: readonly ReturnType<typeof job>[] = [],
) {
  const gc = collection(changes);
  const { schedule, timeZone } = gc.spec;
  return readable(
    planCollection(gc, schedule === undefined ? undefined : parseSchedule(schedule, timeZone), jobs, at(now)),
  );
}

function readable({ due, dueUntil, nextRunTime }: CollectionPlan) {
  const text = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z');
  return {
    ...(due !== undefined && { due: due.name }),
    ...(due?.runAt !== undefined && { runAt: due.runAt }),
    ...(dueUntil !== undefined && { until: text(dueUntil) }),
    ...(nextRunTime !== undefined && { next: text(nextRunTime) }),
  };
}

const announced = (nextRunTime: string) => ({ spec: NIGHTLY, status: { phase: 'Idle', nextRunTime } });
const seconds = (text: string) => at(text) / 1000;

test('a schedule is announced first, and then due at that time', () => {
  assert.deepEqual(planOf({ spec: NIGHTLY }, '2026-01-01T12:00:00Z'), { next: '2026-01-02T03:00:00Z' });
  const gc = announced('2026-01-02T03:00:00Z');
  assert.deepEqual(planOf(gc, '2026-01-02T02:59:59Z'), { next: '2026-01-02T03:00:00Z' });
  assert.deepEqual(planOf(gc, '2026-01-02T03:00:00Z'), {
    due: `night-${seconds('2026-01-02T03:00:00Z')}`,
    until: '2026-01-02T04:00:00Z',
    next: '2026-01-02T03:00:00Z',
  });
});

test('a run that was started is not due again, by its Job or by the status', () => {
  const gc = announced('2026-01-02T03:00:00Z');
  const name = `night-${seconds('2026-01-02T03:00:00Z')}`;
  assert.deepEqual(planOf(gc, '2026-01-02T03:10:00Z', [job(name)]), { next: '2026-01-03T03:00:00Z' });
  const status = { ...gc.status, lastRun: { name, result: 'Succeeded' } };
  assert.deepEqual(planOf({ ...gc, status }, '2026-01-02T03:10:00Z'), { next: '2026-01-03T03:00:00Z' });
});

test('runs that were missed run once, for the latest, and not when it is too late', () => {
  const gc = announced('2026-01-02T03:00:00Z');
  assert.deepEqual(planOf(gc, '2026-01-05T03:59:59Z').due, `night-${seconds('2026-01-05T03:00:00Z')}`);
  assert.deepEqual(planOf(gc, '2026-01-05T04:00:01Z'), { next: '2026-01-06T03:00:00Z' });
  const patient = { ...gc, spec: { ...NIGHTLY, startingDeadlineSeconds: 7200 } };
  assert.deepEqual(planOf(patient, '2026-01-05T04:00:01Z').due, `night-${seconds('2026-01-05T03:00:00Z')}`);
});

test('an edit of the schedule or the time zone announces anew and starts nothing', () => {
  const { status } = announced('2026-01-02T03:00:00Z');
  for (const spec of [{ schedule: '30 * * * *' }, { ...NIGHTLY, timeZone: 'Asia/Tokyo' }]) {
    const plan = planOf({ spec, status }, '2026-01-02T03:10:00Z');
    assert.deepEqual(Object.keys(plan), ['next']);
  }
  // The schedule is taken away: that is no wish for a run.
  assert.deepEqual(planOf({ status }, '2026-01-02T03:10:00Z'), {});
});

test('a schedule keeps to its time zone through the change of the clocks', () => {
  const spec = { ...NIGHTLY, timeZone: 'Europe/Rome' };
  assert.deepEqual(planOf({ spec }, '2026-03-27T12:00:00Z'), { next: '2026-03-28T02:00:00Z' });
  assert.deepEqual(planOf({ spec }, '2026-03-28T12:00:00Z'), { next: '2026-03-29T01:00:00Z' });
});

test('while suspended nothing is due but what is asked for by hand', () => {
  const gc = announced('2026-01-02T03:00:00Z');
  assert.deepEqual(planOf({ ...gc, spec: { ...NIGHTLY, suspend: true } }, '2026-01-02T03:10:00Z'), {});
  assert.deepEqual(planOf({ spec: { suspend: true } }, '2026-01-02T03:10:00Z'), {});
  const metadata = { annotations: { 'stevedore.dev/run-at': 'now' } };
  const { due, runAt } = planOf(
    { ...gc, spec: { ...NIGHTLY, suspend: true }, metadata },
    '2026-01-01T12:00:00Z',
  );
  assert.match(due ?? '', /^night-[0-9a-f]{10}$/);
  assert.equal(runAt, 'now');
});

test('without a schedule there is one run, named after the time it was made', () => {
  assert.deepEqual(planOf({}, '2026-01-01T00:00:05Z'), { due: `night-${seconds('2026-01-01T00:00:00Z')}` });
  assert.deepEqual(planOf({}, '2026-01-01T00:00:05Z', [job('night-1767225600')]), {});
  assert.deepEqual(
    planOf({ status: { lastRun: { name: 'night-1767225600', result: 'Failed' } } }, '2027-01-01T00:00:00Z'),
    {},
  );
  // Held back by something: an edit, such as of `suspend`, does not make it forgotten.
  assert.ok(planOf({ status: { phase: 'Pending' } }, '2026-01-03T00:00:00Z').due);
});

test('a value of the annotation is a run, once', () => {
  const asked = (value: string, lastHandledRunAt?: string) => ({
    metadata: { annotations: { 'stevedore.dev/run-at': value } },
    status: {
      lastRun: { name: 'night-1', result: 'Succeeded' },
      ...(lastHandledRunAt && { lastHandledRunAt }),
    },
  });
  const first = planOf(asked('one'), '2026-01-03T00:00:00Z').due;
  assert.ok(first);
  assert.equal(planOf(asked('one'), '2026-01-09T00:00:00Z').due, first, 'the same value is the same run');
  assert.notEqual(planOf(asked('two', 'one'), '2026-01-03T00:00:00Z').due, first);
  assert.deepEqual(planOf(asked('one', 'one'), '2026-01-03T00:00:00Z'), {});
  const answered = job(first, {}, { annotations: { 'stevedore.dev/run-at': 'one' } });
  assert.deepEqual(planOf(asked('one'), '2026-01-03T00:00:00Z', [answered]), {});
});

test('an annotation that is there from the beginning means the first run', () => {
  const plan = planOf(
    { metadata: { annotations: { 'stevedore.dev/run-at': 'now' } } },
    '2026-01-01T00:00:01Z',
  );
  assert.deepEqual(plan, { due: 'night-1767225600', runAt: 'now' });
});

test('a schedule that makes no sense is an error that says why', () => {
  for (const [pattern, told, zone] of [
    ['0 25 * * *', /^The hour is 25; write 0 to 23, perhaps as a list/],
    ['0 0 * 13 *', /^The month is 13; write 1 to 12 or JAN to DEC/],
    ['0 0 * * 5-1', /^The day of the week is 5-1; write 0 to 7 or SUN to SAT/],
    ['*/0 * * * *', /^The minute is \*\/0;/],
    ['* * * * * *', /^\* \* \* \* \* \* is no line of a crontab\.$/],
    ['0 3 * * *', /^There is no time zone Mars\/Olympus in the IANA database\.$/, 'Mars/Olympus'],
  ] as const) {
    assert.throws(
      () => parseSchedule(pattern, zone),
      (error) => error instanceof ScheduleError && told.test(error.message),
      pattern,
    );
  }
});

test('the last time of a schedule is never ahead', () => {
  const schedule = parseSchedule('*/5 * * * *');
  const time = at('2026-01-01T00:05:00Z');
  for (const [offset, last] of [
    [-1, time - 300_000],
    [0, time],
    [1, time],
    [999, time],
    [300_000, time + 300_000],
  ] as const) {
    assert.equal(schedule.last(time + offset), last, String(offset));
  }
  assert.equal(schedule.next(time), time + 300_000);
});
