import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configMaps, deployments, secrets } from '../../../src/kube/resources.ts';
import { claimedNames, namesOfOthers } from '../../../src/operator/names-of-others.ts';
import { registries, type UnreadObject } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { certificatesIn } from '../../../src/pki/certificate-chain.ts';
import { inspectCertificate, isSignedBy } from '../../../src/pki/inspect.ts';
import { subjectAlternativeNames } from '../../../src/pki/subject-alternative-names.ts';
import { DAY } from '../pki/test-authority.ts';
import { KEY, registryHarness } from './registry-harness.ts';
import { registry, registryObject } from './resource-builders.ts';

type Harness = ReturnType<typeof registryHarness>;
const OTHER = { namespace: 'people', name: 'reg' };
const shared = (spec: object = {}) => ({ ...spec, tls: { authority: 'Shared' } });
const SYSTEM = 'stevedore-system';

async function certificate({ kube }: Harness, key = KEY): Promise<string> {
  return dataText(await kube.find(secrets, { ...key, name: 'reg-tls' }), 'tls.crt') ?? '';
}

async function bundle({ kube }: Harness, key = KEY): Promise<readonly string[]> {
  return certificatesIn((await kube.find(configMaps, { ...key, name: 'reg-ca' }))?.data?.['ca.crt'] ?? '');
}

function authorities({ kube }: Harness): readonly string[] {
  return kube
    .snapshot()
    .filter(({ kind, metadata }) => kind === 'Secret' && metadata.namespace === SYSTEM)
    .map(({ metadata }) => metadata.name)
    .toSorted();
}

function put({ kube }: Harness, key: typeof KEY, spec: object): void {
  const { apiVersion, kind, spec: all } = registryObject({ spec });
  kube.put(registries, { metadata: key, apiVersion, kind, spec: all });
}

/** The servers say that they serve what is in the Secret. */
async function serve(harness: Harness, key = KEY): Promise<void> {
  const { serial } = inspectCertificate(await certificate(harness, key));
  harness.setServer({
    version: '0.1.0',
    configHash: '',
    certificate: { serial, notAfter: '' },
    readOnly: { active: false },
    openUploads: 0,
  });
  await harness.converge(key);
}

async function twoRunning(): Promise<Harness> {
  const harness = registryHarness({ sharedAuthorityNamespaces: ['team', 'people'] });
  for (const key of [KEY, OTHER]) {
    put(harness, key, shared());
    await harness.converge(key);
  }
  await harness.start();
  // The pod of the other one answers as well.
  const [pod] = harness.world.pods.list();
  assert.ok(pod !== undefined);
  const { namespace } = OTHER;
  harness.kube.put(harness.world.pods.type, { ...pod, metadata: { ...pod.metadata, namespace } });
  for (const key of [KEY, OTHER]) await serve(harness, key);
  return harness;
}

test('registries of several namespaces have certificates of one authority', async () => {
  const harness = await twoRunning();
  assert.deepEqual(authorities(harness), ['stevedore-shared-ca']);
  const [trusted = ''] = await bundle(harness);
  assert.deepEqual(await bundle(harness, OTHER), [trusted]);
  for (const key of [KEY, OTHER]) {
    assert.ok(isSignedBy(inspectCertificate(await certificate(harness, key)), inspectCertificate(trusted)));
  }
  assert.deepEqual(
    harness.children().filter((child) => child.startsWith('Secret reg-ca')),
    [],
  );
});

test('a namespace that the chart does not list gets nothing of the shared authority', async () => {
  for (const sharedAuthorityNamespaces of [[], ['other']]) {
    const harness = registryHarness({ sharedAuthorityNamespaces });
    harness.apply(shared());
    assert.equal((await harness.converge()).kind, 'stalled');
    assert.match((await harness.condition('Ready')).message, /value sharedAuthorityNamespaces\.$/);
    assert.equal((await harness.condition('CertificateReady')).reason, 'NotPermitted');
    assert.deepEqual(authorities(harness), []);
    assert.equal(await certificate(harness), '');
  }
  const all = registryHarness({ sharedAuthorityNamespaces: ['*'] });
  all.apply(shared());
  await all.converge();
  assert.deepEqual(authorities(all), ['stevedore-shared-ca']);
});

test('a Secret of that name that somebody else made is left alone', async () => {
  const harness = registryHarness({ sharedAuthorityNamespaces: ['*'] });
  harness.kube.put(secrets, { metadata: { namespace: SYSTEM, name: 'stevedore-shared-ca' } });
  harness.apply(shared());
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'NameConflict');
});

test('a shared authority goes when the last of those that share it has left it', async () => {
  const harness = await twoRunning();
  // Who may not use it holds nobody up.
  put(harness, { namespace: 'unlisted', name: 'reg' }, shared());
  const [old = ''] = await bundle(harness);
  await harness.clock.advance(615 * DAY);
  for (const key of [KEY, OTHER]) await harness.converge(key);
  assert.deepEqual(authorities(harness), ['stevedore-shared-ca', 'stevedore-shared-ca-2']);
  for (const key of [KEY, OTHER]) {
    assert.equal((await bundle(harness, key)).length, 2);
    assert.ok(isSignedBy(inspectCertificate(await certificate(harness, key)), inspectCertificate(old)));
    await serve(harness, key);
  }
  // One goes on to the new authority and is done with the old one; the other has yet to look.
  await harness.clock.advance(30 * DAY);
  await harness.converge();
  await serve(harness);
  await harness.clock.advance(2 * DAY);
  await harness.converge();
  assert.ok(!isSignedBy(inspectCertificate(await certificate(harness)), inspectCertificate(old)));
  assert.deepEqual(authorities(harness), ['stevedore-shared-ca', 'stevedore-shared-ca-2']);
  assert.equal((await bundle(harness)).length, 2);
  await harness.converge(OTHER);
  await serve(harness, OTHER);
  await harness.clock.advance(2 * DAY);
  await harness.converge(OTHER);
  for (const key of [KEY, OTHER]) await harness.converge(key);
  assert.deepEqual(authorities(harness), ['stevedore-shared-ca-2']);
  for (const key of [KEY, OTHER]) {
    const [trusted = '', ...more] = await bundle(harness, key);
    assert.deepEqual(more, []);
    assert.ok(isSignedBy(inspectCertificate(await certificate(harness, key)), inspectCertificate(trusted)));
  }
});

test('a bundle that was late makes the new authority wait there alone', async () => {
  const harness = await twoRunning();
  const [old = ''] = await bundle(harness);
  await harness.clock.advance(615 * DAY);
  await harness.converge();
  await serve(harness);
  await harness.clock.advance(30 * DAY);
  await harness.converge();
  await harness.converge(OTHER);
  assert.ok(!isSignedBy(inspectCertificate(await certificate(harness)), inspectCertificate(old)));
  assert.ok(isSignedBy(inspectCertificate(await certificate(harness, OTHER)), inspectCertificate(old)));
  assert.equal((await bundle(harness, OTHER)).length, 2);
});

test('a process that dies at any of its writes makes one shared authority', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; ; nth++) {
      const harness = registryHarness({ sharedAuthorityNamespaces: ['team'] });
      harness.apply(shared());
      const died = await harness.convergeThroughCrash(nth, when);
      assert.deepEqual(authorities(harness), ['stevedore-shared-ca'], `${when} write ${nth}`);
      assert.equal((await bundle(harness)).length, 1);
      assert.ok((await harness.kube.find(deployments, KEY)) !== undefined);
      if (!died) break;
    }
  }
});

test('an authority that the caches do not show is found', async () => {
  const harness = registryHarness({ sharedAuthorityNamespaces: ['*'] });
  harness.apply(shared());
  harness.kube.reflecting = false;
  harness.kube.put(secrets, {
    metadata: {
      namespace: SYSTEM,
      name: 'stevedore-shared-ca-3',
      labels: { 'stevedore.dev/shared-authority': 'true' },
    },
  });
  await harness.reconcile();
  assert.deepEqual(authorities(harness), ['stevedore-shared-ca-3']);
});

test('the shared authority signs for a registry what is its own alone', () => {
  const at = (creationTimestamp: string, uid: string) => ({ creationTimestamp, uid });
  const other = (namespace: string, spec: object, time: string): UnreadObject => ({
    ...registryObject({ spec, metadata: { namespace, name: 'reg', ...at(time, namespace) } }),
  });
  const objects = [
    other('old', shared({ hostname: 'old.example.com:5000' }), '2025-01-01T00:00:00Z'),
    other('young', shared({ hostname: 'young.example.com' }), '2027-01-01T00:00:00Z'),
    other('alone', { hostname: 'alone.example.com' }, '2025-01-01T00:00:00Z'),
    other('team', shared({ hostname: 'team.example.com' }), '2025-01-01T00:00:00Z'),
  ] as unknown as ReturnType<typeof registry>[];
  const claimants = (name: string) => objects.filter((object) => claimedNames(object).includes(name));
  const own = registry({ metadata: at('2026-01-01T00:00:00Z', 'own') });
  const refused = (names: readonly string[]) =>
    namesOfOthers(own, subjectAlternativeNames(names), ['10.96.0.7', 'lb.example.net'], claimants);
  assert.deepEqual(
    refused([
      'reg',
      'reg.team',
      'reg.team.svc',
      'reg.team.svc.cluster.local',
      '10.96.0.7',
      'lb.example.net',
      'mine.example.com',
      'young.example.com',
      'alone.example.com',
      'team.example.com',
    ]),
    [],
  );
  const wrong = [
    '*.example.com',
    'old.example.com',
    'localhost',
    'reg.old',
    'reg.young',
    'db.other.svc',
    'db.team.svc',
    'db.other.svc.cluster.local',
    '10.0.0.1',
  ];
  assert.deepEqual(refused(wrong).toSorted(), wrong.toSorted());
});

test('a name that is not the own one alone is left out of the certificate, and told', async () => {
  const harness = registryHarness({ sharedAuthorityNamespaces: ['*'] });
  put(harness, OTHER, shared({ hostname: 'images.example.com' }));
  await harness.converge(OTHER);
  harness.apply(shared({ hostname: 'images.example.com' }));
  await harness.converge();
  const condition = await harness.condition('CertificateReady');
  assert.equal(condition.reason, 'SANNotPermitted');
  assert.match(condition.message, /images\.example\.com/);
  assert.doesNotMatch(inspectCertificate(await certificate(harness)).x509.subjectAltName ?? '', /images/);
});
