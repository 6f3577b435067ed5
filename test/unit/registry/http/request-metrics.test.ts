import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { createRequestMetrics } from '../../../../src/registry/http/request-metrics.ts';

describe('metrics of requests', () => {
  const registry = new Registry();
  const metrics = createRequestMetrics(registry);
  const facts = { method: 'GET', status: 200, seconds: 0, received: 10, sent: 3000, hasCredentials: false };
  for (const seconds of [0.001, 0.005, 0.3, 20]) {
    metrics.begin('manifest');
    metrics.end('manifest', { ...facts, status: seconds > 1 ? 404 : 200, seconds });
  }
  metrics.begin('upload');

  /** Looked at twice: asking must not change anything. */
  const lines = async (): Promise<string[]> => {
    await registry.metrics();
    return (await registry.metrics()).split('\n').filter((line) => /^(registry_http|stevedore)/.test(line));
  };

  test('count by handler, method and status, under the names of distribution', async () => {
    const counts = (await lines()).filter((line) => line.startsWith('registry_http_requests_total'));
    assert.deepEqual(counts, [
      'registry_http_requests_total{handler="manifest",method="get",code="200"} 3',
      'registry_http_requests_total{handler="manifest",method="get",code="404"} 1',
    ]);
  });

  test('tell what is in progress', async () => {
    const running = (await lines()).filter((line) => line.startsWith('registry_http_in_flight'));
    assert.deepEqual(running, [
      'registry_http_in_flight_requests{handler="manifest"} 0',
      'registry_http_in_flight_requests{handler="blob_upload_chunk"} 1',
    ]);
  });

  test('put durations into buckets that each hold those before them', async () => {
    const text = (await lines()).join('\n');
    for (const [bound, count] of [
      ['0.005', 2],
      ['0.01', 2],
      ['0.5', 3],
      ['10', 3],
      ['+Inf', 4],
    ] as const) {
      assert.ok(text.includes(`_bucket{handler="manifest",method="get",le="${bound}"} ${count}\n`), text);
    }
    assert.match(text, /_count\{handler="manifest",method="get"\} 4$/m);
    assert.match(text, /_sum\{handler="manifest",method="get"\} 20\.306$/m);
  });

  test('put bytes of bodies into buckets', async () => {
    const text = (await lines()).join('\n');
    assert.match(text, /^registry_http_request_size_bytes_bucket\{.*"get",le="1024"\} 4$/m);
    assert.match(text, /^registry_http_request_size_bytes_sum\{handler="manifest",method="get"\} 40$/m);
    assert.match(text, /^registry_http_response_size_bytes_bucket\{.*le="2048"\} 0$/m);
    assert.match(text, /^registry_http_response_size_bytes_bucket\{.*le="4096"\} 4$/m);
    assert.match(text, /^registry_http_response_size_bytes_sum\{handler="manifest",method="get"\} 12000$/m);
  });

  test('tell credentials that were wrong, or did not allow what was asked, from none', async () => {
    const own = new Registry();
    const counted = createRequestMetrics(own);
    for (const [status, hasCredentials] of [
      [401, false],
      [401, true],
      [401, true],
      [403, true],
      [200, true],
    ] as const) {
      counted.begin('base');
      counted.end('base', { ...facts, status, hasCredentials });
    }
    const text = await own.metrics();
    assert.match(text, /^stevedore_auth_failures_total\{reason="credentials"\} 2$/m);
    assert.match(text, /^stevedore_auth_failures_total\{reason="denied"\} 1$/m);
  });
});
