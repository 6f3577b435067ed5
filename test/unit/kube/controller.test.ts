import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import { Cache } from '../../../src/kube/cache.ts';
import { ownersOfKind, runController, triggeredBy } from '../../../src/kube/controller.ts';
import { formatKey, type NamespacedName } from '../../../src/kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../../../src/kube/outcome.ts';
import { logSink } from '../../support/log-sink.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { testMetrics } from './kube-metrics.ts';
import { boat, boats } from './objects.ts';

/** A controller of boats whose outcomes the test gives: a function of how often the key was reconciled before. */
function controllerOf(
  outcome: (times: number, signal: AbortSignal) => Outcome | Promise<Outcome>,
  random = 0.5,
) {
  const clock = new TestClock();
  const { log, records } = logSink();
  const { metrics, value } = testMetrics();
  const primary = new Cache(boats, { log });
  const secondary = new Cache(boats, { log });
  const reconciled: string[] = [];
  const stop = new AbortController();
  const ended = runController(
    {
      name: 'boat',
      primary,
      triggers: [
        triggeredBy(secondary, (object) => object.spec.crew.map((name) => ({ namespace: 'port', name }))),
      ],
      reconcile: async (key, signal) => {
        reconciled.push(formatKey(key));
        return outcome(reconciled.length - 1, signal);
      },
      clock,
      random: () => random,
      log,
      metrics,
    },
    stop.signal,
  );
  return {
    clock,
    records,
    value,
    primary,
    secondary,
    reconciled,
    async synced(...objects: Parameters<typeof primary.replace>[0]) {
      primary.replace(objects);
      secondary.replace([]);
      await settle();
    },
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

test('nothing is reconciled before every cache is filled, and then every object is', async () => {
  const controller = controllerOf(() => done);
  controller.primary.replace([boat('a'), boat('b')]);
  await settle();
  assert.deepEqual(controller.reconciled, []);
  controller.secondary.replace([]);
  await settle();
  assert.deepEqual(controller.reconciled, ['port/a', 'port/b']);
  await controller.stop();
});

test('a change of another object reconciles what it names now and what it named before', async () => {
  const controller = controllerOf(() => done);
  await controller.synced();
  controller.secondary.put(boat('s', { uid: '1', version: '1', crew: ['a'] }));
  await settle();
  controller.secondary.put(boat('s', { uid: '1', version: '2', crew: ['b'] }));
  await settle();
  controller.secondary.remove(boat('s', { uid: '1' }));
  await settle();
  assert.deepEqual(controller.reconciled, ['port/a', 'port/a', 'port/b', 'port/b']);
  await controller.stop();
});

test('an object that is done is reconciled again after ten minutes, give or take ten percent', async () => {
  for (const [random, after] of [
    [0, 540_000],
    [0.5, 600_000],
    [1, 660_000],
  ] as const) {
    const controller = controllerOf(() => done, random);
    await controller.synced(boat('a'));
    await controller.clock.advance(after - 1);
    assert.equal(controller.reconciled.length, 1);
    await controller.clock.advance(1);
    assert.equal(controller.reconciled.length, 2);
    await controller.stop();
  }
});

test('an object that is gone is cleaned up once and not looked at again', async () => {
  const controller = controllerOf(() => done);
  await controller.synced(boat('a', { uid: '1' }));
  controller.primary.remove(boat('a', { uid: '1' }));
  await settle();
  await controller.clock.advance(3_600_000);
  assert.deepEqual(controller.reconciled, ['port/a', 'port/a']);
  await controller.stop();
});

test('an object that waits is looked at after its time, which the resync bounds', async () => {
  const controller = controllerOf((times) => waiting(times === 0 ? 5000 : 86_400_000, 'PodStarting'));
  await controller.synced(boat('a'));
  await controller.clock.advance(5000);
  assert.equal(controller.reconciled.length, 2);
  await controller.clock.advance(600_000);
  assert.equal(controller.reconciled.length, 3);
  assert.equal(await controller.value('controller_runtime_reconcile_total', { result: 'requeue_after' }), 3);
  await controller.stop();
});

test('an object that is stalled is not retried before the resync or a change', async () => {
  const controller = controllerOf(() => stalled('SecretMissing', 'make the Secret "users"'));
  await controller.synced(boat('a', { uid: '1', version: '1' }));
  await controller.clock.advance(500_000);
  assert.equal(controller.reconciled.length, 1);
  controller.primary.put(boat('a', { uid: '1', version: '2' }));
  await settle();
  assert.equal(controller.reconciled.length, 2);
  assert.equal(await controller.value('controller_runtime_terminal_reconcile_errors_total'), 2);
  assert.equal(await controller.value('controller_runtime_reconcile_errors_total'), 0);
  await controller.stop();
});

test('an object that is stalled is looked at again when its outcome says so', async () => {
  const controller = controllerOf(() => ({ ...stalled('SecretMissing', 'make it'), afterMs: 5000 }));
  await controller.synced(boat('a'));
  await controller.clock.advance(5000);
  assert.equal(controller.reconciled.length, 2);
  assert.equal(await controller.value('controller_runtime_terminal_reconcile_errors_total'), 2);
  await controller.stop();
});

test('a throw is retried with backoff until it succeeds, and logged once each', async () => {
  const controller = controllerOf((times) => {
    if (times < 3) throw new Error('no route to host');
    return done;
  }, 1);
  await controller.synced(boat('a'));
  await controller.clock.advance(5 + 10);
  assert.equal(controller.reconciled.length, 3);
  await controller.clock.advance(20);
  assert.equal(controller.reconciled.length, 4);
  await controller.clock.advance(10_000);
  assert.equal(controller.reconciled.length, 4);
  assert.equal(await controller.value('controller_runtime_reconcile_total', { result: 'error' }), 3);
  assert.equal(
    await controller.value('controller_runtime_reconcile_errors_total', { controller: 'boat' }),
    3,
  );
  assert.equal(await controller.value('controller_runtime_reconcile_panics_total'), 0);
  assert.equal(controller.records.filter((record) => record.message === 'reconcile failed').length, 3);
  await controller.stop();
});

test('a fault of the program is counted as a panic and retried like the rest', async () => {
  const controller = controllerOf((times) => {
    if (times === 0) throw new TypeError('undefined is not a function');
    return done;
  });
  await controller.synced(boat('a'));
  await controller.clock.advance(5);
  assert.equal(controller.reconciled.length, 2);
  assert.equal(await controller.value('controller_runtime_reconcile_panics_total'), 1);
  await controller.stop();
});

test('a retry waits as long as the API server asked for', async () => {
  const controller = controllerOf((times) => {
    if (times > 0) return done;
    throw new ApiError({ status: 429, reason: '', message: 'busy', retryAfterMs: 30_000 });
  });
  await controller.synced(boat('a'));
  await controller.clock.advance(29_999);
  assert.equal(controller.reconciled.length, 1);
  await controller.clock.advance(1);
  assert.equal(controller.reconciled.length, 2);
  await controller.stop();
});

test('a shutdown lets the work in progress end, and cuts it off after 20 seconds', async () => {
  let cutOff: AbortSignal | undefined;
  const controller = controllerOf(async (_, signal) => {
    cutOff = signal;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return done;
  });
  await controller.synced(boat('a'));
  let ended = false;
  const stopping = controller.stop().then(() => (ended = true));
  await controller.clock.advance(19_999);
  assert.equal(cutOff?.aborted, false);
  assert.equal(ended, false);
  await controller.clock.advance(1);
  await stopping;
  assert.equal(cutOff?.aborted, true);
});

test('a controller that is stopped before its caches are filled ends at once', async () => {
  const controller = controllerOf(() => done);
  await controller.stop();
  await settle();
  assert.equal(controller.clock.sleeping, 0);
});

test('children are traced to the owner of a kind that controls them', () => {
  const owner = { apiVersion: 'v1', uid: 'u', name: 'reg' };
  const child = boat('child');
  const keysOf = (references: readonly object[]): NamespacedName[] =>
    ownersOfKind('Registry')({
      ...child,
      // The shape is the API's; only what is asked for is given.
      metadata: { ...child.metadata, ownerReferences: references as never },
    });
  assert.deepEqual(keysOf([{ ...owner, kind: 'Registry', controller: true }]), [
    { namespace: 'port', name: 'reg' },
  ]);
  assert.deepEqual(keysOf([{ ...owner, kind: 'Registry' }]), []);
  assert.deepEqual(keysOf([{ ...owner, kind: 'Deployment', controller: true }]), []);
});
