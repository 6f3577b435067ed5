import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createCredentials, loadKubeConfig } from '../../../src/kube/credentials.ts';
import { TestClock } from '../../support/test-clock.ts';

async function kubeconfig(t: TestContext, cluster: object, user: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'config');
  await writeFile(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1', ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  return file;
}

test('the connections are kept while CA and server stay, and made anew when the CA file changes', async (t) => {
  const file = await kubeconfig(t, { 'certificate-authority': 'ca.crt' }, { token: 'secret' });
  const ca = join(file, '../ca.crt');
  await writeFile(ca, 'first');
  const clock = new TestClock();
  const credentials = createCredentials({ load: () => loadKubeConfig(file), clock });
  t.after(() => credentials.close());
  const first = await credentials.current();
  await clock.advance(60_000);
  assert.equal((await credentials.current()).dispatcher, first.dispatcher);
  await writeFile(ca, 'second');
  assert.equal((await credentials.current()).dispatcher, first.dispatcher, 'looked at every ten seconds');
  await clock.advance(10_000);
  assert.notEqual((await credentials.current()).dispatcher, first.dispatcher);
});

test('a token that was refused is read from its file again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'token-'));
  t.after(() => rm(folder, { recursive: true }));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'first\n');
  const file = await kubeconfig(t, {}, { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } });
  const credentials = createCredentials({ load: () => loadKubeConfig(file), clock: new TestClock() });
  t.after(() => credentials.close());
  assert.equal((await credentials.current()).headers['authorization'], 'Bearer first');
  await writeFile(tokenFile, 'second\n');
  assert.equal((await credentials.current()).headers['authorization'], 'Bearer first');
  credentials.forget();
  assert.equal((await credentials.current()).headers['authorization'], 'Bearer second');
});

test('a user with a password is let in by it', async (t) => {
  const file = await kubeconfig(t, {}, { username: 'admin', password: 'pass' });
  const credentials = createCredentials({ load: () => loadKubeConfig(file), clock: new TestClock() });
  t.after(() => credentials.close());
  assert.equal((await credentials.current()).headers['authorization'], 'Basic YWRtaW46cGFzcw==');
});

test('credentials that could not be read are tried again by the next request', async (t) => {
  const file = await kubeconfig(t, { 'certificate-authority': 'ca.crt' }, {});
  const credentials = createCredentials({ load: () => loadKubeConfig(file), clock: new TestClock() });
  t.after(() => credentials.close());
  await assert.rejects(credentials.current(), /ENOENT/);
  await writeFile(join(file, '../ca.crt'), 'there now');
  assert.equal((await credentials.current()).server.href, 'https://127.0.0.1:1/');
});

test('a kubeconfig without a current context says what to do', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'config');
  await writeFile(file, '{"clusters":[],"users":[],"contexts":[]}');
  assert.throws(() => loadKubeConfig(file), /kubectl config use-context/);
});

test('outside a cluster and without a kubeconfig the remedy is named', () => {
  assert.throws(() => loadKubeConfig(undefined), /set KUBECONFIG/);
});
