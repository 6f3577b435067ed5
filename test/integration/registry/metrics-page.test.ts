import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { request } from 'undici';
import { openMirrorStage } from '../../support/mirror-stage.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const page = readFileSync(new URL('../../../docs/reference/metrics.md', import.meta.url), 'utf8');

/** Only with Redis, which this test has none of. */
const WITH_REDIS = ['registry_storage_cache_redis_seconds'];

/** What mirrors alone have. */
const OF_MIRRORS = /^stevedore_mirror_/;

async function served(statusUrl: string): Promise<readonly string[]> {
  const text = await (await request(`${statusUrl}/metrics`)).body.text();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
}

function listed(isWanted: (name: string) => boolean): readonly string[] {
  return [...page.matchAll(/^\| `(\w+)` +\| (\w+) +\|/gm)]
    .filter(([, name = '']) => isWanted(name))
    .map(([, name, type]) => `${name} ${type}`)
    .toSorted();
}

test('the page of metrics lists what a server has, no more and no less', async (t) => {
  const { statusUrl } = await startTestRegistry(t, {
    REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory',
    REGISTRY_NOTIFICATIONS_ENDPOINTS: '[{name: hook, url: "http://127.0.0.1:1/"}]',
  });
  const withRedis = WITH_REDIS.map((name) => `${name} histogram`);
  const found = [...new Set([...(await served(statusUrl)), ...withRedis])];
  assert.deepEqual(
    found.toSorted(),
    listed((name) => !OF_MIRRORS.test(name)),
  );
});

test('it lists what a mirror has beside that', async (t) => {
  const { mirror } = await openMirrorStage(t);
  const found = (await served(mirror.statusUrl)).filter((line) => OF_MIRRORS.test(line));
  assert.deepEqual(
    found.toSorted(),
    listed((name) => OF_MIRRORS.test(name)),
  );
});
