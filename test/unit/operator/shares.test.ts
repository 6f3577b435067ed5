import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import { configMaps, namespaces, secrets } from '../../../src/kube/resources.ts';
import { registries } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { KEY, registryHarness } from './registry-harness.ts';
import { registryObject } from './resource-builders.ts';

type Harness = ReturnType<typeof registryHarness>;

const SPEC = {
  hostname: 'registry.example.com:5000',
  auth: { htpasswd: { users: [{ name: 'ci', generate: true }] } },
  tls: { trustBundleNamespaces: ['apps', 'others'] },
  pullSecrets: [{ user: 'ci', namespaces: ['apps', 'team'] }],
};
const BUNDLE = { namespace: 'apps', name: 'team.reg-ca' };
const PULL = { namespace: 'apps', name: 'team.reg-user-ci' };

function namespace(harness: Harness, name: string, labels: Readonly<Record<string, string>> = {}): void {
  harness.kube.put(namespaces, { metadata: { name, labels } });
}

function sharing(): Harness {
  const harness = registryHarness({ shareFromNamespaces: ['team'] });
  namespace(harness, 'apps', { 'stevedore.dev/accepts-from': 'team' });
  namespace(harness, 'others');
  return harness;
}

function shared(harness: Harness): readonly string[] {
  return harness.kube
    .snapshot()
    .filter(({ metadata }) => metadata.labels?.['stevedore.dev/shared-by'] !== undefined)
    .map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`)
    .toSorted();
}

async function finalizers(harness: Harness): Promise<readonly string[]> {
  return (await harness.kube.find(registries, KEY))?.metadata.finalizers ?? [];
}

/** As a user's `kubectl delete`: what has a finalizer is there until that is gone. */
function markDeleted(harness: Harness): void {
  const object = registryObject({ spec: SPEC });
  harness.kube.put(
    registries,
    { ...KEY, ...object, metadata: { ...KEY, deletionTimestamp: '2026-01-02T00:00:00Z' } },
    'api-server',
  );
}

test('a pull secret is for the host as images name it, port and all', async () => {
  for (const host of ['registry.example.com:443', '10.0.0.256:5000']) {
    const harness = sharing();
    harness.apply({ ...SPEC, hostname: host });
    await harness.converge();
    const { auths } = JSON.parse(
      dataText(await harness.kube.find(secrets, PULL), '.dockerconfigjson') ?? '',
    ) as { readonly auths: object };
    assert.deepEqual(Object.keys(auths), [host]);
  }
});

test('namespaces that take it get the bundle and the pull secret, the others nothing', async () => {
  const harness = sharing();
  harness.apply(SPEC);
  await harness.converge();
  assert.deepEqual(shared(harness), [
    'ConfigMap apps/team.reg-ca',
    'Secret apps/team.reg-user-ci',
    'Secret team/team.reg-user-ci',
  ]);
  assert.deepEqual(
    (await harness.kube.find(configMaps, BUNDLE))?.data,
    (await harness.kube.find(configMaps, { ...KEY, name: 'reg-ca' }))?.data,
  );
  const password = dataText(await harness.kube.find(secrets, { ...KEY, name: 'reg-user-ci' }), 'password');
  const secret = await harness.kube.find(secrets, PULL);
  assert.equal(secret?.type, 'kubernetes.io/dockerconfigjson');
  assert.deepEqual(JSON.parse(dataText(secret, '.dockerconfigjson') ?? ''), {
    auths: {
      'registry.example.com:5000': {
        username: 'ci',
        password,
        auth: Buffer.from(`ci:${password ?? ''}`).toString('base64'),
      },
    },
  });
  assert.ok((await harness.conditions()).includes('SharesReady=False NotPermitted'));
  assert.deepEqual(await finalizers(harness), ['stevedore.dev/shares']);
  namespace(harness, 'others', { 'stevedore.dev/accepts-from': 'any' });
  await harness.converge();
  assert.ok(shared(harness).includes('ConfigMap others/team.reg-ca'));
  assert.ok((await harness.conditions()).includes('SharesReady=True Shared'));
});

test('a namespace that the chart does not list shares nothing, and learns nothing', async () => {
  const harness = registryHarness();
  namespace(harness, 'apps', { 'stevedore.dev/accepts-from': 'any' });
  harness.apply(SPEC);
  await harness.converge();
  assert.deepEqual(shared(harness), ['Secret team/team.reg-user-ci']);
  const { status } = await harness.registry();
  const { message = '' } = status?.conditions?.find(({ type }) => type === 'SharesReady') ?? {};
  assert.match(message, /Registries of the namespace team may put nothing into other namespaces/);
  assert.deepEqual(await finalizers(harness), []);
});

test('what is no longer asked for is taken back, and the finalizer with it', async () => {
  const harness = sharing();
  harness.apply(SPEC);
  await harness.converge();
  harness.apply({ ...SPEC, pullSecrets: [{ user: 'ci', namespaces: ['team'] }] });
  await harness.converge();
  assert.deepEqual(shared(harness), ['ConfigMap apps/team.reg-ca', 'Secret team/team.reg-user-ci']);
  harness.apply({ tls: { mode: 'Disabled' } });
  await harness.converge();
  assert.deepEqual(shared(harness), []);
  assert.deepEqual(await finalizers(harness), []);
});

test('a Registry that is deleted takes back what lies elsewhere, also when it is cut off', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= 3; nth++) {
      const harness = sharing();
      harness.apply(SPEC);
      await harness.converge();
      markDeleted(harness);
      await harness.convergeThroughCrash(nth, when);
      assert.deepEqual(shared(harness), ['Secret team/team.reg-user-ci'], `${when} ${nth}`);
      assert.deepEqual(await finalizers(harness), []);
    }
  }
});

test('nothing lies elsewhere before the finalizer does, whenever the process dies', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= 14; nth++) {
      const harness = sharing();
      harness.apply(SPEC);
      harness.kube.crashAt = nth;
      harness.kube.crashWhen = when;
      await harness.converge().catch(() => undefined);
      const elsewhere = shared(harness).filter((object) => object.includes(' apps/'));
      if (elsewhere.length > 0) assert.deepEqual(await finalizers(harness), ['stevedore.dev/shares']);
    }
  }
});

test('an object of that name that somebody else made is left alone, and what is refused is told', async () => {
  const harness = sharing();
  harness.kube.put(configMaps, { metadata: BUNDLE, data: { mine: 'yes' } });
  harness.kube.refuse = (write) =>
    write.includes('Secret apps/')
      ? new ApiError({ status: 403, reason: 'Forbidden', message: 'exceeded quota', retryAfterMs: undefined })
      : undefined;
  harness.apply(SPEC);
  await harness.converge();
  assert.deepEqual((await harness.kube.find(configMaps, BUNDLE))?.data, { mine: 'yes' });
  const { status } = await harness.registry();
  const { message = '' } = status?.conditions?.find(({ type }) => type === 'SharesReady') ?? {};
  assert.match(message, /ConfigMap apps\/team\.reg-ca that this Registry has not made/);
  assert.match(message, /refuses the Secret apps\/team\.reg-user-ci: .*exceeded quota/);
  assert.ok(status?.conditions?.every(({ reason }) => reason !== 'Refused'));
});

test('what was shared before the operator was told to stay in one namespace is told, and named for who can', async () => {
  const harness = registryHarness();
  harness.apply({});
  harness.kube.put(registries, { metadata: { ...KEY, finalizers: ['stevedore.dev/shares'] } }, 'finalizer');
  const forbidden = new ApiError({
    status: 403,
    reason: 'Forbidden',
    message: 'no',
    retryAfterMs: undefined,
  });
  harness.kube.refuseList = (namespace) => (namespace === undefined ? forbidden : undefined);
  await harness.converge();
  const { reason, message } = await harness.condition('SharesReady');
  assert.equal(reason, 'NotPermitted');
  assert.match(
    message,
    /kubectl delete configmaps,secrets --all-namespaces --selector=stevedore\.dev\/shared-by=\w+/,
  );
  harness.kube.put(
    registries,
    { metadata: { ...KEY, deletionTimestamp: '2026-01-01T00:00:00Z' } },
    'deleter',
  );
  assert.equal((await harness.reconcile()).kind, 'stalled');
  assert.ok(harness.events.some(({ type, reason: why }) => type === 'Warning' && why === 'NotPermitted'));
});

test('a pull secret for a user without a password is told', async () => {
  const harness = sharing();
  harness.apply({ ...SPEC, pullSecrets: [{ user: 'nobody', namespaces: ['team'] }] });
  await harness.converge();
  const { status } = await harness.registry();
  const { message = '' } = status?.conditions?.find(({ type }) => type === 'SharesReady') ?? {};
  assert.match(message, /No user nobody of auth\.htpasswd\.users has a password/);
});
