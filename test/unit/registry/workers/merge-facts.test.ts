import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counter, Gauge, Registry } from 'prom-client';
import type { StatusDocument } from '../../../../src/contract/status-document.ts';
import { createRequestMetrics } from '../../../../src/registry/http/request-metrics.ts';
import { mergeHealth, mergeMetrics, mergeStatus } from '../../../../src/registry/workers/merge-facts.ts';

function status(changes: Partial<StatusDocument> = {}): StatusDocument {
  return { version: '1', configHash: 'hash', readOnly: { active: false }, openUploads: 1, ...changes };
}

describe('the status of a server of several processes', () => {
  test('adds up uploads, and is read-only where one process is', () => {
    const readOnly = { active: true, reason: 'Marking' } as const;
    assert.deepEqual(
      mergeStatus([status(), status({ readOnly, openUploads: 2 })]),
      status({ readOnly, openUploads: 3 }),
    );
  });

  test('names a new certificate when all serve it', () => {
    const old = { serial: '01', notAfter: '2027-01-01T00:00:00.000Z' };
    const young = { serial: '02', notAfter: '2027-02-01T00:00:00.000Z' };
    const serving = (certificate: typeof old): StatusDocument => status({ certificate });
    assert.deepEqual(mergeStatus([serving(young), serving(old)]).certificate, old);
    assert.deepEqual(mergeStatus([serving(young), serving(young)]).certificate, young);
  });

  test('tells of a storage that one of them does not reach', () => {
    const failing = status({ storage: { problem: 'no answer within 5000 ms' } });
    assert.deepEqual(mergeStatus([status({ storage: {} }), failing]).storage, failing.storage);
    assert.deepEqual(mergeStatus([status({ storage: {} }), status({ storage: {} })]).storage, {});
  });
});

describe('the health of a server of several processes', () => {
  test('has what fails anywhere', () => {
    assert.deepEqual(
      mergeHealth([
        { failures: { a: 'x' }, concerns: ['storage'] },
        { failures: { b: 'y' }, concerns: ['storage', 'instance'] },
      ]),
      { failures: { a: 'x', b: 'y' }, concerns: ['storage', 'instance'] },
    );
  });

  test('without any process is out of service', () => {
    assert.deepEqual(mergeHealth([]).concerns, ['instance']);
  });
});

test('metrics of several processes are added up', async () => {
  const ofWorkers = await Promise.all(
    [1, 2].map(async (number) => {
      const registry = new Registry();
      new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc(number);
      new Gauge({ name: 'now', help: 'Now.', registers: [registry] }).set(number);
      const facts = { method: 'GET', status: 200, received: 0, sent: 0, hasCredentials: false };
      createRequestMetrics(registry).end('blob', { ...facts, seconds: number });
      return registry.getMetricsAsJSON();
    }),
  );
  // As they come out of a channel.
  const text = await mergeMetrics(structuredClone(ofWorkers));
  for (const line of [
    'things_total 3',
    'now 3',
    'registry_http_requests_total{handler="blob",method="get",code="200"} 2',
    'registry_http_request_duration_seconds_bucket{handler="blob",method="get",le="1"} 1',
    'registry_http_request_duration_seconds_count{handler="blob",method="get"} 2',
    'registry_http_request_duration_seconds_sum{handler="blob",method="get"} 3',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
  }
});
