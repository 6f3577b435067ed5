import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/contract/config/config.ts';
import { configMaps, deployments, secrets } from '../../../src/kube/resources.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { authorityPair } from '../pki/test-authority.ts';
import { KEY, registryHarness } from './registry-harness.ts';
import { passwordSecret } from './resource-builders.ts';

type Harness = ReturnType<typeof registryHarness>;
const named = (name: string) => ({ ...KEY, name });
const HASH = `$2y$05$${'a'.repeat(53)}`;
const generated = (...names: readonly string[]) => ({
  auth: { htpasswd: { users: names.map((name) => ({ name, generate: true })) } },
});

async function passwordOf(harness: Harness, name: string): Promise<string | undefined> {
  return dataText(await harness.kube.find(secrets, named(`reg-user-${name}`)), 'password');
}

async function config(harness: Harness) {
  const text = (await harness.kube.find(configMaps, named('reg-config')))?.data?.['config.yml'] ?? '';
  const { config: parsed, errors, warnings } = parseConfig(text);
  assert.deepEqual([...errors, ...warnings], []);
  assert.ok(parsed);
  return parsed;
}

/** Folders of the pod by the object that each is made of. */
async function mounts(harness: Harness): Promise<Readonly<Record<string, string>>> {
  const spec = (await harness.kube.find(deployments, KEY))?.spec?.template.spec;
  const sources = new Map(
    (spec?.volumes ?? []).map(({ name, secret, configMap }) => [name, secret?.secretName ?? configMap?.name]),
  );
  return Object.fromEntries(
    (spec?.containers[0]?.volumeMounts ?? []).flatMap(({ name, mountPath }) => {
      const source = sources.get(name);
      return source === undefined ? [] : [[mountPath, source]];
    }),
  );
}

test('a generated password is made once, whatever dies, and stays when the Registry goes', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= 6; nth++) {
      const harness = registryHarness();
      harness.apply(generated('alice'));
      await harness.convergeThroughCrash(nth, when);
      const password = await passwordOf(harness, 'alice');
      assert.match(password ?? '', /^[-\w]{32}$/);
      const secret = await harness.kube.find(secrets, named('reg-user-alice'));
      assert.equal(secret?.type, 'kubernetes.io/basic-auth');
      assert.equal(secret.metadata.ownerReferences, undefined);
      const creations = harness.kube.writes.filter((write) => write === 'create Secret team/reg-user-alice');
      assert.equal(creations.length, 1);
      assert.equal(new Set(harness.hasher.hashed).size, 1);
      assert.deepEqual(harness.hasher.hashed[0], password);
    }
  }
});

test('the password of a user who is removed goes, and one that is deleted is made anew', async () => {
  const harness = registryHarness();
  harness.apply(generated('alice', 'bob'));
  await harness.converge();
  const [alice, bob] = [await passwordOf(harness, 'alice'), await passwordOf(harness, 'bob')];
  harness.apply(generated('alice'));
  await harness.converge();
  assert.equal(await passwordOf(harness, 'alice'), alice);
  assert.equal(await passwordOf(harness, 'bob'), undefined);
  assert.doesNotMatch(await harness.htpasswd(), /bob/);
  harness.kube.remove(secrets, named('reg-user-alice'));
  harness.apply(generated('alice', 'bob'));
  await harness.converge();
  assert.notEqual(await passwordOf(harness, 'alice'), alice);
  assert.notEqual(await passwordOf(harness, 'bob'), bob);
});

test('users come from lists and from Secrets that a selector finds, and go with them', async () => {
  const harness = registryHarness();
  const labels = { 'stevedore.dev/use': 'credentials', team: 'one' };
  harness.putSecret(passwordSecret('list', { htpasswd: `ann:${HASH}\nnonsense\n` }));
  harness.putSecret(passwordSecret('bob', { username: 'bob', password: 'two' }, labels));
  harness.putSecret(passwordSecret('eve', { username: 'eve', password: 'x' }, { team: 'one' }));
  harness.apply({
    auth: { htpasswd: { secretRefs: [{ name: 'list' }], selector: { matchLabels: { team: 'one' } } } },
  });
  await harness.converge();
  assert.match(await harness.htpasswd(), /^ann:.*\nbob:.*\n$/);
  const { status } = await harness.registry();
  assert.deepEqual(
    status?.users?.errors?.map(({ name, reason }) => [name, reason]),
    [['list', 'EntryInvalid']],
  );
  assert.ok((await harness.conditions()).includes('UsersReady=False EntryInvalid'));
  harness.kube.remove(secrets, named('bob'));
  await harness.converge();
  assert.match(await harness.htpasswd(), /^ann:.*\n$/);
});

test('rules that change are written and change neither the configuration nor the pod', async () => {
  const harness = registryHarness();
  const auth = { htpasswd: { users: [{ name: 'alice', generate: true, groups: ['devs'] }] } };
  harness.apply({ auth });
  await harness.converge();
  const before = (await harness.kube.find(deployments, KEY))?.spec?.template;
  assert.equal((await config(harness)).stevedore.auth.access, '/etc/stevedore/access/access.yml');
  assert.equal((await mounts(harness))['/etc/stevedore/access'], 'reg-access');
  harness.apply({
    auth: {
      ...auth,
      anonymous: 'Pull',
      access: [{ repositories: ['team/**'], groups: ['devs'], actions: ['Push', 'Pull'] }],
    },
  });
  await harness.converge();
  const file = (await harness.kube.find(configMaps, named('reg-access')))?.data?.['access.yml'] ?? '';
  assert.match(file, /anonymous: pull/);
  assert.match(file, /devs:\n\s+- alice/);
  assert.deepEqual((await harness.kube.find(deployments, KEY))?.spec?.template, before);
});

test('keys of tokens are copied when they are keys, and stay when their source breaks', async () => {
  const harness = registryHarness();
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] });
  harness.apply({
    auth: {
      token: {
        realm: 'https://auth.example.com/token',
        service: 'registry',
        issuer: 'auth',
        jwks: { secretName: 'keys', key: 'jwks.json' },
        signingAlgorithms: ['HS256'],
      },
    },
  });
  await harness.converge();
  assert.ok((await harness.conditions()).includes('Ready=False SecretNotFound'));
  assert.equal(await harness.kube.find(deployments, KEY), undefined, 'no pod waits for a volume');
  harness.putSecret(passwordSecret('keys', { 'jwks.json': jwks }, {}));
  await harness.converge();
  assert.ok((await harness.conditions()).includes('Ready=False NotPermitted'));
  harness.putSecret(passwordSecret('keys', { 'jwks.json': jwks }));
  await harness.converge();
  const copy = async () => dataText(await harness.kube.find(secrets, named('reg-token')), 'jwks.json');
  assert.equal(await copy(), jwks);
  const { auth, stevedore } = await config(harness);
  assert.equal(auth.token?.jwks, '/etc/stevedore/token-keys/jwks.json');
  assert.deepEqual(auth.token.signingalgorithms, ['HS256']);
  assert.equal(stevedore.auth.access, undefined);
  assert.equal((await mounts(harness))['/etc/stevedore/token-keys'], 'reg-token');
  harness.putSecret(passwordSecret('keys', { 'jwks.json': '{"keys": []}' }));
  await harness.converge();
  assert.equal(await copy(), jwks);
  assert.ok((await harness.conditions()).includes('UsersReady=False EntryInvalid'));
});

test('authorities of client certificates reach the server, from a ConfigMap or a Secret', async () => {
  const harness = registryHarness();
  const { certificate, key } = authorityPair();
  harness.kube.put(configMaps, { metadata: named('clients'), data: { 'ca.crt': certificate } });
  harness.apply({ ...generated('alice'), tls: { clientCAs: { configMapName: 'clients', required: false } } });
  await harness.converge();
  const { http, stevedore } = await config(harness);
  assert.deepEqual(http.tls?.clientcas, ['/etc/stevedore/client-authorities/ca.crt']);
  assert.equal(http.tls.clientauth, 'verify-client-cert-if-given');
  assert.equal(stevedore.auth.clientcertificates, true);
  assert.equal((await mounts(harness))['/etc/stevedore/client-authorities'], 'reg-client-ca');
  const copy = async () => (await harness.kube.find(configMaps, named('reg-client-ca')))?.data?.['ca.crt'];
  assert.equal(await copy(), certificate);

  // Anybody may read the copy.
  harness.putSecret(passwordSecret('clients', { bundle: `${certificate}${key}${certificate}` }));
  harness.apply({ tls: { clientCAs: { secretName: 'clients', key: 'bundle' } } });
  await harness.converge();
  assert.equal(await copy(), certificate.repeat(2));
  assert.equal((await config(harness)).http.tls?.clientauth, 'require-and-verify-client-cert');
  assert.equal((await config(harness)).stevedore.auth.clientcertificates, false);
  harness.apply();
  await harness.converge();
  assert.equal(await copy(), undefined);
});
