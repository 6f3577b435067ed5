import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { configMaps, secrets, type ForeignObject } from '../../../src/kube/resources.ts';
import { foreignKinds } from '../../../src/operator/foreign-kinds.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { readCertificateAuthority } from '../../../src/pki/certificate-authority.ts';
import { certificatesIn } from '../../../src/pki/certificate-chain.ts';
import { inspectCertificate, isSignedBy } from '../../../src/pki/inspect.ts';
import { authorityPair, DAY, HOUR, keys, serverPair } from '../pki/test-authority.ts';
import { KEY, registryHarness } from './registry-harness.ts';
import { passwordSecret } from './resource-builders.ts';

type Harness = ReturnType<typeof registryHarness>;
const named = (name: string) => ({ ...KEY, name });

async function served(harness: Harness): Promise<string> {
  return dataText(await harness.kube.find(secrets, named('reg-tls')), 'tls.crt') ?? '';
}

async function bundle(harness: Harness): Promise<readonly string[]> {
  return certificatesIn((await harness.kube.find(configMaps, named('reg-ca')))?.data?.['ca.crt'] ?? '');
}

function authorities(harness: Harness): readonly string[] {
  return harness.children().filter((child) => child.startsWith('Secret reg-ca'));
}

/** The server says that it serves what is in its Secret. */
async function serve(harness: Harness): Promise<void> {
  const { serial } = inspectCertificate(await served(harness));
  harness.setServer({
    version: '0.1.0',
    configHash: '',
    certificate: { serial, notAfter: '' },
    readOnly: { active: false },
    openUploads: 0,
  });
  await harness.converge();
}

async function running(spec: object = {}): Promise<Harness> {
  const harness = registryHarness();
  harness.apply(spec);
  await harness.converge();
  await harness.start();
  await serve(harness);
  return harness;
}

function verifies(certificate: string, trusted: readonly string[], now: number): boolean {
  const leaf = inspectCertificate(certificate);
  return (
    now < leaf.notAfter &&
    trusted.some((pem) => {
      const authority = inspectCertificate(pem);
      return now < authority.notAfter && isSignedBy(leaf, authority);
    })
  );
}

test('in five years authorities follow each other, and every bundle of the last weeks verifies what is served', async () => {
  const harness = await running();
  const bundles: { readonly until: number; readonly trusted: readonly string[] }[] = [];
  const made = new Set<string>();
  for (let day = 0; day < 5 * 365; day += 5) {
    const before = await served(harness);
    await harness.clock.advance(5 * DAY);
    await harness.converge();
    const now = harness.clock.now();
    for (const name of authorities(harness)) made.add(name);
    bundles.push({ until: now + 25 * DAY, trusted: await bundle(harness) });
    for (const { until, trusted } of bundles) {
      if (until < now) continue;
      for (const certificate of new Set([before, await served(harness)])) {
        assert.ok(verifies(certificate, trusted, now), `day ${day}`);
      }
    }
    await serve(harness);
    const outcome = await harness.reconcile();
    assert.equal(outcome.kind, 'waiting');
  }
  assert.deepEqual([...made], ['Secret reg-ca', 'Secret reg-ca-2', 'Secret reg-ca-3']);
  assert.deepEqual(authorities(harness), ['Secret reg-ca-3']);
  assert.equal((await bundle(harness)).length, 1);
});

test('a rotation that is cut off at any of its writes goes on, and makes no second authority', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= 5; nth++) {
      const harness = await running();
      const old = await served(harness);
      await harness.clock.advance(615 * DAY);
      await harness.convergeThroughCrash(nth, when);
      assert.deepEqual(authorities(harness), ['Secret reg-ca', 'Secret reg-ca-2'], `${when} ${nth}`);
      assert.equal((await bundle(harness)).length, 2);
      const [first] = await bundle(harness);
      assert.ok(verifies(await served(harness), [first ?? ''], harness.clock.now()), 'the old one signs');
      assert.notEqual(await served(harness), old);
      await harness.clock.advance(30 * DAY);
      await harness.convergeThroughCrash(nth, when);
      await serve(harness);
      const [, second] = await bundle(harness);
      assert.ok(verifies(await served(harness), [second ?? ''], harness.clock.now()), 'the new one signs');
      await harness.clock.advance(DAY);
      await harness.convergeThroughCrash(nth, when);
      await harness.converge();
      assert.deepEqual(authorities(harness), ['Secret reg-ca-2']);
      assert.deepEqual(await bundle(harness), [second]);
    }
  }
});

test('another kind of key and other permitted names rotate the authority, slowly', async () => {
  const harness = await running();
  const old = await served(harness);
  harness.apply({
    hostname: 'registry.example.com',
    tls: { keyAlgorithm: 'RSA-2048', permittedNames: ['example.com'] },
  });
  await harness.converge();
  assert.deepEqual(authorities(harness), ['Secret reg-ca', 'Secret reg-ca-2']);
  const meanwhile = inspectCertificate(await served(harness));
  assert.notEqual(await served(harness), old);
  assert.equal(meanwhile.x509.publicKey.asymmetricKeyType, 'rsa');
  const [first = '', second = ''] = await bundle(harness);
  assert.ok(isSignedBy(meanwhile, inspectCertificate(first)));
  await harness.clock.advance(30 * DAY);
  await harness.converge();
  assert.ok(isSignedBy(inspectCertificate(await served(harness)), inspectCertificate(second)));
});

test('names that the authority may not sign are left out and told', async () => {
  const harness = await running({
    hostname: 'registry.example.com',
    tls: { permittedNames: ['example.com'], dnsNames: ['docker.io'] },
  });
  assert.ok((await harness.conditions()).includes('CertificateReady=False SANNotPermitted'));
  const { dnsNames } = inspectCertificate(await served(harness));
  assert.deepEqual(dnsNames, [
    'reg',
    'reg.team',
    'reg.team.svc',
    'reg.team.svc.cluster.local',
    'registry.example.com',
  ]);
});

test('an authority that the caches do not show is found, and none is made in its place', async () => {
  const harness = await running();
  for (const days of [615, 30, 1, 1]) {
    await harness.clock.advance(days * DAY);
    await harness.converge();
    await serve(harness);
  }
  const trusted = await bundle(harness);
  harness.world.secrets.replace([]);
  await harness.reconcile();
  harness.kube.reflect();
  await harness.converge();
  assert.deepEqual(authorities(harness), ['Secret reg-ca-2']);
  assert.deepEqual(await bundle(harness), trusted);
});

const pairSecret = (certificate: string, key: string, more: Readonly<Record<string, string>> = {}) =>
  passwordSecret('mine', { 'tls.crt': certificate, 'tls.key': key, ...more });

async function withSecret(): Promise<{ harness: Harness; times: { notBefore: number; notAfter: number } }> {
  const harness = registryHarness();
  const now = harness.clock.now();
  harness.apply({
    hostname: 'registry.example.com:5000',
    tls: { mode: 'Secret', secretRef: { name: 'mine' } },
  });
  return { harness, times: { notBefore: now - HOUR, notAfter: now + 90 * DAY } };
}

test('a certificate of a Secret is served when it is good, and what is wrong later is never served', async () => {
  const { harness, times } = await withSecret();
  const authority = authorityPair({ ...times, notAfter: times.notAfter + DAY });
  const issuer = readCertificateAuthority(authority);
  const good = serverPair({ ...times, authority: issuer });
  const secretOf = (pair: { certificate: string; key: string }) =>
    pairSecret(pair.certificate, pair.key, { 'ca.crt': authority.certificate });
  assert.equal((await harness.converge()).kind, 'waiting');
  assert.ok((await harness.conditions()).includes('CertificateReady=False SecretNotFound'));
  harness.putSecret({ ...secretOf(good), metadata: { ...secretOf(good).metadata, labels: {} } });
  await harness.converge();
  assert.ok((await harness.conditions()).includes('CertificateReady=False NotPermitted'));
  harness.putSecret(secretOf(good));
  await harness.converge();
  await harness.start();
  await serve(harness);
  assert.ok((await harness.conditions()).includes('CertificateReady=True Serving'));
  assert.deepEqual(await bundle(harness), certificatesIn(authority.certificate));
  assert.equal((await harness.registry()).status?.certificate?.renewalTime, undefined);
  assert.deepEqual(authorities(harness), []);

  const stranger = readCertificateAuthority(authorityPair({ ...times, key: keys.other }));
  const wrong: readonly (readonly [string, { certificate: string; key: string }, RegExp])[] = [
    ['another key', { ...good, key: authority.key }, /does not belong/],
    ['no key', { ...good, key: '' }, /lacks tls\.crt/],
    ['rubbish', { ...good, certificate: 'rubbish' }, /not a certificate in PEM/],
    [
      'another authority',
      serverPair({ ...times, authority: stranger }),
      /No certificate of ca\.crt has signed/,
    ],
    [
      'a wrong order',
      { ...good, certificate: authorityPair({ ...times, key: keys.server }).certificate + good.certificate },
      /has not signed certificate 1/,
    ],
    [
      'an end in the past',
      serverPair({ authority: issuer, ...times, notAfter: times.notBefore + 1000 }),
      /ended at/,
    ],
  ];
  for (const [name, pair, message] of wrong) {
    harness.putSecret(secretOf(pair));
    await harness.converge();
    assert.ok((await harness.conditions()).includes('CertificateReady=False CertificateUnusable'), name);
    const { status } = await harness.registry();
    assert.match(status?.conditions?.find(({ type }) => type === 'CertificateReady')?.message ?? '', message);
    assert.equal(await served(harness), good.certificate, name);
    assert.deepEqual(await bundle(harness), certificatesIn(authority.certificate), name);
  }
  harness.putSecret(secretOf(serverPair({ ...times, authority: issuer, dnsNames: ['other.example.com'] })));
  await harness.converge();
  assert.ok((await harness.conditions()).includes('CertificateReady=False SANMissing'));
});

test('a certificate of ours that somebody spoils is issued anew', async () => {
  const harness = await running();
  const spoilt = await harness.kube.find(secrets, named('reg-tls'));
  assert.ok(spoilt);
  const data = { ...spoilt.data, 'tls.crt': Buffer.from('rubbish').toString('base64') };
  harness.kube.put(secrets, { ...spoilt, data }, 'applier');
  await harness.converge();
  assert.ok(verifies(await served(harness), await bundle(harness), harness.clock.now()));
});

test('cert-manager is asked for a certificate, and what it issues is served', async () => {
  const harness = registryHarness();
  harness.apply({
    hostname: 'registry.example.com',
    tls: {
      mode: 'CertManager',
      issuerRef: { name: 'corporate', kind: 'ClusterIssuer' },
      keyAlgorithm: 'RSA-2048',
    },
  });
  await harness.converge();
  const type = foreignKinds.Certificate[0];
  const { spec } = (await harness.kube.find<ForeignObject>(type, KEY)) ?? {};
  assert.deepEqual(spec?.['issuerRef'], {
    group: 'cert-manager.io',
    name: 'corporate',
    kind: 'ClusterIssuer',
  });
  assert.deepEqual(spec?.['privateKey'], { algorithm: 'RSA', size: 2048, rotationPolicy: 'Always' });
  assert.ok((await harness.conditions()).includes('CertificateReady=Unknown Issuing'));
  const now = harness.clock.now();
  const times = { notBefore: now - HOUR, notAfter: now + 90 * DAY };
  const pair = serverPair({ ...times, authority: readCertificateAuthority(authorityPair(times)) });
  const labels = { 'stevedore.dev/use': 'credentials', 'stevedore.dev/registry': 'reg' };
  harness.putSecret(
    passwordSecret('reg-issued', { 'tls.crt': pair.certificate, 'tls.key': pair.key }, labels),
  );
  await harness.converge();
  assert.equal(await served(harness), pair.certificate);
  await harness.start();
  harness.apply({ hostname: 'registry.example.com' });
  await harness.converge();
  assert.equal(await harness.kube.find(type, KEY), undefined, 'the Certificate goes with the mode');
  assert.ok(new X509Certificate(await served(harness)).checkHost('registry.example.com'));
});

test('an own authority signs, and its intermediates are sent along', async () => {
  const harness = registryHarness();
  const now = harness.clock.now();
  const times = { notBefore: now - HOUR, notAfter: now + 900 * DAY };
  const root = authorityPair(times);
  harness.putSecret(passwordSecret('corporate', { 'tls.crt': root.certificate, 'tls.key': root.key }, {}));
  harness.apply({ tls: { caSecretRef: { name: 'corporate' } } });
  await harness.converge();
  assert.ok((await harness.conditions()).includes('CertificateReady=False NotPermitted'));
  const next = authorityPair({ ...times, key: keys.other });
  harness.putSecret(
    passwordSecret('corporate', {
      'tls.crt': root.certificate,
      'tls.key': root.key,
      'ca.crt': root.certificate + next.certificate,
    }),
  );
  await harness.converge();
  assert.ok(isSignedBy(inspectCertificate(await served(harness)), inspectCertificate(root.certificate)));
  assert.equal((await bundle(harness)).length, 2);
  assert.deepEqual(authorities(harness), []);
  const files = { 'tls.crt': root.certificate, 'tls.key': root.key };
  harness.putSecret(passwordSecret('corporate', { ...files, 'ca.crt': '' }));
  await harness.converge();
  assert.deepEqual(await bundle(harness), certificatesIn(root.certificate), 'an empty one says nothing');
  harness.putSecret(passwordSecret('corporate', { ...files, 'ca.crt': root.certificate + root.key }));
  await harness.converge();
  const published = (await harness.kube.find(configMaps, named('reg-ca')))?.data?.['ca.crt'];
  assert.equal(published, root.certificate, 'no key is published');
  harness.putSecret(passwordSecret('corporate', { ...files, 'ca.crt': 'rubbish' }));
  await harness.converge();
  assert.ok((await harness.conditions()).includes('CertificateReady=False AuthorityUnusable'));
  assert.deepEqual(await bundle(harness), certificatesIn(root.certificate));
});
