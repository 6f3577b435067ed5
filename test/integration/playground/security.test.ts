import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPlaygroundProcess } from '../../e2e/playground-stage.ts';
import { readyRegistry } from '../../e2e/ready-registry.ts';
import { ask, servedCertificate } from '../../e2e/registry-client.ts';
import { waitFor } from '../../e2e/wait.ts';
import { readCertificateAuthority } from '../../../src/pki/certificate-authority.ts';
import { inspectCertificate } from '../../../src/pki/inspect.ts';
import { authorityPair, DAY, serverPair } from '../../unit/pki/test-authority.ts';

const NAME = 'secure.example.com';

const secret = (name: string, stringData: object, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: { 'stevedore.dev/use': 'credentials', ...labels } },
  stringData,
});

test('users, rules and certificates of every kind take effect in the same pod', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-security-'));
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(async () => {
    await playground.stop();
    await rm(folder, { recursive: true });
  });
  const { stage } = playground;
  const port = stage.nodePort;
  const spec = {
    hostname: `${NAME}:${port}`,
    storage: { filesystem: { size: '1Gi' } },
    service: { type: 'NodePort', nodePort: port },
    auth: {
      htpasswd: {
        users: [{ name: 'ci', generate: true, groups: ['robots'] }],
        selector: { matchLabels: { team: 'one' } },
      },
      anonymous: 'Pull',
      access: [{ repositories: ['builds/**'], groups: ['robots'], actions: ['Pull', 'Push'] }],
    },
  };
  const apply = (more: object = {}) =>
    stage.apply({
      apiVersion: 'stevedore.dev/v1alpha1',
      kind: 'Registry',
      metadata: { name: 'secure' },
      spec: { ...spec, ...more },
    });
  const condition = async (type: string) => {
    const text = await stage.field('registry/secure', '.status.conditions');
    // As the API server has them.
    const all = JSON.parse(text ?? '[]') as readonly { readonly type: string; readonly reason: string }[];
    return all.find((one) => one.type === type)?.reason;
  };
  await stage.apply(secret('ann', { username: 'ann', password: 'found by a label' }, { team: 'one' }));
  await apply();
  const place = await readyRegistry(stage, 'secure', { name: NAME, address: '127.0.0.1', port });
  await waitFor('users and rules are in force', async () => (await condition('UsersReady')) === 'InForce');
  const pods = await stage.servers();

  const encoded = await stage.field('secret/secure-user-ci', '.data.password');
  const ci = { name: 'ci', password: Buffer.from(encoded ?? '', 'base64').toString() };
  const ann = { name: 'ann', password: 'found by a label' };
  const start = async (repository: string, user?: typeof ci) => {
    const path = `/v2/${repository}/blobs/uploads/`;
    return (await ask(place, 'POST', path, user === undefined ? {} : { user })).status;
  };
  assert.equal(await start('builds/app', ci), 202);
  assert.equal(await start('other/app', ci), 403);
  assert.equal(await start('builds/app', ann), 403);
  assert.equal(await start('builds/app'), 401);
  assert.equal(await start('builds/app', { ...ci, password: 'wrong' }), 401);

  await apply({
    auth: { ...spec.auth, access: [{ repositories: ['**'], users: ['ann'], actions: ['Pull', 'Push'] }] },
  });
  await waitFor('ann may push', async () => (await start('other/app', ann)) === 202);
  assert.equal(await start('builds/app', ci), 403);
  await waitFor('the new rules are in force', async () => (await condition('UsersReady')) === 'InForce');

  const now = Date.now();
  const times = { notBefore: now - DAY, notAfter: now + DAY };
  const authority = authorityPair(times);
  const own = serverPair({ ...times, authority: readCertificateAuthority(authority), dnsNames: [NAME] });
  await stage.apply(
    secret('own', { 'tls.crt': own.certificate, 'tls.key': own.key, 'ca.crt': authority.certificate }),
  );
  await apply({ tls: { mode: 'Secret', secretRef: { name: 'own' } } });
  const owned = { ...place, authority: authority.certificate };
  const { serial } = inspectCertificate(own.certificate);
  await waitFor('the own certificate is served', async () => {
    const { serialNumber } = await servedCertificate(owned, NAME);
    return serialNumber.toLowerCase() === serial;
  });
  await waitFor('the status says so', async () => (await condition('CertificateReady')) === 'Serving');
  assert.equal(await stage.field('configmap/secure-ca', '.data.ca\\.crt'), authority.certificate);

  await apply();
  await waitFor('the old authority signs again', async () => {
    await servedCertificate(place, NAME);
    return true;
  });
  assert.equal(await stage.servers(), pods);
});
