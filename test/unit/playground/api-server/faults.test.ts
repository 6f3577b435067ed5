import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../../src/kube/api-error.ts';
import { configMaps } from '../../../../src/kube/resources.ts';
import type { Faults, WatchFault } from '../../../../src/playground/api-server/faults.ts';
import { startTestServer } from './start-server.ts';

const namespace = 'default';

for (const code of [409, 410, 429, 500, 503] as const) {
  test(`a chosen request is answered ${code}, and nothing is done`, async () => {
    let isOn = true;
    const faults: Faults = { answer: ({ verb }) => (isOn && verb === 'create' ? { code } : undefined) };
    await using started = await startTestServer({ faults });
    const { client } = started;
    const object = { metadata: { namespace, name: 'c' } };
    await assert.rejects(
      client.create(configMaps, object),
      (error) => error instanceof ApiError && error.status === code,
    );
    assert.equal(await client.find(configMaps, object.metadata), undefined);
    isOn = false;
    await client.create(configMaps, object);
  });
}

test('events are dropped, repeated and withheld', async () => {
  const plan: Record<string, WatchFault> = { a: 'drop', b: 'repeat', c: 'pass', d: 'stall', e: 'pass' };
  const faults: Faults = {
    watchEvent: (_, { object }) => plan[(object['metadata'] as { name: string }).name] ?? 'pass',
  };
  await using started = await startTestServer({ faults });
  const { client } = started;
  const { resourceVersion } = await client.list(configMaps, { namespace });
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const event of client.watch(configMaps, { namespace, resourceVersion, signal: stop.signal })) {
      if (event.type === 'ADDED') seen.push(event.object.metadata.name);
      if (seen.length === 3) break;
    }
  })();
  for (const name of Object.keys(plan)) await client.create(configMaps, { metadata: { namespace, name } });
  await watching;
  stop.abort();
  assert.deepEqual(seen, ['b', 'b', 'c']);
});

test('an answer is lost after the work is done', async () => {
  const faults: Faults = { loseAnswer: ({ verb }) => verb === 'create' };
  await using started = await startTestServer({ faults });
  const { client } = started;
  const object = { metadata: { namespace, name: 'c' } };
  await assert.rejects(client.create(configMaps, object));
  assert.equal((await client.get(configMaps, object.metadata)).metadata.name, 'c');
});

test('a list lags behind', async () => {
  let lag = 0;
  await using started = await startTestServer({ faults: { staleBy: () => lag } });
  const { client } = started;
  await client.create(configMaps, { metadata: { namespace, name: 'a' } });
  await client.create(configMaps, { metadata: { namespace, name: 'b' } });
  lag = 1;
  const stale = await client.list(configMaps, { namespace });
  assert.deepEqual(
    stale.items.map(({ metadata }) => metadata.name),
    ['a'],
  );
});
