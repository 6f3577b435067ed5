import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Agent } from 'undici';
import { ApiError } from '../../../src/kube/api-error.ts';
import { createKubeClient, type WatchEvent } from '../../../src/kube/client.ts';
import type { Credentials } from '../../../src/kube/credentials.ts';
import { namespaces, pods, secrets } from '../../../src/kube/resources.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { startStandIn, type CannedAnswer } from './http-stand-in.ts';
import { testMetrics } from './kube-metrics.ts';
import { boat, boats, type Boat } from './objects.ts';

async function clientOf(t: TestContext, ...answers: readonly (CannedAnswer | 'reset')[]) {
  const standIn = await startStandIn(answers);
  const dispatcher = new Agent({ allowH2: false });
  const clock = new TestClock();
  const { metrics, value } = testMetrics();
  let forgotten = 0;
  const credentials: Credentials = {
    current: async () => ({
      server: new URL('/prefix/', standIn.url),
      dispatcher,
      headers: { authorization: `Bearer token-${forgotten}` },
    }),
    forget: () => void (forgotten += 1),
    close: () => dispatcher.destroy(),
  };
  const transport = createTransport({ credentials, clock, metrics, userAgent: 'stevedore/0.1.0' });
  t.after(async () => {
    await transport.close();
    await standIn.close();
  });
  const client = createKubeClient({ transport, fieldManager: 'stevedore' });
  return { client, seen: standIn.seen, clock, value, host: standIn.url.host };
}

const key = { namespace: 'port', name: 'a' };
const stored = { body: boat('a', { uid: 'u' }) };
const busy = (seconds: string): CannedAnswer => ({
  status: 429,
  headers: { 'retry-after': seconds },
  body: 'busy',
});

/** Waits for a request to have been answered and its retry to sleep on the clock. */
async function sleeping(clock: TestClock): Promise<void> {
  while (clock.sleeping === 0) await settle();
}

test('get asks for one object of its kind, as JSON and with the token', async (t) => {
  const { client, seen } = await clientOf(t, stored);
  const object = await client.get(boats, key);
  assert.equal(object.metadata.uid, 'u');
  assert.equal(seen[0]?.method, 'GET');
  assert.equal(seen[0]?.path, '/prefix/apis/harbor.test/v1/namespaces/port/boats/a');
  assert.equal(seen[0]?.headers['authorization'], 'Bearer token-0');
  assert.equal(seen[0]?.headers['accept'], 'application/json');
  assert.equal(seen[0]?.headers['user-agent'], 'stevedore/0.1.0');
});

test('core kinds and kinds without a namespace have their own paths', async (t) => {
  const { client, seen } = await clientOf(t, stored, stored);
  await client.get(secrets, key);
  await client.get(namespaces, { name: 'port' });
  assert.deepEqual(
    seen.map(({ path }) => path),
    ['/prefix/api/v1/namespaces/port/secrets/a', '/prefix/api/v1/namespaces/port'],
  );
});

test('a key that lacks the namespace of its kind, or has one too many, is never sent', async (t) => {
  const { client, seen } = await clientOf(t);
  await assert.rejects(client.get(secrets, { name: 'a' }), /Secret a needs namespace/);
  await assert.rejects(client.get(namespaces, key), /Namespace a has no namespace/);
  assert.equal(seen.length, 0);
});

test('what is not there is undefined to find, false to delete, and an error to get', async (t) => {
  const missing = {
    status: 404,
    body: { kind: 'Status', code: 404, reason: 'NotFound', message: 'not found' },
  };
  const { client } = await clientOf(t, missing, missing, missing);
  assert.equal(await client.find(boats, key), undefined);
  assert.equal(await client.delete(boats, key), false);
  await assert.rejects(client.get(boats, key), (error) => error instanceof ApiError && error.status === 404);
});

test('listAll follows the pages of one state and gives the kind to items that come without', async (t) => {
  const item = ({ metadata, spec }: Boat): object => ({ metadata, spec });
  const { client, seen } = await clientOf(
    t,
    { body: { metadata: { resourceVersion: '7', continue: 'next' }, items: [item(boat('a'))] } },
    { body: { metadata: { resourceVersion: '7' }, items: [item(boat('b'))] } },
  );
  const list = await client.listAll(boats, { labelSelector: 'color=red', resourceVersion: '0', limit: 1 });
  assert.deepEqual(
    list.items.map(({ kind, apiVersion, metadata }) => [kind, apiVersion, metadata.name]),
    [
      ['Boat', 'harbor.test/v1', 'a'],
      ['Boat', 'harbor.test/v1', 'b'],
    ],
  );
  assert.equal(list.resourceVersion, '7');
  assert.deepEqual(
    seen.map(({ query }) => query),
    [
      { labelSelector: 'color=red', resourceVersion: '0', limit: '1' },
      { labelSelector: 'color=red', limit: '1', continue: 'next' },
    ],
  );
});

test('apply is a forced server-side apply under the fixed manager, and fills in the kind', async (t) => {
  const { client, seen } = await clientOf(t, stored, stored);
  await client.apply(boats, { metadata: key, spec: { crew: [] } });
  await client.apply(
    boats,
    { metadata: key },
    { subresource: 'status', fieldManager: 'status', force: false },
  );
  assert.equal(seen[0]?.method, 'PATCH');
  assert.equal(seen[0]?.headers['content-type'], 'application/apply-patch+yaml');
  assert.deepEqual(seen[0]?.query, { fieldManager: 'stevedore', force: 'true' });
  assert.deepEqual(seen[0]?.body, {
    apiVersion: 'harbor.test/v1',
    kind: 'Boat',
    metadata: key,
    spec: { crew: [] },
  });
  assert.equal(seen[1]?.path, '/prefix/apis/harbor.test/v1/namespaces/port/boats/a/status');
  assert.deepEqual(seen[1]?.query, { fieldManager: 'status', force: 'false' });
});

test('create, patch and delete send what the API expects of them', async (t) => {
  const { client, seen } = await clientOf(t, { ...stored, status: 201 }, stored, {
    body: { kind: 'Status' },
  });
  await client.create(boats, { metadata: key, spec: { crew: [] } });
  await client.patch(boats, key, { spec: { crew: null } }, { subresource: 'status' });
  assert.equal(await client.delete(boats, key, { uid: 'u', propagationPolicy: 'Background' }), true);
  assert.deepEqual(
    seen.map(({ method, path, headers }) => [method, path.slice(32), headers['content-type']]),
    [
      ['POST', '/namespaces/port/boats'.slice(5), 'application/json'],
      ['PATCH', '/namespaces/port/boats/a/status'.slice(5), 'application/merge-patch+json'],
      ['DELETE', '/namespaces/port/boats/a'.slice(5), 'application/json'],
    ],
  );
  assert.deepEqual(seen[2]?.body, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: 'Background',
    preconditions: { uid: 'u' },
  });
});

test('a pod is removed at once when the node has ended it', async (t) => {
  const { client, seen } = await clientOf(t, { body: { kind: 'Status' } });
  await client.delete(pods, { namespace: 'port', name: 'a' }, { uid: 'u', gracePeriodSeconds: 0 });
  assert.deepEqual(seen[0]?.body, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u' },
  });
});

test('requests one after the other share connections', async (t) => {
  const { client, seen } = await clientOf(t, ...Array.from({ length: 20 }, () => stored));
  for (let i = 0; i < 20; i++) await client.get(boats, key);
  // The next request may start before the connection of the last one counts as free.
  assert.ok(new Set(seen.map(({ connection }) => connection)).size <= 2);
});

for (const status of [429, 503]) {
  test(`${status} with Retry-After is tried again after that time`, async (t) => {
    const { client, seen, clock } = await clientOf(
      t,
      { ...busy('2'), status },
      { ...busy('3'), status },
      stored,
    );
    const creating = client.create(boats, { metadata: key, spec: { crew: [] } });
    await sleeping(clock);
    await clock.advance(1999);
    assert.equal(seen.length, 1);
    await clock.advance(1);
    await sleeping(clock);
    await clock.advance(3000);
    assert.equal((await creating).metadata.uid, 'u');
    assert.equal(seen.length, 3);
  });
}

test('a server that stays busy is given up after five retries, and the error says how long to wait', async (t) => {
  const { client, seen, clock } = await clientOf(t, ...Array.from({ length: 9 }, () => busy('1')));
  const getting = client.get(boats, key).catch((error: unknown) => error);
  for (let retry = 0; retry < 5; retry++) {
    await sleeping(clock);
    await clock.advance(1000);
  }
  const error = await getting;
  assert.ok(error instanceof ApiError);
  assert.equal(error.retryAfterMs, 1000);
  assert.equal(seen.length, 6);
});

test('a server that asks for a long wait, or for none, gets no retry here', async (t) => {
  const { client, seen } = await clientOf(t, busy('60'), { status: 503 });
  await assert.rejects(
    client.get(boats, key),
    (error) => error instanceof ApiError && error.retryAfterMs === 60_000,
  );
  await assert.rejects(client.get(boats, key), (error) => error instanceof ApiError && error.status === 503);
  assert.equal(seen.length, 2);
});

test('an abort ends the wait for a retry', async (t) => {
  const { client, clock } = await clientOf(t, busy('5'));
  const stop = new AbortController();
  const getting = client.get(boats, key, { signal: stop.signal });
  await sleeping(clock);
  stop.abort(new Error('shutdown'));
  await assert.rejects(getting, /shutdown/);
  assert.equal(clock.sleeping, 0);
});

test('a reset connection is tried once more, but not for a create, and not twice', async (t) => {
  const { client, seen } = await clientOf(t, 'reset', stored, 'reset', 'reset', 'reset');
  await client.apply(boats, { metadata: key, spec: { crew: [] } });
  assert.equal(seen.length, 2);
  await assert.rejects(
    client.create(boats, { metadata: key, spec: { crew: [] } }),
    /other side closed|ECONNRESET/,
  );
  assert.equal(seen.length, 3);
  await assert.rejects(client.get(boats, key), /other side closed|ECONNRESET/);
  assert.equal(seen.length, 5);
});

test('a refused token is read anew once', async (t) => {
  const refused = {
    status: 401,
    body: { kind: 'Status', code: 401, reason: 'Unauthorized', message: 'Unauthorized' },
  };
  const { client, seen } = await clientOf(t, refused, stored, refused, refused);
  await client.get(boats, key);
  assert.equal(seen[1]?.headers['authorization'], 'Bearer token-1');
  await assert.rejects(client.get(boats, key), (error) => error instanceof ApiError && error.status === 401);
});

test('a success that is no object is an error, not an object', async (t) => {
  const { client } = await clientOf(t, { body: '<html>' }, { body: 'null' }, { body: { metadata: {} } });
  await assert.rejects(client.get(boats, key), SyntaxError);
  await assert.rejects(client.get(boats, key), /JSON of another shape/);
  await assert.rejects(client.get(boats, key), /Boat has no metadata.name/);
});

test('a watch gives events, bookmarks and errors as they come, and ends with the stream', async (t) => {
  const lines = [
    { type: 'ADDED', object: boat('a', { uid: 'u', version: '8' }) },
    { type: 'BOOKMARK', object: { kind: 'Boat', metadata: { resourceVersion: '9' } } },
    { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } },
  ];
  const { client, seen } = await clientOf(t, {
    body: lines.map((line) => JSON.stringify(line)).join('\n') + '\n',
  });
  const events: WatchEvent<Boat>[] = await Array.fromAsync(
    client.watch(boats, { resourceVersion: '7', timeoutSeconds: 300, namespace: 'port' }),
  );
  assert.deepEqual(
    events.map((event) => event.type),
    ['ADDED', 'BOOKMARK', 'ERROR'],
  );
  assert.ok(events[2]?.type === 'ERROR' && events[2].error.status === 410);
  assert.deepEqual(seen[0]?.query, {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: '7',
    timeoutSeconds: '300',
  });
  assert.equal(seen[0]?.path, '/prefix/apis/harbor.test/v1/namespaces/port/boats');
});

test('requests are counted by code, method and host, and those without an answer as errors', async (t) => {
  const { client, value, host } = await clientOf(t, stored, { status: 404 }, 'reset');
  await client.get(boats, key);
  await client.find(boats, key);
  await client.create(boats, { metadata: key, spec: { crew: [] } }).catch(() => undefined);
  const count = (code: string, method: string): Promise<number> =>
    value('rest_client_requests_total', { code, method, host });
  assert.deepEqual(
    await Promise.all([count('200', 'GET'), count('404', 'GET'), count('<error>', 'POST')]),
    [1, 1, 1],
  );
});
