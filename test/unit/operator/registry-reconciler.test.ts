import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import {
  configMaps,
  deployments,
  persistentVolumeClaims,
  secrets,
  services,
} from '../../../src/kube/resources.ts';
import { registries } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { inspectCertificate, isSignedBy } from '../../../src/pki/inspect.ts';
import { authorityPair } from '../pki/test-authority.ts';
import { passwordSecret, user } from './resource-builders.ts';
import { KEY, registryHarness } from './registry-harness.ts';

const withUsers = (...names: string[]) => ({
  auth: { htpasswd: { users: names.map((name) => user(name)) } },
});
const named = (name: string) => ({ ...KEY, name });

const CHILDREN = [
  'ConfigMap reg-access',
  'ConfigMap reg-ca',
  'ConfigMap reg-config',
  'Deployment reg',
  'PersistentVolumeClaim reg',
  'Secret reg-ca',
  'Secret reg-htpasswd',
  'Secret reg-tls',
  'Service reg',
];

async function running(spec: object = withUsers('alice')) {
  const harness = registryHarness();
  harness.putSecret(passwordSecret('alice', { password: 'one' }));
  harness.apply(spec);
  await harness.converge();
  await harness.start();
  return harness;
}

test('a Registry gets its children, and then nothing is written any more', async () => {
  const harness = registryHarness();
  harness.putSecret(passwordSecret('alice', { password: 'one\n' }));
  harness.apply(withUsers('alice'));
  await harness.converge();
  assert.deepEqual(harness.children(), CHILDREN);
  assert.deepEqual(await harness.conditions(), [
    'Ready=False Progressing',
    'Reconciling=True Progressing',
    'CertificateReady=Unknown StatusUnknown',
    'UsersReady=Unknown StatusUnknown',
    'StorageReady=False ClaimPending',
    'ReadOnly=Unknown StatusUnknown',
  ]);
  const writes = harness.kube.writes.length;
  await harness.clock.advance(3_600_000);
  await harness.reconcile();
  assert.equal(harness.kube.writes.length, writes);
});

test('a Registry is ready when its pod is, and its facts are what the server says', async () => {
  const harness = await running();
  await harness.converge();
  assert.deepEqual((await harness.conditions()).slice(0, 5), [
    'Ready=True Available',
    'Reconciling=True Propagating',
    'Degraded=False WithinLimits',
    'CertificateReady=False Propagating',
    'UsersReady=False Propagating',
  ]);
  const { status } = await harness.registry();
  const hash = createHash('sha256')
    .update(await harness.htpasswd())
    .digest('hex');
  harness.setServer({
    version: '0.1.0',
    configHash: createHash('sha256')
      .update((await harness.kube.find(configMaps, named('reg-config')))?.data?.['config.yml'] ?? '')
      .digest('hex'),
    certificate: { serial: status?.certificate?.serial ?? '', notAfter: '' },
    users: { count: 1, hash, errors: [] },
    access: {
      hash: sha256((await harness.kube.find(configMaps, named('reg-access')))?.data?.['access.yml'] ?? ''),
    },
    readOnly: { active: true, reason: 'Draining', since: '2026-01-01T00:00:00Z' },
    openUploads: 1,
  });
  const outcome = await harness.converge();
  assert.deepEqual(await harness.conditions(), [
    'Ready=True Available',
    'Degraded=False WithinLimits',
    'CertificateReady=True Serving',
    'UsersReady=True InForce',
    'StorageReady=True Bound',
    'ReadOnly=True Draining',
  ]);
  const after = await harness.registry();
  assert.equal(after.status?.certificate?.serving, true);
  assert.deepEqual(after.status.readOnly, {
    active: true,
    reason: 'Draining',
    since: '2026-01-01T00:00:00Z',
  });
  assert.deepEqual(after.status.users, { count: 1 });
  assert.deepEqual(outcome, { kind: 'waiting', afterMs: 2000, reason: 'ServerStatus' });
});

test('a process that dies at any of its writes leaves what the next one finishes', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; ; nth++) {
      const harness = registryHarness();
      harness.putSecret(passwordSecret('alice', { password: 'one' }));
      harness.apply({
        ...withUsers('alice'),
        storage: { filesystem: { size: '20Gi', deletionPolicy: 'Delete' } },
      });
      const died = await harness.convergeThroughCrash(nth, when);
      assert.deepEqual(harness.children(), CHILDREN, `${when} write ${nth}`);
      // Once more only where the hash died with the process.
      assert.ok(harness.hasher.hashed.length <= 2);
      for (const { kind, metadata } of harness.kube
        .snapshot()
        .filter(({ metadata }) => metadata.name.startsWith('reg') && metadata.name !== 'reg-1')) {
        if (kind !== 'Registry')
          assert.equal(metadata.ownerReferences?.length, 1, `${kind} ${metadata.name} has its owner`);
      }
      if (!died) {
        assert.ok(nth > 8, `there were only ${nth - 1} writes`);
        break;
      }
    }
  }
});

test('caches that lag behind cost no second certificate and no second hash', async () => {
  const harness = registryHarness();
  harness.putSecret(passwordSecret('alice', { password: 'one' }));
  harness.apply(withUsers('alice'));
  harness.kube.reflecting = false;
  await harness.reconcile();
  const before = harness.kube.snapshot();
  await harness.reconcile();
  harness.kube.reflect();
  await harness.converge();
  assert.deepEqual(harness.hasher.hashed, ['one']);
  for (const name of ['reg-ca', 'reg-tls']) {
    const old = before.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name);
    assert.deepEqual(
      (await harness.kube.find(secrets, named(name)))?.data,
      (old as { data?: unknown } | undefined)?.data,
    );
  }
});

test('a Registry made anew finds the authority and the claim of the old one', async () => {
  const harness = await running();
  const authority = await harness.kube.find(secrets, named('reg-ca'));
  const claim = await harness.kube.find(persistentVolumeClaims, KEY);
  assert.equal(authority?.metadata.ownerReferences, undefined);
  assert.equal(claim?.metadata.ownerReferences, undefined);
  harness.kube.remove(registries, KEY);
  for (const [type, name] of [
    [services, 'reg'],
    [deployments, 'reg'],
    [secrets, 'reg-tls'],
    [secrets, 'reg-htpasswd'],
    [configMaps, 'reg-ca'],
    [configMaps, 'reg-access'],
    [configMaps, 'reg-config'],
  ] as const) {
    harness.kube.remove(type, named(name));
  }
  harness.apply(withUsers('alice'));
  await harness.converge();
  const again = await harness.kube.find(secrets, named('reg-ca'));
  assert.equal(again?.metadata.uid, authority?.metadata.uid);
  const bundle = (await harness.kube.find(configMaps, named('reg-ca')))?.data?.['ca.crt'] ?? '';
  assert.equal(bundle, dataText(authority, 'tls.crt'));
  const server = dataText(await harness.kube.find(secrets, named('reg-tls')), 'tls.crt') ?? '';
  assert.ok(isSignedBy(inspectCertificate(server), inspectCertificate(bundle)));
});

test('the authority and the claim follow the deletion policy', async () => {
  const harness = await running({});
  const policy = (deletionPolicy: string) => ({ storage: { filesystem: { size: '20Gi', deletionPolicy } } });
  const owners = async () => [
    (await harness.kube.find(secrets, named('reg-ca')))?.metadata.ownerReferences?.length,
    (await harness.kube.find(persistentVolumeClaims, KEY))?.metadata.ownerReferences?.length,
  ];
  const data = (await harness.kube.find(secrets, named('reg-ca')))?.data;
  harness.apply(policy('Delete'));
  await harness.converge();
  assert.deepEqual(await owners(), [1, 1]);
  harness.apply(policy('Retain'));
  await harness.converge();
  assert.deepEqual(await owners(), [undefined, undefined]);
  assert.deepEqual((await harness.kube.find(secrets, named('reg-ca')))?.data, data);
});

test('an object of that name that belongs to somebody else is left alone and named', async () => {
  const harness = registryHarness();
  harness.kube.put(configMaps, { metadata: named('reg-config'), data: { mine: 'yes' } });
  harness.apply();
  const outcome = await harness.converge();
  assert.equal(outcome.kind, 'stalled');
  assert.deepEqual((await harness.conditions()).slice(0, 2), [
    'Ready=False NameConflict',
    'Stalled=True NameConflict',
  ]);
  const { status } = await harness.registry();
  assert.match(status?.conditions?.[0]?.message ?? '', /ConfigMap reg-config .* label it/);
  assert.deepEqual((await harness.kube.find(configMaps, named('reg-config')))?.data, { mine: 'yes' });
});

test('a child of an earlier Registry of this name is waited for', async () => {
  const harness = registryHarness();
  const owner = {
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'Registry',
    name: 'reg',
    uid: 'old',
    controller: true,
  };
  harness.kube.put(services, { metadata: { ...KEY, ownerReferences: [owner] } });
  harness.apply();
  assert.deepEqual(await harness.converge(), {
    kind: 'waiting',
    afterMs: 1000,
    reason: 'PredecessorTerminating',
  });
  harness.kube.remove(services, KEY);
  await harness.converge();
  assert.equal(
    (await harness.kube.find(services, KEY))?.metadata.ownerReferences?.[0]?.uid,
    (await harness.registry()).metadata.uid,
  );
});

test('what somebody changes in a child is put back, and what others add stays', async () => {
  const harness = await running({});
  await harness.kube.patch(services, KEY, { spec: { type: 'ExternalName', sessionAffinity: 'None' } });
  await harness.converge();
  assert.equal((await harness.kube.find(services, KEY))?.spec?.type, 'ClusterIP');
  harness.kube.put(services, { metadata: KEY, spec: { sessionAffinity: 'ClientIP' } }, 'somebody');
  await harness.converge();
  assert.equal((await harness.kube.find(services, KEY))?.spec?.sessionAffinity, 'ClientIP');
});

test('a user whose Secret is missing is named; the others work, and it heals', async () => {
  const harness = registryHarness();
  harness.putSecret(passwordSecret('alice', { password: 'one' }));
  harness.putSecret(passwordSecret('carol', { password: 'three' }, {}));
  harness.apply(withUsers('alice', 'bob', 'carol'));
  const outcome = await harness.converge();
  assert.deepEqual(outcome, { kind: 'waiting', afterMs: 30_000, reason: 'UsersIncomplete' });
  assert.match(await harness.htpasswd(), /^alice:[^\n]+\n$/);
  const { status } = await harness.registry();
  assert.deepEqual(
    status?.users?.errors?.map(({ name, reason }) => [name, reason]),
    [
      ['bob', 'SecretNotFound'],
      ['carol', 'NotPermitted'],
    ],
  );
  assert.ok(!JSON.stringify(status).includes('three'));
  assert.ok((await harness.conditions()).includes('UsersReady=False SecretNotFound'));

  harness.putSecret(passwordSecret('bob', { password: 'two' }));
  harness.putSecret(passwordSecret('carol', { password: 'three' }));
  await harness.converge();
  assert.deepEqual(
    (await harness.htpasswd()).split('\n').map((line) => line.split(':')[0]),
    ['alice', 'bob', 'carol', ''],
  );
  assert.deepEqual(harness.hasher.hashed, ['one', 'two', 'three'], 'a hash that fits is kept');
  assert.equal((await harness.registry()).status?.users?.errors, undefined);
});

test('a new password is hashed, and a Secret that is gone takes its user with it', async () => {
  const harness = await running();
  const before = await harness.htpasswd();
  harness.putSecret(passwordSecret('alice', { password: 'two' }));
  await harness.converge();
  assert.notEqual(await harness.htpasswd(), before);
  assert.deepEqual(harness.hasher.hashed, ['one', 'two']);
  harness.kube.remove(secrets, named('alice'));
  await harness.converge();
  assert.equal(await harness.htpasswd(), '');
});

test('the certificate follows the names, and is renewed after two thirds of its life', async () => {
  const harness = await running({});
  const certificate = async () =>
    inspectCertificate(dataText(await harness.kube.find(secrets, named('reg-tls')), 'tls.crt') ?? '');
  const first = await certificate();
  assert.ok(first.dnsNames.includes('reg.team.svc'));
  harness.kube.put(
    services,
    {
      metadata: KEY,
      spec: { clusterIPs: ['10.96.0.7'] },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'lb.example.com' }] } },
    },
    'cloud',
  );
  harness.apply({ hostname: 'registry.example.com:5000', tls: { dnsNames: ['images.example.com'] } });
  await harness.converge();
  const second = await certificate();
  assert.deepEqual(second.ipAddresses, ['10.96.0.7', '192.0.2.1']);
  for (const name of ['images.example.com', 'lb.example.com', 'registry.example.com'])
    assert.ok(second.dnsNames.includes(name), name);
  assert.equal(harness.events.filter(({ reason }) => reason === 'CertificateIssued').length, 2);

  const due = Date.parse((await harness.registry()).status?.certificate?.renewalTime ?? '');
  await harness.clock.advance(due - harness.clock.now() - 1000);
  await harness.converge();
  assert.equal((await certificate()).serial, second.serial);
  await harness.clock.advance(1000);
  await harness.converge();
  assert.notEqual((await certificate()).serial, second.serial);
});

test('an own authority near its end is told of, and certificates are not issued in a loop', async () => {
  const harness = registryHarness();
  const now = harness.clock.now();
  const own = authorityPair({ notBefore: now, notAfter: now + 730 * 86_400_000 });
  harness.putSecret(passwordSecret('corporate', { 'tls.crt': own.certificate, 'tls.key': own.key }));
  harness.apply({ tls: { caSecretRef: { name: 'corporate' } } });
  await harness.converge();
  await harness.start();
  await harness.clock.advance(700 * 86_400_000);
  await harness.converge();
  assert.ok((await harness.conditions()).includes('CertificateReady=False AuthorityExpiring'));
  await harness.clock.advance(29 * 86_400_000);
  const writes = harness.kube.writes.length;
  const outcome = await harness.converge();
  assert.ok(outcome.kind === 'waiting' && outcome.afterMs >= 2000);
  assert.equal(harness.kube.writes.length, writes);
  await harness.clock.advance(2 * 86_400_000);
  assert.equal((await harness.converge()).kind, 'stalled');
  assert.deepEqual(
    (await harness.conditions()).filter((text) => /Authority/.test(text)),
    [
      'Ready=False AuthorityUnusable',
      'Stalled=True AuthorityUnusable',
      'CertificateReady=False AuthorityUnusable',
    ],
  );
});

test('an authority that was broken is not replaced', async () => {
  const harness = await running({});
  const secret = await harness.kube.find(secrets, named('reg-ca'));
  const data = { ...secret?.data, 'tls.key': Buffer.from('garbage').toString('base64') };
  harness.kube.put(
    secrets,
    { metadata: { ...named('reg-ca'), labels: secret?.metadata.labels ?? {} }, data },
    'creator',
  );
  assert.equal((await harness.converge()).kind, 'stalled');
  assert.deepEqual((await harness.kube.find(secrets, named('reg-ca')))?.data, data);
});

test('what the spec no longer asks for goes, and the authority stays', async () => {
  const harness = await running();
  harness.apply({ tls: { mode: 'Disabled' } });
  await harness.converge();
  assert.deepEqual(harness.children(), [
    'ConfigMap reg-config',
    'Deployment reg',
    'PersistentVolumeClaim reg',
    'Secret reg-ca',
    'Service reg',
  ]);
  assert.ok(!(await harness.conditions()).some((text) => /Certificate|Users/.test(text)));
});

test('what the API server refuses is a condition', async () => {
  const harness = registryHarness();
  harness.kube.refuse = (write) =>
    write.startsWith('apply Service')
      ? new ApiError({
          status: 422,
          reason: 'Invalid',
          message: 'provided port is already allocated',
          retryAfterMs: undefined,
        })
      : undefined;
  harness.apply();
  assert.equal((await harness.converge()).kind, 'stalled');
  const { status } = await harness.registry();
  assert.deepEqual((await harness.conditions()).slice(0, 2), ['Ready=False Refused', 'Stalled=True Refused']);
  assert.match(status?.conditions?.[0]?.message ?? '', /Service reg: provided port is already allocated/);
});

test('a registry that not one user can log in to is not ready, and each problem has a line', async () => {
  const harness = registryHarness();
  harness.apply(withUsers('alice', 'bob'));
  await harness.converge();
  await harness.start();
  const says = async (count: number) => {
    harness.setServer({
      version: '1',
      configHash: '',
      users: { count, hash: '', errors: [] },
      readOnly: { active: false },
      openUploads: 0,
    });
    await harness.converge();
    return harness.condition('Ready');
  };
  const { reason, message } = await says(0);
  assert.equal(reason, 'NobodyCanLogIn');
  assert.match(
    message,
    /^Not one user can log in\. alice: There is no Secret alice\..*\nbob: There is no Secret bob\./,
  );
  assert.equal((await says(1)).status, 'True', 'whom the server still has can log in');
  harness.apply({ auth: { htpasswd: { users: [] } } });
  assert.equal((await says(0)).status, 'True', 'who asks for nobody gets nobody');
});

test('an existing claim is used, and looked for while it is not there', async () => {
  const harness = registryHarness();
  harness.apply({ storage: { filesystem: { existingClaim: 'old' } } });
  const missing = await harness.converge();
  assert.equal(missing.kind === 'waiting' && missing.reason, 'ClaimNotFound');
  assert.match((await harness.condition('StorageReady')).message, /no PersistentVolumeClaim old/);
  assert.ok((await harness.conditions()).includes('StorageReady=False ClaimNotFound'));
  harness.kube.put(persistentVolumeClaims, {
    metadata: { ...named('old'), labels: { 'stevedore.dev/use': 'credentials' } },
    status: { phase: 'Bound', capacity: { storage: '1Gi' } },
  });
  await harness.converge();
  assert.ok((await harness.conditions()).includes('StorageReady=True Bound'));
  const claim = (await harness.kube.find(deployments, KEY))?.spec?.template.spec?.volumes?.[0]
    ?.persistentVolumeClaim;
  assert.equal(claim?.claimName, 'old');
});

test('an existing claim is used with the leave of its owner alone', async () => {
  const harness = registryHarness();
  harness.apply({ storage: { filesystem: { existingClaim: 'old' } } });
  harness.kube.put(persistentVolumeClaims, { metadata: named('old'), spec: {} });
  const outcome = await harness.converge();
  assert.equal(outcome.kind === 'waiting' && outcome.reason, 'NotPermitted');
  const { message } = await harness.condition('StorageReady');
  assert.match(message, /kubectl label persistentvolumeclaim old stevedore\.dev\/use=credentials$/);
  assert.ok(!harness.children().includes('Deployment reg'));
});

test('a Registry that is being deleted, or gone, is left alone', async () => {
  const harness = registryHarness();
  assert.deepEqual(await harness.reconcile(), { kind: 'done' });
  harness.kube.put(registries, {
    metadata: { ...KEY, deletionTimestamp: '2026-01-01T00:00:00Z' },
    spec: {},
  });
  assert.deepEqual(await harness.reconcile(), { kind: 'done' });
  assert.deepEqual(harness.kube.writes, []);
});

test('what was ready and is not counts as degraded after five minutes, to the second', async () => {
  const harness = await running({});
  await harness.converge();
  const stop = (availableReplicas: number) =>
    harness.kube.put(
      deployments,
      {
        metadata: KEY,
        status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas },
      },
      'deployment-controller',
    );
  const degraded = async () => (await harness.conditions()).filter((text) => text.startsWith('Degraded'));
  stop(0);
  harness.setServer(undefined);
  await harness.converge();
  assert.deepEqual(await degraded(), ['Degraded=False WithinLimits']);
  await harness.clock.advance(299_000);
  const writes = harness.kube.writes.length;
  assert.deepEqual(await harness.converge(), { kind: 'waiting', afterMs: 1000, reason: 'Degradation' });
  assert.equal(harness.kube.writes.length, writes);
  await harness.clock.advance(1000);
  await harness.converge();
  assert.deepEqual(await degraded(), ['Degraded=True NotReady']);
  assert.match((await harness.condition('Degraded')).message, /^Not ready since 2026-\S+ \(Progressing\): /);
  assert.deepEqual(
    harness.events.filter(({ reason }) => reason === 'NotReady').map(({ type }) => type),
    ['Warning'],
  );
  // No more writes, however long it lasts.
  const after = harness.kube.writes.length;
  await harness.clock.advance(3_600_000);
  await harness.converge();
  assert.equal(harness.kube.writes.length, after);
  stop(1);
  await harness.converge();
  assert.deepEqual(await degraded(), ['Degraded=False WithinLimits']);
});

test('what stands still by a mistake in its spec is looked at again when it counts as degraded', async () => {
  const harness = await running({});
  await harness.converge();
  harness.kube.remove(services, KEY);
  harness.kube.put(services, { metadata: KEY, spec: {} });
  const outcome = await harness.converge();
  assert.partialDeepStrictEqual(outcome, { kind: 'stalled', afterMs: 300_000, reason: 'NameConflict' });
  await harness.clock.advance(300_000);
  assert.equal('afterMs' in (await harness.converge()), false);
  assert.match((await harness.condition('Degraded')).message, /\(NameConflict\): There is a Service reg/);
});

test('what never was ready, or is stopped on purpose, is not degraded', async () => {
  const fresh = registryHarness();
  fresh.apply({});
  await fresh.converge();
  await fresh.clock.advance(3_600_000);
  await fresh.converge();
  const stopped = await running({});
  await stopped.converge();
  stopped.apply({ replicas: 0 });
  await stopped.converge();
  for (const harness of [fresh, stopped]) {
    assert.deepEqual(
      (await harness.conditions()).filter((text) => text.startsWith('Degraded')),
      [],
    );
  }
});

test('events tell of transitions, once', async () => {
  const harness = await running({});
  await harness.converge();
  await harness.converge();
  assert.deepEqual(
    harness.events.map(({ reason }) => reason),
    ['CertificateIssued', 'Available', 'Bound'],
  );
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
