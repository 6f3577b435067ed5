import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, isConflict, isGone, isNotFound } from '../../../../src/kube/api-error.ts';
import type { WatchEvent } from '../../../../src/kube/client.ts';
import {
  configMaps,
  deployments,
  events,
  jobs,
  namespaces,
  persistentVolumeClaims,
  secrets,
  services,
  type ConfigMap,
} from '../../../../src/kube/resources.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';
import { installDefinitions, startTestServer } from './start-server.ts';

const namespace = 'default';

test('an object can be made, found, patched and deleted', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const key = { namespace, name: 'settings' };
  const made = await client.create(configMaps, { metadata: key, data: { a: '1' } });
  assert.equal(made.metadata.namespace, namespace);
  const patched = await client.patch(configMaps, key, { data: { b: '2' } });
  assert.deepEqual(patched.data, { a: '1', b: '2' });
  assert.notEqual(patched.metadata.resourceVersion, made.metadata.resourceVersion);
  assert.deepEqual(await client.get(configMaps, key), patched);
  assert.equal(await client.delete(configMaps, key), true);
  assert.equal(await client.find(configMaps, key), undefined);
  assert.equal(await client.delete(configMaps, key), false);
});

test('a write of the same again makes no new version', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const wanted = { metadata: { namespace, name: 'same' }, data: { a: '1' } };
  const first = await client.apply(configMaps, wanted);
  const second = await client.apply(configMaps, wanted);
  const third = await client.patch(configMaps, wanted.metadata, { data: { a: '1' } });
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
  assert.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
});

test('an apply takes back what it gave, and refuses to take what another owns', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const key = { namespace, name: 'shared' };
  await client.apply(configMaps, { metadata: key, data: { mine: '1', gone: '1' } });
  await client.patch(configMaps, key, { data: { theirs: '1' } });
  const left = await client.apply(configMaps, { metadata: key, data: { mine: '1' } });
  assert.deepEqual(left.data, { mine: '1', theirs: '1' });
  await assert.rejects(
    client.apply(configMaps, { metadata: key, data: { mine: '2' } }, { fieldManager: 'other', force: false }),
    (error) => isConflict(error) && error.reason === 'Conflict',
  );
});

test('who owns what is not taken from a request', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const key = { namespace, name: 'owned' };
  const made = await client.create(configMaps, { metadata: key, data: { a: '1' } });
  await client.patch(configMaps, key, { ...made, data: { a: '2' }, metadata: { labels: { a: 'b' } } });
  await assert.rejects(client.patch(configMaps, key, { metadata: { managedFields: [{}] } }), { status: 422 });
});

test('what an apply would mix up is refused before it is merged', async () => {
  await using started = await startTestServer();
  await installDefinitions(started);
  const refused = async (spec: object, status: number): Promise<void> => {
    const path = `/apis/stevedore.dev/v1alpha1/namespaces/${namespace}/registries/images`;
    const metadata = { name: 'images' };
    const body = { apiVersion: 'stevedore.dev/v1alpha1', kind: 'Registry', metadata, spec };
    const query = new URLSearchParams({ fieldManager: 'test' });
    const contentType = 'application/apply-patch+yaml';
    const asked = started.transport.exchange({ method: 'PATCH', path, query, contentType, body });
    await assert.rejects(asked, { status });
  };
  await refused({ unknown: true }, 500);
  await refused({ replicas: 'one' }, 422);
  await refused({ auth: { htpasswd: { users: [{ name: 'a' }, { name: 'a' }] } } }, 422);
});

test('an old version is a conflict, and so is a wrong uid of a deletion', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const key = { namespace, name: 'contended' };
  const { metadata } = await client.create(configMaps, { metadata: key });
  await client.patch(configMaps, key, { data: { a: '1' } });
  const { resourceVersion } = metadata;
  await assert.rejects(client.patch(configMaps, key, { metadata: { resourceVersion } }), isConflict);
  await assert.rejects(client.delete(configMaps, key, { uid: 'of-another' }), isConflict);
});

test('an object with a finalizer waits for it', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const key = { namespace, name: 'held' };
  await client.create(configMaps, { metadata: { ...key, finalizers: ['stevedore.dev/hold'] } });
  assert.equal(await client.delete(configMaps, key), true);
  const held = await client.get(configMaps, key);
  assert.notEqual(held.metadata.deletionTimestamp, undefined);
  await client.patch(configMaps, key, { metadata: { finalizers: null } });
  assert.equal(await client.find(configMaps, key), undefined);
});

test('what is left out gets the defaults of Kubernetes', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const deployment = await client.create(deployments, {
    metadata: { namespace, name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'example.com/web:1', ports: [{ containerPort: 80 }] }] },
      },
    },
  });
  assert.equal(deployment.spec?.replicas, 1);
  assert.equal(deployment.spec.template.spec?.containers[0]?.imagePullPolicy, 'IfNotPresent');
  assert.equal(deployment.spec.template.spec?.containers[0]?.ports?.[0]?.protocol, 'TCP');
  const service = await client.create(services, {
    metadata: { namespace, name: 'web' },
    spec: { type: 'NodePort', ports: [{ port: 80 }] },
  });
  assert.match(service.spec?.clusterIP ?? '', /^127\.96\./);
  assert.ok((service.spec?.ports?.[0]?.nodePort ?? 0) >= 30000);
  const claim = await client.create(persistentVolumeClaims, {
    metadata: { namespace, name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1024Mi' } } },
  });
  assert.equal(claim.spec?.volumeMode, 'Filesystem');
  assert.equal(claim.spec.resources?.requests?.['storage'], '1024Mi', 'as it was written');
  const secret = await client.create(secrets, { metadata: { namespace, name: 's' }, stringData: { a: 'b' } });
  assert.deepEqual(secret.data, { a: 'Yg==' });
});

test('mistakes in built-in kinds are told as Kubernetes tells them', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const spec = { template: { spec: { restartPolicy: 'Always', containers: [] } } };
  await assert.rejects(client.create(jobs, { metadata: { namespace, name: 'j' }, spec }), {
    status: 422,
    message:
      'Job.batch "j" is invalid: [spec.template.spec.containers: Required value, spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"]',
  });
  await assert.rejects(client.create(configMaps, { metadata: { namespace: 'nowhere', name: 'c' } }), {
    status: 404,
    message: 'namespaces "nowhere" not found',
  });
});

test('the two kinds of event are two views of the same objects', async () => {
  await using started = await startTestServer();
  const { client, transport } = started;
  await client.create(events, {
    metadata: { namespace, name: 'e' },
    eventTime: '2026-01-02T03:04:05.000006Z',
    reportingController: 'stevedore.dev/operator',
    reportingInstance: 'one',
    action: 'Apply',
    reason: 'Applied',
    note: 'Applied it.',
    type: 'Normal',
    regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'c', namespace },
  });
  const core = (await transport.exchange({
    method: 'GET',
    path: '/api/v1/namespaces/default/events',
    query: new URLSearchParams({ fieldSelector: 'involvedObject.name=c,involvedObject.kind=ConfigMap' }),
  })) as { items: { message: string }[] };
  assert.deepEqual(
    core.items.map(({ message }) => message),
    ['Applied it.'],
  );
});

/** The next events of a watch, bookmarks left out. */
async function take(watch: AsyncIterable<WatchEvent<ConfigMap>>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of watch) {
    if (event.type === 'BOOKMARK') continue;
    if (event.type === 'ERROR') throw event.error;
    seen.push(`${event.type} ${event.object.metadata.name}`);
    if (seen.length === count) break;
  }
  return seen;
}

test('a watch goes on from a list, through its selector', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const { resourceVersion } = await client.list(configMaps, { namespace });
  const labels = { watched: 'yes' };
  const watch = client.watch(configMaps, { namespace, resourceVersion, labelSelector: 'watched=yes' });
  await client.create(configMaps, { metadata: { namespace, name: 'other' } });
  await client.create(configMaps, { metadata: { namespace, name: 'one', labels } });
  await client.patch(configMaps, { namespace, name: 'one' }, { data: { a: '1' } });
  await client.patch(configMaps, { namespace, name: 'one' }, { metadata: { labels: null } });
  await client.patch(configMaps, { namespace, name: 'other' }, { metadata: { labels } });
  await client.delete(configMaps, { namespace, name: 'other' });
  assert.deepEqual(await take(watch, 5), [
    'ADDED one',
    'MODIFIED one',
    'DELETED one',
    'ADDED other',
    'DELETED other',
  ]);
});

test('a watch from what is forgotten is told so', async () => {
  await using started = await startTestServer();
  const { client, server } = started;
  const { resourceVersion } = await client.list(configMaps, { namespace });
  await client.create(configMaps, { metadata: { namespace, name: 'c' } });
  server.forget();
  await assert.rejects(take(client.watch(configMaps, { namespace, resourceVersion }), 1), isGone);
});

test('a watch ends after its time, with a bookmark before', async () => {
  const clock = new TestClock();
  await using started = await startTestServer({ clock });
  const { client } = started;
  const { resourceVersion } = await client.list(configMaps, { namespace });
  const watch = client.watch(configMaps, { namespace, resourceVersion, timeoutSeconds: 90 });
  const types: string[] = [];
  const ended = (async () => {
    for await (const event of watch) types.push(event.type);
  })();
  while (clock.sleeping === 0) await settle();
  for (let second = 0; second < 90; second++) await clock.advance(1000);
  await ended;
  assert.deepEqual(types, ['BOOKMARK', 'BOOKMARK']);
});

test('a namespace takes along what is in it', async () => {
  await using started = await startTestServer();
  const { client } = started;
  await client.create(namespaces, { metadata: { name: 'team' } });
  await client.create(configMaps, { metadata: { namespace: 'team', name: 'c' } });
  const { resourceVersion } = await client.list(namespaces);
  await client.delete(namespaces, { name: 'team' });
  for await (const event of client.watch(namespaces, { resourceVersion })) {
    if (event.type === 'DELETED') break;
  }
  assert.equal(await client.find(configMaps, { namespace: 'team', name: 'c' }), undefined);
  await assert.rejects(client.get(namespaces, { name: 'team' }), isNotFound);
});

test('a user may do what the rules say and nothing else', async () => {
  await using started = await startTestServer();
  const reader = started.clientOf('system:serviceaccount:default:reader', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'], namespace },
  ]);
  assert.deepEqual((await reader.list(configMaps, { namespace })).items, []);
  await assert.rejects(reader.list(configMaps), (error) => error instanceof ApiError && error.status === 403);
  await assert.rejects(reader.create(configMaps, { metadata: { namespace, name: 'c' } }), {
    status: 403,
    message:
      'configmaps is forbidden: User "system:serviceaccount:default:reader" cannot create resource "configmaps" in API group "" in the namespace "default"',
  });
  await assert.rejects(reader.apply(configMaps, { metadata: { namespace, name: 'c' } }), { status: 403 });
});

test('a port of the nodes belongs to one Service', async () => {
  await using started = await startTestServer();
  const { client } = started;
  const spec = { type: 'NodePort', ports: [{ port: 5000, nodePort: 30500 }] } as const;
  const first = { namespace, name: 'first' };
  await client.create(services, { metadata: first, spec });
  await client.patch(services, first, { metadata: { labels: { a: 'b' } } });
  await assert.rejects(client.create(services, { metadata: { namespace, name: 'second' }, spec }), {
    status: 422,
    message:
      'Service "second" is invalid: spec.ports[0].nodePort: Invalid value: 30500: provided port is already allocated',
  });
});
