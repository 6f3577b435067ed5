import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { Delivery, type DeliveryOptions } from '../../../../src/registry/notifications/delivery.ts';
import { MemoryQueue } from '../../../../src/registry/notifications/event-queue.ts';
import { createNotificationMetrics } from '../../../../src/registry/notifications/notification-metrics.ts';
import { postEvent, type Outcome, type Send } from '../../../../src/registry/notifications/post-event.ts';
import { signatureHeaders } from '../../../../src/registry/notifications/signature.ts';
import { logSink } from '../../../support/log-sink.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

const accepted: Outcome = { kind: 'accepted', status: 200 };
const refused: Outcome = { kind: 'refused', status: 400 };
const unreachable: Outcome = { kind: 'unavailable', reason: 'ECONNREFUSED', retryAfter: 0 };

/** A delivery to an endpoint that answers as `answer` says. */
function deliver(answer: (id: string) => Outcome, options: Partial<DeliveryOptions> = {}) {
  const clock = new TestClock();
  const queue = new MemoryQueue(1000);
  const { log, records } = logSink();
  const registry = new Registry();
  const tries: { readonly id: string; readonly at: number }[] = [];
  const metrics = createNotificationMetrics(registry, () => [
    { endpoint: 'e', pending: queue.size, deadLetters: queue.deadLetters },
  ]);
  const delivery = new Delivery({
    name: 'e',
    queue,
    threshold: 3,
    backoff: 1000,
    attempts: 5,
    post: async ({ id }) => {
      tries.push({ id, at: clock.monotonic() });
      return answer(id);
    },
    clock,
    random: () => 1,
    log,
    metrics: metrics('e'),
    ...options,
  });
  const push = (...ids: readonly string[]): void => {
    for (const id of ids) queue.push(JSON.stringify({ id }));
    delivery.wake();
  };
  return { delivery, clock, queue, records, registry, tries, push };
}

test('events are delivered in order, also when one has to be tried again', async () => {
  let fails = 2;
  const { tries, push, queue, delivery } = deliver((id) =>
    id === 'b' && fails-- > 0 ? unreachable : accepted,
  );
  push('a', 'b', 'c');
  await settle();
  assert.deepEqual(
    tries.map(({ id }) => id),
    ['a', 'b', 'b', 'b', 'c'],
  );
  assert.equal(queue.size, 0);
  push('d');
  await settle();
  assert.equal(tries.at(-1)?.id, 'd');
  await delivery.stop();
});

test('after the threshold each pause is twice as long as the one before, up to a minute', async () => {
  const { tries, push, clock, delivery, records } = deliver(() => unreachable);
  push('a');
  await clock.advance(200_000);
  assert.deepEqual(
    tries.map(({ at }) => at),
    [0, 0, 0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000],
  );
  assert.ok(records.every(({ message }) => message === 'an event could not be delivered and is tried again'));
  assert.equal(records.length, 10, 'the first failure, and each that a pause follows');
  await delivery.stop();
});

test('an endpoint that is away for long loses nothing', async () => {
  let away = true;
  const { tries, push, clock, queue, delivery } = deliver(() => (away ? unreachable : accepted));
  push('a', 'b');
  await clock.advance(24 * 3600_000);
  assert.equal(queue.size, 2);
  assert.equal(queue.deadLetters, 0);
  away = false;
  await clock.advance(60_000);
  assert.deepEqual(
    tries.slice(-2).map(({ id }) => id),
    ['a', 'b'],
  );
  await delivery.stop();
});

test('an event that is refused too often becomes a dead letter, and the next one has its turn', async () => {
  const { tries, push, clock, queue, records, registry, delivery } = deliver((id) =>
    id === 'bad' ? refused : accepted,
  );
  push('bad', 'good');
  await clock.advance(60_000);
  assert.equal(tries.filter(({ id }) => id === 'bad').length, 5);
  assert.equal(tries.at(-1)?.id, 'good');
  assert.equal(queue.deadLetters, 1);
  const [dead] = records.filter(({ level }) => level === 'error');
  assert.partialDeepStrictEqual(dead, { endpoint: 'e', event: 'bad', status: 400, attempts: 5 });
  const metrics = await registry.metrics();
  for (const line of [
    'registry_notifications_events_total{type="Failures",endpoint="e"} 5',
    'registry_notifications_events_total{type="Successes",endpoint="e"} 1',
    'registry_notifications_status_total{code="400 Bad Request",endpoint="e"} 5',
    'registry_notifications_pending_total{endpoint="e"} 0',
    'stevedore_notifications_given_up_total{reason="refused",endpoint="e"} 1',
    'stevedore_notifications_dead_letters{endpoint="e"} 1',
  ]) {
    assert.ok(metrics.includes(line), `${line} in ${metrics}`);
  }
  await delivery.stop();
});

test('an endpoint that names a time is left alone until then', async () => {
  let answers = 0;
  const { tries, push, clock, delivery } = deliver(() =>
    answers++ === 0 ? { kind: 'unavailable', reason: 'status 429', status: 429, retryAfter: 5000 } : accepted,
  );
  push('a');
  await clock.advance(10_000);
  assert.deepEqual(
    tries.map(({ at }) => at),
    [0, 5000],
  );
  await delivery.stop();
});

test('stop does not wait for a pause', async () => {
  const { push, clock, delivery, queue } = deliver(() => unreachable);
  push('a');
  await clock.advance(10);
  await delivery.stop();
  assert.equal(queue.size, 1);
});

function answered(statusCode: number, headers = {}): Awaited<ReturnType<Send>> {
  return { statusCode, headers, body: { dump: () => Promise.resolve() } };
}

test('a request carries the configured headers and a signature that Standard Webhooks knows', async () => {
  const sent: Parameters<Send>[1][] = [];
  const outcome = await postEvent(
    { url: 'http://hook/', headers: { 'X-Token': ['one', 'two'] }, timeout: 1000, secret: 'whsec_c2VjcmV0' },
    { id: 'msg', body: '{}' },
    {
      clock: new TestClock(1_614_265_330_000),
      send: async (_url, init) => {
        sent.push(init);
        return answered(204);
      },
    },
  );
  assert.deepEqual(outcome, { kind: 'accepted', status: 204 });
  const headers = sent[0]?.headers;
  assert.equal(headers?.['content-type'], 'application/vnd.docker.distribution.events.v2+json');
  assert.deepEqual(headers['X-Token'], ['one', 'two']);
  assert.equal(headers['webhook-timestamp'], '1614265330');
  assert.match(String(headers['webhook-signature']), /^v1,/);
});

test('credentials in the URL are sent as a header, unless there is one', async () => {
  const post = async (headers: Readonly<Record<string, readonly string[]>>) => {
    const sent: Parameters<Send>[] = [];
    await postEvent(
      { url: 'http://alice:a%3Ab@hook/x', headers, timeout: 1000, secret: undefined },
      { id: 'msg', body: '{}' },
      { clock: new TestClock(), send: async (...request) => (sent.push(request), answered(204)) },
    );
    return sent[0];
  };
  const [url, request] = (await post({})) ?? [];
  assert.equal(url, 'http://hook/x');
  assert.equal(request?.headers['authorization'], `Basic ${btoa('alice:a:b')}`);
  const [, own] = (await post({ Authorization: ['Bearer x'] })) ?? [];
  assert.equal(own?.headers['authorization'], undefined);
});

test('the signature is that of the example in the specification', () => {
  const headers = signatureHeaders('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    body: '{"test": 2432232314}',
    time: 1_614_265_330_000,
  });
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('what an answer means', async () => {
  const clock = new TestClock(0);
  const ask = (response: Send): Promise<Outcome> =>
    postEvent(
      { url: 'http://hook/', headers: {}, timeout: 1000, secret: undefined },
      { id: 'id', body: '{}' },
      { clock, send: response },
    );
  const status = (code: number, headers = {}): Promise<Outcome> => ask(async () => answered(code, headers));
  assert.deepEqual(await status(302), { kind: 'accepted', status: 302 });
  assert.deepEqual(await status(400), { kind: 'refused', status: 400 });
  assert.deepEqual(await status(500), { kind: 'refused', status: 500 });
  assert.deepEqual(await status(429, { 'retry-after': '3' }), {
    kind: 'unavailable',
    status: 429,
    reason: 'status 429',
    retryAfter: 3000,
  });
  assert.equal((await status(503)).kind, 'unavailable');
  const refusal = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  assert.deepEqual(await ask(() => Promise.reject(refusal)), {
    kind: 'unavailable',
    reason: 'ECONNREFUSED',
    retryAfter: 0,
  });
});

test('a request that takes longer than the timeout is given up', async () => {
  const clock = new TestClock();
  const outcome = postEvent(
    { url: 'http://hook/', headers: {}, timeout: 1000, secret: undefined },
    { id: 'id', body: '{}' },
    {
      clock,
      send: (_url, init) =>
        new Promise((_resolve, reject) => {
          init.signal.addEventListener('abort', () => reject(init.signal.reason as Error));
        }),
    },
  );
  await clock.advance(1000);
  assert.deepEqual(await outcome, { kind: 'unavailable', reason: 'no answer within 1000 ms', retryAfter: 0 });
});
