import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { createEventRecorder } from '../../../src/kube/event-recorder.ts';
import { logSink } from '../../support/log-sink.ts';
import { TestClock } from '../../support/test-clock.ts';
import { boat } from './objects.ts';

const ready = { type: 'Normal', reason: 'Ready', action: 'Reconcile', note: 'serving' } as const;

function recorderOf() {
  const clock = new TestClock();
  const { log, records } = logSink();
  const writes: (readonly [string, Record<string, unknown>])[] = [];
  const faults: Error[] = [];
  const write = async (verb: string, body: unknown): Promise<never> => {
    // What is written is JSON of this shape.
    writes.push([verb, body as Record<string, unknown>]);
    const fault = faults.shift();
    if (fault) throw fault;
    // The recorder does not look at the answer.
    return undefined as never;
  };
  const client: Pick<KubeClient, 'create' | 'patch'> = {
    create: (_, object) => write('create', object),
    patch: (_, __, patch) => write('patch', patch),
  };
  let names = 0;
  const recorder = createEventRecorder({
    client,
    controller: 'stevedore.dev/operator',
    instance: 'pod-1',
    clock,
    random: () => ++names / 2 ** 48,
    log,
  });
  return { clock, records, writes, faults, recorder };
}

test('an event tells what happened to which object', async () => {
  const { recorder, writes } = recorderOf();
  recorder.record(boat('a', { uid: 'u', version: '7' }), ready);
  await recorder.flush();
  assert.deepEqual(writes, [
    [
      'create',
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { namespace: 'port', name: 'a.000000000001' },
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'stevedore.dev/operator',
        reportingInstance: 'pod-1',
        ...ready,
        regarding: {
          apiVersion: 'harbor.test/v1',
          kind: 'Boat',
          name: 'a',
          namespace: 'port',
          uid: 'u',
          resourceVersion: '7',
        },
      },
    ],
  ]);
});

test('the same event again counts up the first one for six minutes, then begins anew', async () => {
  const { recorder, writes, clock } = recorderOf();
  const object = boat('a');
  recorder.record(object, ready);
  await clock.advance(60_000);
  recorder.record(object, ready);
  recorder.record(object, ready);
  await recorder.flush();
  assert.deepEqual(writes.slice(1), [
    ['patch', { series: { count: 2, lastObservedTime: '2026-01-01T00:01:00.000000Z' } }],
    ['patch', { series: { count: 3, lastObservedTime: '2026-01-01T00:01:00.000000Z' } }],
  ]);
  await clock.advance(360_000);
  recorder.record(object, ready);
  await recorder.flush();
  assert.equal(writes.at(-1)?.[0], 'create');
});

test('another note, reason or object is another event', async () => {
  const { recorder, writes } = recorderOf();
  const object = boat('a');
  recorder.record(object, ready);
  recorder.record(object, { ...ready, note: 'serving again' });
  recorder.record(object, { ...ready, reason: 'NotReady' });
  recorder.record(boat('b'), ready);
  await recorder.flush();
  assert.deepEqual(
    writes.map(([verb]) => verb),
    ['create', 'create', 'create', 'create'],
  );
});

test('a series whose first event is gone begins anew', async () => {
  const { recorder, writes, faults } = recorderOf();
  const object = boat('a');
  recorder.record(object, ready);
  await recorder.flush();
  faults.push(new ApiError({ status: 404, reason: 'NotFound', message: 'gone', retryAfterMs: undefined }));
  recorder.record(object, ready);
  await recorder.flush();
  assert.deepEqual(
    writes.map(([verb]) => verb),
    ['create', 'patch', 'create'],
  );
});

test('an event that can not be written is logged and lost, and the next one is tried', async () => {
  const { recorder, writes, faults, records } = recorderOf();
  faults.push(new Error('connect ECONNREFUSED'));
  const object = boat('a');
  recorder.record(object, ready);
  await recorder.flush();
  assert.equal(records[0]?.message, 'event not recorded');
  recorder.record(object, ready);
  await recorder.flush();
  assert.deepEqual(
    writes.map(([verb]) => verb),
    ['create', 'create'],
  );
});

test('an object that has something new to say all the time is cut off after 25, and gets one more each five minutes', async () => {
  const { recorder, writes, clock } = recorderOf();
  const object = boat('a');
  const say = (): void =>
    recorder.record(object, { ...ready, note: `change ${writes.length} at ${clock.now()}` });
  for (let i = 0; i < 40; i++) {
    say();
    await recorder.flush();
  }
  assert.equal(writes.length, 25);
  await clock.advance(300_000);
  say();
  say();
  await recorder.flush();
  assert.equal(writes.length, 26);
});

test('a long note is cut to what the API takes', async () => {
  const { recorder, writes } = recorderOf();
  recorder.record(boat('a'), { ...ready, note: 'x'.repeat(5000) });
  await recorder.flush();
  assert.equal(String(writes[0]?.[1]['note']).length, 1024);
});
