import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeImageLayout } from '../../e2e/image-layout.ts';
import { startPlaygroundProcess } from '../../e2e/playground-stage.ts';
import { readyRegistry } from '../../e2e/ready-registry.ts';
import { ask } from '../../e2e/registry-client.ts';
import { waitFor } from '../../e2e/wait.ts';

const alice = { name: 'alice', password: 'correct horse' };
const nobody = { name: 'nobody', password: 'none' };
const apiVersion = 'stevedore.dev/v1alpha1';

const secret = (name: string, stringData: object) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: { 'stevedore.dev/use': 'credentials' } },
  stringData,
});

test('a RegistryMirror logs in at a Registry, keeps what was pulled, and serves it when the Registry is gone', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-mirror-'));
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(async () => {
    await playground.stop();
    await rm(folder, { recursive: true });
  });
  const { stage } = playground;
  const port = stage.nodePort;
  const host = `127.0.0.1:${port}`;
  const origin = (fields: object) =>
    stage.apply({
      apiVersion,
      kind: 'Registry',
      metadata: { name: 'images' },
      spec: {
        storage: { filesystem: { size: '1Gi' } },
        tls: { ipAddresses: ['127.0.0.1'] },
        service: { type: 'NodePort', nodePort: port },
        auth: { htpasswd: { users: [{ name: 'alice', passwordSecretRef: { name: 'alice' } }] } },
        ...fields,
      },
    });
  await stage.apply(secret('alice', { password: alice.password }));
  await origin({});
  const pushed = await readyRegistry(stage, 'images', { name: '127.0.0.1', address: '127.0.0.1', port });
  const image = await writeImageLayout(join(folder, 'image'), 2, 300_000);
  for (const repository of ['team/app', 'other/app']) {
    await stage.images(pushed, repository, folder).push(alice, image.folder, 'v1');
  }

  await stage.apply({
    apiVersion,
    kind: 'RegistryMirror',
    // As the Registry, with which it must have nothing in common.
    metadata: { name: 'images' },
    spec: {
      upstreams: [
        {
          host,
          credentialsSecretRef: { name: 'pull' },
          caBundleRef: { configMapName: 'images-ca' },
          allowedRepositories: ['team/*'],
          tagFreshness: '0s',
        },
      ],
      storage: { filesystem: { size: '1Gi' } },
    },
  });
  const condition = async (type: string) => {
    const text = await stage.field('registrymirror/images', '.status.conditions');
    // As the API server has them.
    const all = JSON.parse(text ?? '[]') as readonly { readonly type: string; readonly reason: string }[];
    return all.find((one) => one.type === type)?.reason;
  };
  await waitFor(
    'the mirror misses its credentials',
    async () => (await condition('Ready')) === 'SecretNotFound',
  );
  await stage.apply(secret('pull', { username: alice.name, password: alice.password }));
  await stage.ready('registrymirror/images');

  const file = `${host.replace(/:(\d+)$/, '_$1_')}.hosts.toml`;
  const hosts = await stage.field('configmap/images-mirror-clients', `.data.${file.replaceAll('.', '\\.')}`);
  const [, address = '', own = ''] = /\[host\."https:\/\/([\d.]+):(\d+)"\]/.exec(hosts ?? '') ?? [];
  const authority = await stage.field('configmap/images-mirror-clients', '.data.mirror-ca\\.pem');
  const place = { name: address, address, port: Number(own), authority: authority ?? '' };
  const mirrored = stage.images(place, `127.0.0.1_${port}/team/app`, folder);
  await waitFor('the address of the mirror answers', () => ask(place, 'GET', '/v2/'));
  await mirrored.pull(nobody, 'v1', join(folder, 'pulled'));
  assert.equal(await mirrored.digest(nobody, 'v1'), image.digest);
  const refused = await ask(place, 'GET', `/v2/127.0.0.1_${port}/other/app/manifests/v1`);
  assert.equal(refused.status, 404);
  const asked = await ask(place, 'GET', `/v2/team/app/manifests/v1?ns=${host}`);
  assert.equal(asked.headers['docker-content-digest'], image.digest);

  let looks = 0;
  // What a server says is asked each minute, and whenever something changes.
  const look = () =>
    stage.patch('registrymirror/images', { metadata: { annotations: { look: String(++looks) } } });
  await waitFor('the status tells of the upstream', async () => {
    await look();
    return (await condition('UpstreamsReachable')) === 'UpstreamsAnswer';
  });
  const bytes = Number(await stage.field('registrymirror/images', '.status.cache.bytes'));
  assert.ok(bytes >= 0 && bytes <= 2 ** 30);

  await origin({ replicas: 0 });
  await waitFor('the Registry is gone', () =>
    ask(pushed, 'GET', '/v2/').then(
      () => false,
      () => true,
    ),
  );
  await mirrored.pull(nobody, 'v1', join(folder, 'again'));
  await waitFor('the status tells that the upstream is gone', async () => {
    // A connection from before may live a little longer.
    assert.equal(await mirrored.digest(nobody, 'v1'), image.digest);
    await look();
    return (await condition('UpstreamsReachable')) === 'UpstreamUnreachable';
  });
  assert.equal(await condition('Ready'), 'Available');
});
