import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeImageLayout } from '../../e2e/image-layout.ts';
import { startPlaygroundProcess } from '../../e2e/playground-stage.ts';
import { readyRegistry } from '../../e2e/ready-registry.ts';
import { waitFor } from '../../e2e/wait.ts';
import { startS3StandIn } from '../../support/s3-stand-in.ts';

const NAME = 'bucket.example.com';
const alice = { name: 'alice', password: 'correct horse' };
const labels = { 'stevedore.dev/use': 'credentials' };

const secret = (name: string, stringData: object) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels },
  stringData,
});

test('a Registry on a bucket serves with two replicas, takes new credentials, and is collected by rules', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-bucket-'));
  const store = await startS3StandIn(t);
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(async () => {
    await playground.stop();
    await rm(folder, { recursive: true });
  });
  const { stage } = playground;
  const port = stage.nodePort;
  const registry = {
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'Registry',
    metadata: { name: 'cloud' },
    spec: {
      hostname: `${NAME}:${port}`,
      storage: { s3: { bucket: 'images', endpoint: store.url, credentialsSecretRef: { name: 's3' } } },
      replicas: 2,
      podTemplate: { labels: { team: 'images' } },
      health: { interval: '1s', threshold: 1 },
      log: { accessLog: false },
      config: { storage: { redirect: { disable: true } } },
      service: { type: 'NodePort', nodePort: port },
      auth: {
        htpasswd: { users: [{ name: 'alice', passwordSecretRef: { name: 'users', key: 'alice' } }] },
      },
    },
  };
  await stage.apply(secret('users', { alice: alice.password }));
  await stage.apply(secret('s3', { accesskey: 'FIRSTKEY', secretkey: 'yes: "no" #' }));
  await stage.apply(registry);
  const place = await readyRegistry(stage, 'cloud', { name: NAME, address: '127.0.0.1', port });
  const condition = (type: string) =>
    stage.field('registry/cloud', '.status.conditions').then((text) => {
      const all = JSON.parse(text ?? '[]') as readonly { type: string; reason: string }[];
      return all.find((one) => one.type === type)?.reason;
    });
  await waitFor(
    'the servers say that the bucket answers',
    async () => (await condition('StorageReady')) === 'Reachable',
  );
  await waitFor(
    'both replicas serve',
    async () => (await stage.field('registry/cloud', '.status.readyReplicas')) === '2',
  );

  const images = stage.images(place, 'team/app', folder);
  const kept = await writeImageLayout(join(folder, 'kept'), 2, 300_000);
  const old = await writeImageLayout(join(folder, 'old'), 2, 300_000);
  await images.push(alice, old.folder, 'pr-1');
  await images.push(alice, kept.folder, 'v1');
  await images.pull(alice, 'v1', join(folder, 'pulled'));
  const usedKey = (key: string) =>
    store.requests.slice(-20).every(({ headers }) => headers.authorization?.includes(`Credential=${key}/`));
  assert.ok(usedKey('FIRSTKEY'));
  assert.ok([...store.objects.keys()].some((key) => key.startsWith('docker/registry/v2/blobs/')));

  const before = await stage.servers();
  await stage.apply(secret('s3', { accesskey: 'SECONDKEY', secretkey: 'other' }));
  await waitFor('other pods serve', async () => {
    const now = await stage.servers();
    assert.equal(await images.digest(alice, 'v1'), kept.digest, 'it serves all the while');
    return now.split('\n').length === 2 && now.split('\n').every((pod) => !before.includes(pod));
  });
  assert.equal(await images.digest(alice, 'v1'), kept.digest);
  await waitFor('nobody uses the old credentials', async () => usedKey('SECONDKEY'));

  await stage.apply({
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'RegistryGC',
    metadata: { name: 'rules' },
    spec: {
      registryRef: { name: 'cloud' },
      minimumAge: '0s',
      trashGrace: '0s',
      deleteUntagged: true,
      retention: [{ repositories: ['team/*'], keepTags: { patterns: ['v*'] } }],
    },
  });
  await waitFor(
    'the run has ended',
    async () => (await stage.field('registrygc/rules', '.status.lastRun.result')) !== undefined,
  );
  assert.equal(await stage.field('registrygc/rules', '.status.lastRun.result'), 'Succeeded');
  assert.deepEqual(await images.tags(alice), ['v1']);
  await images.pull(alice, 'v1', join(folder, 'again'));

  store.intercept = () => ({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' });
  let looks = 0;
  await waitFor('the servers say that it does not', async () => {
    // What a server says is asked each minute, and whenever something changes.
    await stage.patch('registry/cloud', { metadata: { annotations: { look: String(++looks) } } });
    return (await condition('StorageReady')) === 'StorageFailing';
  });
});
