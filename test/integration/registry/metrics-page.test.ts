import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { request } from 'undici';
import { startTestRegistry } from '../../support/test-registry.ts';

const page = readFileSync(new URL('../../../docs/reference/metrics.md', import.meta.url), 'utf8');

/** Only with Redis, which this test has none of. */
const WITH_REDIS = ['registry_storage_cache_redis_seconds'];

test('the page of metrics lists what a server has, no more and no less', async (t) => {
  const { statusUrl } = await startTestRegistry(t, {
    REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory',
    REGISTRY_NOTIFICATIONS_ENDPOINTS: '[{name: hook, url: "http://127.0.0.1:1/"}]',
  });
  const text = await (await request(`${statusUrl}/metrics`)).body.text();
  const served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  const listed = [...page.matchAll(/^\| `(\w+)` +\| (\w+) +\|/gm)].map(([, name, type]) => `${name} ${type}`);
  const withRedis = WITH_REDIS.map((name) => `${name} histogram`);
  assert.deepEqual([...new Set([...served, ...withRedis])].toSorted(), listed.toSorted());
});
