import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import { ApiError, isConflict, isGone } from '../../src/kube/api-error.ts';
import { Cache, type CacheChange } from '../../src/kube/cache.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { createCredentials, loadKubeConfig } from '../../src/kube/credentials.ts';
import { Elector } from '../../src/kube/elector.ts';
import { createEventRecorder } from '../../src/kube/event-recorder.ts';
import { createLeaseStore } from '../../src/kube/lease-store.ts';
import { createKubeMetrics } from '../../src/kube/metrics.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { listWatchSource, reflect, type ListWatchSource } from '../../src/kube/reflector.ts';
import {
  configMaps,
  leases,
  namespaces,
  resourceType,
  type ConfigMap,
  type ResourceType,
} from '../../src/kube/resources.ts';
import { createTransport, type Transport } from '../../src/kube/transport.ts';
import { systemClock } from '../../src/process/clock.ts';
import { createLogger } from '../../src/process/logger.ts';
import { clusterOfThisMachine } from './cluster.ts';
import { startCuttableProxy } from './support/cuttable-proxy.ts';
import { writeKubeconfigThrough } from './support/kubeconfig-through.ts';
import { startWriteCountingProxy } from './support/write-counting-proxy.ts';
import { waitFor } from './wait.ts';

/** A kind with a status subresource and a list, so that ownership of fields can be seen. */
interface Boat extends KubeObject {
  readonly spec: { readonly color?: string; readonly crew?: readonly string[] };
  readonly status?: { readonly afloat: boolean };
}
const boats = resourceType<Boat>({
  group: 'harbor.test',
  version: 'v1',
  plural: 'boats',
  kind: 'Boat',
  namespaced: true,
});
interface CustomResourceDefinition extends KubeObject {
  readonly spec: unknown;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
const definitions = resourceType<CustomResourceDefinition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});
/** Events as `kubectl describe` asks for them. */
interface CoreEvent extends KubeObject {
  readonly reason: string;
  readonly message: string;
  readonly series?: { readonly count: number };
}
const coreEvents = resourceType<CoreEvent>({
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
});

const namespace = `kube-runtime-${process.pid}`;
const log = createLogger({ level: 'error' });
const metrics = createKubeMetrics(new Registry());
const transports: Transport[] = [];
let kubeconfig: string;
let folder: string;
let client: KubeClient;

function clientOf(file: string, fieldManager = 'kube-runtime-test'): KubeClient {
  const transport = createTransport({
    credentials: createCredentials({ load: () => loadKubeConfig(file), clock: systemClock }),
    clock: systemClock,
    metrics,
    userAgent: 'kube-runtime-test',
  });
  transports.push(transport);
  return createKubeClient({ transport, fieldManager });
}

before(async () => {
  kubeconfig = process.env['KUBECONFIG'] ?? (await clusterOfThisMachine()).kubeconfig;
  folder = await mkdtemp(join(tmpdir(), 'kube-runtime-'));
  client = clientOf(kubeconfig);
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.apply(definitions, boatDefinition);
  await waitFor('the kind Boat', async () => {
    const { status } = await client.get(definitions, { name: boatDefinition.metadata.name });
    return status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
  });
  await waitFor('a list of boats', async () => (await client.list(boats)).items);
});

after(async () => {
  await client.delete(definitions, { name: boatDefinition.metadata.name });
  await client.delete(namespaces, { name: namespace });
  await Promise.all(transports.map((transport) => transport.close()));
  await rm(folder, { recursive: true });
});

const boatDefinition = {
  metadata: { name: 'boats.harbor.test' },
  spec: {
    group: 'harbor.test',
    scope: 'Namespaced',
    names: { kind: 'Boat', plural: 'boats', singular: 'boat', listKind: 'BoatList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { color: { type: 'string' }, crew: { type: 'array', items: { type: 'string' } } },
              },
              status: { type: 'object', properties: { afloat: { type: 'boolean' } } },
            },
          },
        },
      },
    ],
  },
};

/** Reflects ConfigMaps with a label into a cache, and tells what changes. */
function watchConfigMaps(through: KubeClient, label: string, source = sourceOf(through, label)) {
  return watchObjects(configMaps, source, ({ data }) => data?.['value']);
}

/** Reflects objects into a cache, and tells what changes: `updated NAME VALUE`. */
function watchObjects<T extends KubeObject>(
  type: ResourceType<T>,
  source: ListWatchSource<T>,
  valueOf: (object: T) => string | undefined,
) {
  const cache = new Cache(type, { log });
  const changes: string[] = [];
  cache.onChange(({ type, object }: CacheChange<T>) => {
    changes.push(`${type} ${object.metadata.name} ${valueOf(object)}`);
  });
  const stop = new AbortController();
  const quiet = createLogger({ level: 'error', destination: { write: () => undefined } });
  const ended = reflect(
    { resource: type.plural, source, target: cache, clock: systemClock, random: Math.random, log: quiet },
    stop.signal,
  );
  return {
    cache,
    changes,
    stop: async () => {
      stop.abort();
      await ended;
    },
  };
}

function sourceOf(through: KubeClient, label: string): ListWatchSource<ConfigMap> {
  return listWatchSource(through, configMaps, { namespace, labelSelector: `set=${label}` });
}

function configMap(label: string, name: string, value: string) {
  return { metadata: { namespace, name, labels: { set: label } }, data: { value } };
}

test('an object is made by apply, found, changed only when it differs, and deleted by its uid', async () => {
  const made = await client.apply(configMaps, configMap('crud', 'crud', '1'));
  const same = await client.apply(configMaps, configMap('crud', 'crud', '1'));
  assert.equal(
    same.metadata.resourceVersion,
    made.metadata.resourceVersion,
    'the second apply wrote nothing',
  );
  assert.equal((await client.find(configMaps, { namespace, name: 'crud' }))?.data?.['value'], '1');
  await assert.rejects(client.create(configMaps, configMap('crud', 'crud', '2')), (error) => {
    return isConflict(error) && error.reason === 'AlreadyExists';
  });
  const key = { namespace, name: 'crud' };
  await assert.rejects(client.delete(configMaps, key, { uid: 'of-another' }), isConflict);
  assert.equal(await client.delete(configMaps, key, { uid: made.metadata.uid }), true);
  assert.equal(await client.delete(configMaps, key), false);
  assert.equal(await client.find(configMaps, key), undefined);
});

test('a patch of a version that has passed is a conflict', async () => {
  const old = await client.apply(configMaps, configMap('patch', 'patch', '1'));
  const key = { namespace, name: 'patch' };
  await client.patch(configMaps, key, { data: { value: '2' } });
  const { resourceVersion } = old.metadata;
  await assert.rejects(
    client.patch(configMaps, key, { metadata: { resourceVersion }, data: { value: '3' } }),
    isConflict,
  );
});

test('fields of another manager are a conflict unless they are taken by force, and those no longer applied go', async () => {
  const other = clientOf(kubeconfig, 'somebody-else');
  const metadata = { namespace, name: 'owned' };
  await other.apply(boats, { metadata, spec: { color: 'red', crew: ['ann'] } });
  await assert.rejects(
    client.apply(boats, { metadata, spec: { color: 'blue' } }, { force: false }),
    (error) => {
      return isConflict(error) && /somebody-else/.test(error.message);
    },
  );
  assert.equal((await client.apply(boats, { metadata, spec: { color: 'blue' } })).spec.color, 'blue');
  const left = await other.apply(boats, { metadata, spec: {} }, { force: false });
  assert.deepEqual(left.spec, { color: 'blue' });
});

test('status and spec are applied apart and do not undo each other', async () => {
  const metadata = { namespace, name: 'status' };
  await client.apply(boats, { metadata, spec: { color: 'red' } });
  const options = { subresource: 'status', fieldManager: 'kube-runtime-test-status' } as const;
  const afloat = await client.apply(boats, { metadata, status: { afloat: true } }, options);
  assert.deepEqual([afloat.spec, afloat.status], [{ color: 'red' }, { afloat: true }]);
  const painted = await client.apply(boats, { metadata, spec: { color: 'blue' } });
  assert.deepEqual([painted.spec, painted.status], [{ color: 'blue' }, { afloat: true }]);
});

test('a refusal by the schema says what is wrong', async () => {
  // What a mistake looks like that the compiler could not see.
  const spec = { color: 7 } as unknown as Boat['spec'];
  await assert.rejects(client.apply(boats, { metadata: { namespace, name: 'wrong' }, spec }), (error) => {
    return (
      error instanceof ApiError && [400, 422, 500].includes(error.status) && /spec\.color/.test(error.message)
    );
  });
});

test('a token that nobody knows is refused', async () => {
  const file = join(folder, 'stranger');
  const config = loadKubeConfig(kubeconfig);
  config.users = config.users.map((user) => ({ name: user.name, token: 'unknown' }));
  await writeFile(file, config.exportConfig());
  await assert.rejects(clientOf(file).list(configMaps, { namespace }), (error) => {
    return error instanceof ApiError && error.status === 401;
  });
});

test('a thousand objects are listed in pages and arrive in the cache', { timeout: 120_000 }, async () => {
  const names = Array.from({ length: 1000 }, (_, index) => `page-${index}`);
  const makers = Array.from({ length: 16 }, async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await client.apply(configMaps, configMap('pages', name, name));
    }
  });
  await Promise.all(makers);
  const selection = { namespace, labelSelector: 'set=pages' };
  const first = await client.list(configMaps, { ...selection, limit: 100 });
  assert.equal(first.items.length, 100);
  assert.ok(first.continue);
  const all = await client.listAll(configMaps, { ...selection, limit: 100 });
  assert.equal(new Set(all.items.map(({ metadata }) => metadata.name)).size, 1000);
  assert.ok(all.items.every(({ kind }) => kind === 'ConfigMap'));
  const { cache, stop } = watchConfigMaps(client, 'pages');
  await cache.synced;
  assert.equal(cache.size, 1000);
  await stop();
});

test('a watch from a version that the server has forgotten is 410, and the reflector lists again', async () => {
  // Of a kind the API server knows nothing from before the kind was made, which is long after the first version.
  const boat = { metadata: { namespace, name: 'gone' } };
  await client.apply(boats, { ...boat, spec: { color: 'red' } });
  await assert.rejects(async () => {
    for await (const event of client.watch(boats, { namespace, resourceVersion: '1', timeoutSeconds: 5 })) {
      if (event.type === 'ERROR') throw event.error;
    }
  }, isGone);
  const real = listWatchSource(client, boats, { namespace, fieldSelector: 'metadata.name=gone' });
  let lists = 0;
  const source: ListWatchSource<Boat> = {
    watch: real.watch,
    async list(signal) {
      const list = await real.list(signal);
      return ++lists === 1 ? { items: list.items, resourceVersion: '1' } : list;
    },
  };
  const { cache, changes, stop } = watchObjects(boats, source, ({ spec }) => spec.color);
  await cache.synced;
  await client.apply(boats, { ...boat, spec: { color: 'blue' } });
  await waitFor('the change after the second list', async () => changes.includes('updated gone blue'));
  assert.equal(lists, 2);
  await stop();
});

test('bookmarks and changes keep coming through a connection that is cut again and again', async () => {
  const proxy = await startCuttableProxy(
    new URL(loadKubeConfig(kubeconfig).getCurrentCluster()?.server ?? ''),
  );
  const file = join(folder, 'cuttable');
  await writeKubeconfigThrough({ from: kubeconfig, to: file, server: `https://127.0.0.1:${proxy.port}` });
  const { cache, changes, stop } = watchConfigMaps(clientOf(file), 'cut');
  await cache.synced;
  for (const value of ['1', '2', '3']) {
    await waitFor('an open watch', async () => proxy.open > 0);
    proxy.cut();
    await client.apply(configMaps, configMap('cut', 'cut', value));
    proxy.mend();
    await waitFor(`value ${value}`, async () => changes.at(-1)?.endsWith(`cut ${value}`));
  }
  assert.deepEqual(changes, ['added cut 1', 'updated cut 2', 'updated cut 3']);
  await stop();
  await proxy.close();
});

for (const [how, forgotten] of [
  ['resumes', false],
  ['must list again', true],
] as const) {
  test(`an object that was made anew while nobody looked is a deletion and an addition when the watch ${how}`, async () => {
    const label = forgotten ? 'remade-relist' : 'remade-resume';
    const proxy = await startCuttableProxy(
      new URL(loadKubeConfig(kubeconfig).getCurrentCluster()?.server ?? ''),
    );
    const file = join(folder, label);
    await writeKubeconfigThrough({ from: kubeconfig, to: file, server: `https://127.0.0.1:${proxy.port}` });
    await client.apply(configMaps, configMap(label, label, 'old'));
    const real = sourceOf(clientOf(file), label);
    let forget = false;
    const { cache, changes, stop } = watchConfigMaps(client, label, {
      list: real.list,
      watch: (version, seconds, signal) => {
        const from = forget ? '1' : version;
        forget = false;
        return real.watch(from, seconds, signal);
      },
    });
    await cache.synced;
    await waitFor('an open watch', async () => proxy.open > 0);
    proxy.cut();
    await client.delete(configMaps, { namespace, name: label });
    await client.apply(configMaps, configMap(label, label, 'new'));
    forget = forgotten;
    proxy.mend();
    await waitFor('the new object', async () => changes.at(-1) === `added ${label} new`);
    assert.deepEqual(changes, [`added ${label} old`, `deleted ${label} old`, `added ${label} new`]);
    await stop();
    await proxy.close();
  });
}

function electorOf(identity: string, story: string[]): Elector {
  return new Elector({
    name: 'election',
    identity,
    store: createLeaseStore(client, { namespace, name: 'election' }),
    clock: systemClock,
    random: Math.random,
    log,
    metrics,
    times: { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 },
    onElected: () => story.push(`${identity} elected`),
    onLost: () => story.push(`${identity} lost`),
  });
}

test('of two candidates one leads; the other follows at once on a release, and after the duration on a death', async () => {
  const story: string[] = [];
  const stops = [new AbortController(), new AbortController()] as const;
  const first = electorOf('a', story).run(stops[0].signal);
  await waitFor('a leader', async () => story.length === 1);
  const second = electorOf('b', story).run(stops[1].signal);
  const held = await client.get(leases, { namespace, name: 'election' });
  assert.equal(held.spec.holderIdentity, 'a');
  assert.match(held.spec.renewTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await waitFor('a renewal', async () => {
    const { spec } = await client.get(leases, { namespace, name: 'election' });
    return spec.renewTime !== held.spec.renewTime;
  });
  stops[0].abort();
  assert.equal(await first, 'released');
  await waitFor('the second leader', async () => story.includes('b elected'), { timeout: 2500 });
  assert.deepEqual(story, ['a elected', 'b elected']);

  // A holder that never renews: its process is dead.
  await client.patch(leases, { namespace, name: 'election' }, { spec: { holderIdentity: 'dead' } });
  assert.equal(await second, 'lost');
  const third = electorOf('c', story).run(stops[1].signal);
  const start = performance.now();
  await waitFor('the third leader', async () => story.includes('c elected'));
  assert.ok(performance.now() - start >= 3000, 'the dead holder had its time');
  stops[1].abort();
  assert.equal(await third, 'released');
});

test('an event is found with its object, and counted up when it comes again', async () => {
  const object = await client.apply(boats, { metadata: { namespace, name: 'eventful' }, spec: {} });
  const recorder = createEventRecorder({
    client,
    controller: 'stevedore.dev/test',
    instance: 'here',
    clock: systemClock,
    random: Math.random,
    log,
  });
  const details = { type: 'Normal', reason: 'Launched', action: 'Launch', note: 'afloat' } as const;
  recorder.record(object, details);
  recorder.record(object, details);
  await recorder.flush();
  const { items } = await client.list(coreEvents, {
    namespace,
    fieldSelector: `involvedObject.name=eventful,involvedObject.uid=${object.metadata.uid}`,
  });
  assert.deepEqual(
    items.map(({ reason, message }) => [reason, message]),
    [['Launched', 'afloat']],
  );
  assert.equal(items[0]?.series?.count, 2);
});

for (const [when, made] of [
  ['before', ['first']],
  ['after', ['first', 'second']],
] as const) {
  test(`the write-counting proxy ends a process ${when} its second write`, async () => {
    const file = join(folder, `counted-${when}`);
    const proxy = await startWriteCountingProxy({ upstream: kubeconfig, kubeconfig: file });
    const names = ['first', 'second', 'third'];
    for (const name of names) await client.delete(configMaps, { namespace, name });
    const program = join(import.meta.dirname, 'support/three-writes.ts');
    const child = spawn(process.execPath, [program, file, namespace], { stdio: 'inherit' });
    const exited = once(child, 'exit');
    const died = await proxy.trap({ nth: 2, when, process: child });
    assert.equal(died, `PATCH /api/v1/namespaces/${namespace}/configmaps/second`);
    assert.deepEqual(await exited, [null, 'SIGKILL']);
    const found = await Promise.all(names.map((name) => client.find(configMaps, { namespace, name })));
    assert.deepEqual(
      found.flatMap((object) => object?.metadata.name ?? []),
      made,
    );
    const again = spawn(process.execPath, [program, file, namespace], { stdio: 'inherit' });
    assert.deepEqual(await once(again, 'exit'), [0, null]);
    assert.equal(proxy.writes.length, 5);
    await proxy.close();
  });
}

test('watches stream through the write-counting proxy', async () => {
  const file = join(folder, 'counted-watch');
  const proxy = await startWriteCountingProxy({ upstream: kubeconfig, kubeconfig: file });
  const { cache, changes, stop } = watchConfigMaps(clientOf(file), 'counted');
  await cache.synced;
  await client.apply(configMaps, configMap('counted', 'counted', '1'));
  await waitFor('the change', async () => changes.includes('added counted 1'));
  assert.deepEqual(proxy.writes, []);
  await stop();
  await proxy.close();
});
