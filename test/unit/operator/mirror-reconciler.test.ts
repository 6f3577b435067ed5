import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configMaps, deployments, namespaces, secrets } from '../../../src/kube/resources.ts';
import { registryMirrors } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { authorityPair, DAY } from '../pki/test-authority.ts';
import { KEY, mirrorHarness } from './mirror-harness.ts';
import { passwordSecret } from './resource-builders.ts';

const PRIVATE = 'registry.example.com:5000';
const withLogin = (fields: object = {}) => ({
  upstreams: [
    { host: 'docker.io' },
    {
      host: PRIVATE,
      credentialsSecretRef: { name: 'pull' },
      allowedRepositories: ['team/**'],
      ...fields,
    },
  ],
});
const login = passwordSecret('pull', { username: 'robot', password: 'one\n' });

async function upstreamSecret(harness: ReturnType<typeof mirrorHarness>) {
  const name = harness.children().find((child) => child.startsWith('Secret reg-mirror-upstream-'));
  return name === undefined ? undefined : harness.kube.find(secrets, { ...KEY, name: name.slice(7) });
}

test('a RegistryMirror gets its children, and then nothing is written any more', async () => {
  const harness = mirrorHarness();
  harness.apply();
  await harness.start();
  assert.deepEqual(harness.children(), [
    'ConfigMap reg-mirror-ca',
    'ConfigMap reg-mirror-clients',
    'ConfigMap reg-mirror-config',
    'Deployment reg-mirror',
    'PersistentVolumeClaim reg-mirror',
    'Secret reg-mirror-ca',
    'Secret reg-mirror-tls',
    'Service reg-mirror',
  ]);
  const writes = harness.kube.writes.length;
  await harness.clock.advance(3_600_000);
  await harness.reconcile();
  assert.equal(harness.kube.writes.length, writes);
});

test('a RegistryMirror and a Registry of one name have nothing in common', async () => {
  const harness = mirrorHarness();
  await harness.addRegistry();
  const before = harness.children();
  harness.apply();
  await harness.start();
  await harness.addRegistry();
  const own = harness.children().filter((child) => !before.includes(child));
  assert.equal(own.length, 8);
  assert.ok(own.every((child) => child.includes(' reg-mirror')));
  const mirrored = await harness.kube.find(deployments, { ...KEY, name: 'reg-mirror' });
  const pushed = await harness.kube.find(deployments, KEY);
  assert.notDeepEqual(mirrored?.spec?.selector, pushed?.spec?.selector);
  assert.equal((await harness.conditions())[0], 'Ready=True Available');
});

test('children are the same whatever write the operator dies at', async () => {
  const namesAfter = async (nth: number, when: 'before' | 'after') => {
    const harness = mirrorHarness();
    harness.kube.put(secrets, login);
    harness.apply(withLogin());
    const died = await harness.convergeThroughCrash(nth, when);
    return { died, children: harness.children() };
  };
  const whole = (await namesAfter(Infinity, 'before')).children;
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; ; nth++) {
      const { died, children } = await namesAfter(nth, when);
      assert.deepEqual(children, whole);
      if (!died) break;
    }
  }
});

test('credentials that are not there keep the pods waiting, and the message says what to do', async () => {
  const harness = mirrorHarness();
  harness.apply(withLogin());
  await harness.converge();
  assert.equal((await harness.conditions())[0], 'Ready=False SecretNotFound');
  assert.match(
    await harness.message('Ready'),
    /no Secret pull, which spec\.upstreams\[1\]\.credentialsSecretRef/,
  );
  harness.kube.put(secrets, passwordSecret('pull', { username: 'robot', password: 'one' }, {}));
  await harness.converge();
  assert.equal((await harness.conditions())[0], 'Ready=False NotPermitted');
  assert.match(await harness.message('Ready'), /kubectl label secret pull stevedore.dev\/use=credentials/);
  harness.kube.put(secrets, passwordSecret('pull', { username: 'robot' }));
  await harness.converge();
  assert.equal((await harness.conditions())[0], 'Ready=False KeyNotFound');
  assert.equal(await upstreamSecret(harness), undefined);
});

test('credentials reach the server as files, and another password restarts nothing', async () => {
  const harness = mirrorHarness();
  harness.kube.put(secrets, login);
  harness.apply(withLogin());
  await harness.start();
  const first = await upstreamSecret(harness);
  assert.equal(dataText(first, 'username'), 'robot');
  assert.equal(dataText(first, 'password'), 'one');
  const key = { ...KEY, name: 'reg-mirror' };
  const before = await harness.kube.find(deployments, key);
  const mounts = before?.spec?.template.spec?.containers[0]?.volumeMounts ?? [];
  assert.ok(
    mounts.some(({ mountPath }) => mountPath === '/etc/stevedore/upstreams/registry.example.com_5000'),
  );
  harness.kube.put(secrets, passwordSecret('pull', { username: 'robot', password: 'two' }));
  await harness.converge();
  assert.equal(dataText(await upstreamSecret(harness), 'password'), 'two');
  const after = await harness.kube.find(deployments, key);
  assert.equal(after?.metadata.generation, before?.metadata.generation);
});

test('credentials that are taken away stay in force while the mirror is told to use them, and the status says so', async () => {
  const harness = mirrorHarness();
  harness.kube.put(secrets, login);
  harness.apply(withLogin());
  await harness.start({ upstreams: [{ host: PRIVATE, reachable: true }], cache: { bytes: 0 } });
  harness.kube.remove(secrets, login.metadata);
  await harness.converge();
  assert.ok((await harness.conditions()).includes('Ready=True Available'));
  assert.ok((await harness.conditions()).includes('UpstreamsReachable=False SecretNotFound'));
  assert.equal(dataText(await upstreamSecret(harness), 'password'), 'one');
  harness.apply();
  await harness.converge();
  assert.equal(await upstreamSecret(harness), undefined);
});

test('of a Secret for pulling the entries of the upstream are copied and no others', async () => {
  const harness = mirrorHarness();
  const auths = {
    'https://index.docker.io/v1/': { auth: 'aHVi' },
    [PRIVATE]: { auth: 'cHJpdmF0ZQ==' },
    [`https://${PRIVATE}/v2/`]: { username: 'robot', password: 'one' },
  };
  harness.kube.put(secrets, passwordSecret('pull', { '.dockerconfigjson': JSON.stringify({ auths }) }));
  harness.apply(withLogin());
  await harness.converge();
  const copied = dataText(await upstreamSecret(harness), '.dockerconfigjson') ?? '';
  const { 'https://index.docker.io/v1/': _, ...own } = auths;
  assert.deepEqual(JSON.parse(copied), { auths: own });
  harness.kube.put(secrets, passwordSecret('pull', { '.dockerconfigjson': '{"auths":{"other":{}}}' }));
  harness.apply({ ...withLogin(), upstreams: [{ host: 'quay.io', credentialsSecretRef: { name: 'pull' } }] });
  await harness.converge();
  assert.match(await harness.message('Ready'), /or \.dockerconfigjson with an entry for quay\.io/);
});

test('authorities come from a ConfigMap, and what is no certificate never reaches the server', async () => {
  const now = Date.now();
  const { certificate } = authorityPair({ notBefore: now - DAY, notAfter: now + DAY });
  const harness = mirrorHarness();
  const spec = { upstreams: [{ host: PRIVATE, caBundleRef: { configMapName: 'authority' } }] };
  const put = (text: string) =>
    harness.kube.put(configMaps, { metadata: { ...KEY, name: 'authority' }, data: { 'ca.crt': text } });
  put('nonsense');
  harness.apply(spec);
  await harness.converge();
  assert.ok((await harness.conditions()).includes('Stalled=True EntryInvalid'));
  put(certificate);
  await harness.start();
  assert.equal(dataText(await upstreamSecret(harness), 'ca.crt'), certificate);
  put('nonsense');
  await harness.converge();
  assert.ok((await harness.conditions()).includes('UpstreamsReachable=False EntryInvalid'));
  assert.equal(dataText(await upstreamSecret(harness), 'ca.crt'), certificate);
});

test('the status has what the server says of upstreams and cache, and does not change with each pull', async () => {
  const harness = mirrorHarness();
  harness.apply();
  const limit = 20 * 2 ** 30;
  const down = { host: 'docker.io', reachable: false, lastError: 'connection refused' };
  await harness.start({ upstreams: [down, { host: 'quay.io' }], cache: { bytes: limit / 4 + 4096, limit } });
  const { status } = await harness.mirror();
  assert.deepEqual(status?.upstreams, [down, { host: 'quay.io' }]);
  assert.ok(Math.abs((status?.cache?.bytes ?? 0) - limit / 4) <= limit / 100);
  assert.ok((await harness.conditions()).includes('Ready=True Available'));
  assert.ok((await harness.conditions()).includes('UpstreamsReachable=False UpstreamUnreachable'));
  assert.equal(await harness.message('UpstreamsReachable'), 'docker.io: connection refused');
  const writes = harness.kube.writes.length;
  await harness.start({ upstreams: [down, { host: 'quay.io' }], cache: { bytes: limit / 4 + 8192, limit } });
  assert.equal(harness.kube.writes.length, writes);
  await harness.start({ upstreams: [{ host: 'docker.io', reachable: true }], cache: { bytes: 0, limit } });
  assert.ok((await harness.conditions()).includes('UpstreamsReachable=True UpstreamsAnswer'));
  await harness.start({ upstreams: [{ host: 'docker.io' }], cache: { bytes: 0, limit } });
  assert.ok((await harness.conditions()).includes('UpstreamsReachable=Unknown NotAskedYet'));
});

test('the bundle of a mirror in another namespace is not that of a Registry of the same name, and is taken back', async () => {
  const harness = mirrorHarness({ shareFromNamespaces: ['team'] });
  const labels = { 'stevedore.dev/accepts-from': 'team' };
  harness.kube.put(namespaces, { metadata: { name: 'apps', labels } });
  harness.apply({ tls: { trustBundleNamespaces: ['apps'] } });
  await harness.converge();
  const shared = { namespace: 'apps', name: 'team.reg-mirror-ca' };
  assert.ok(await harness.kube.find(configMaps, shared));
  await harness.addRegistry();
  assert.ok(await harness.kube.find(configMaps, shared));
  assert.deepEqual((await harness.kube.find(registryMirrors, KEY))?.metadata.finalizers, [
    'stevedore.dev/shares',
  ]);
  harness.apply();
  await harness.converge();
  assert.equal(await harness.kube.find(configMaps, shared), undefined);
});
