import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { Stored } from '../../../src/kube/object.ts';
import { registerFleetMetrics } from '../../../src/operator/fleet-metrics.ts';
import type { UnreadObject } from '../../../src/operator/resource-types.ts';
import { createWorld } from '../../../src/operator/world.ts';
import { logSink } from '../../support/log-sink.ts';
import { collectionObject, registryObject } from './resource-builders.ts';

async function values(objects: {
  readonly registries?: readonly Stored<UnreadObject>[];
  readonly registryGCs?: readonly Stored<UnreadObject>[];
}): Promise<readonly string[]> {
  const world = createWorld(logSink().log);
  world.registries.replace(objects.registries ?? []);
  world.registryGCs.replace(objects.registryGCs ?? []);
  const metrics = new Registry();
  registerFleetMetrics(metrics, world);
  return (await metrics.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

const condition = (type: string, status: string, reason: string) => ({
  type,
  status,
  reason,
  message: 'So.',
  lastTransitionTime: '2026-01-01T00:00:10Z',
});
const WHICH = 'kind="Registry",namespace="team",name="reg"';
const GC = 'kind="RegistryGC",namespace="team",name="night"';
const AT = Date.UTC(2026, 0, 1) / 1000 + 10;

test('conditions, certificates and writes that are held are told of every resource', async () => {
  const status = {
    conditions: [condition('Ready', 'True', 'Available'), condition('ReadOnly', 'True', 'Marking')],
    certificate: { serial: '0a', notAfter: '2026-01-01T00:00:10Z', serving: true },
  };
  assert.deepEqual(await values({ registries: [registryObject({ status })] }), [
    `stevedore_condition{${WHICH},condition="Ready",status="True",reason="Available"} 1`,
    `stevedore_condition{${WHICH},condition="ReadOnly",status="True",reason="Marking"} 1`,
    `stevedore_resource_certificate_expiry_timestamp_seconds{${WHICH}} ${AT}`,
    `stevedore_read_only_since_timestamp_seconds{${WHICH},reason="Marking"} ${AT}`,
    `stevedore_read_only_budget_seconds{${WHICH}} 3600`,
  ]);
});

test('the budget of writes that are held is what a run of the RegistryGC may take', async () => {
  const gc = (name: string, activeDeadlineSeconds: number) =>
    collectionObject({ name, spec: { activeDeadlineSeconds } });
  const found = await values({ registries: [registryObject()], registryGCs: [gc('a', 600), gc('b', 7200)] });
  assert.deepEqual(found, [`stevedore_read_only_budget_seconds{${WHICH}} 7200`]);
});

test('runs of a RegistryGC are told once they ended', async () => {
  const of = (status: object) => values({ registryGCs: [collectionObject({ status })] });
  assert.deepEqual(await of({ lastRun: { name: 'n', startTime: '2026-01-01T00:00:00Z' } }), []);
  const completionTime = '2026-01-01T00:00:10Z';
  assert.deepEqual(
    await of({ lastRun: { name: 'n', result: 'DrainTimeout', completionTime }, nextRunTime: completionTime }),
    [
      `stevedore_gc_last_run_succeeded{${GC},registry="reg"} 0`,
      `stevedore_gc_last_run_timestamp_seconds{${GC}} ${AT}`,
      `stevedore_gc_next_run_timestamp_seconds{${GC}} ${AT}`,
    ],
  );
});

test('what does not fit its schema costs no scrape', async () => {
  const status = { conditions: 'none', certificate: { notAfter: 'soon' } };
  assert.deepEqual(await values({ registries: [registryObject({ spec: { storage: 1 }, status })] }), [
    `stevedore_read_only_budget_seconds{${WHICH}} 3600`,
  ]);
});
