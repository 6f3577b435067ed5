import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { digestOf } from '../../../../src/oci/digest.ts';
import type { DescriptorCache } from '../../../../src/registry/cache/descriptor-cache.ts';
import { openCache } from '../../../../src/registry/cache/open-cache.ts';
import { logSink } from '../../../support/log-sink.ts';
import { TestClock } from '../../../support/test-clock.ts';

async function cacheOf(section: string): Promise<DescriptorCache> {
  const { config, errors } = parseConfig(
    `{version: 0.1, http: {addr: ":0"}, storage: {filesystem: , cache: ${section}}}`,
  );
  assert.deepEqual(errors, []);
  assert.ok(config);
  return openCache(config, { clock: new TestClock(), log: logSink().log, metrics: new Registry() });
}

/** How many of ten blobs a cache remembers. */
async function remembered(cache: DescriptorCache): Promise<number> {
  const digests = Array.from({ length: 10 }, (_, number) => digestOf(Buffer.from(String(number))));
  for (const digest of digests) await cache.set(digest, 1);
  const sizes = await Promise.all(digests.map((digest) => cache.get(digest)));
  return sizes.filter((size) => size !== undefined).length;
}

test('nothing is remembered unless a cache is named', async () => {
  assert.equal(await remembered(await cacheOf('{}')), 0);
  assert.equal(await remembered(await cacheOf('{blobdescriptor: inmemory}')), 10);
});

test('the cache in memory is as large as it is configured', async () => {
  assert.equal(await remembered(await cacheOf('{blobdescriptor: inmemory, blobdescriptorsize: 3}')), 3);
});
