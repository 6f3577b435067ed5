import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { startDocker, type Docker } from './support/dockerd.ts';

const ALICE = { name: 'alice', password: 'correct horse' };

/** A registry over TLS that alice may use, and a docker that trusts it. */
async function open(t: TestContext): Promise<{ readonly host: string; readonly docker: Docker }> {
  const tls = await createTestAuthority();
  const { address } = await startServe(t, { tls, users: { [ALICE.name]: ALICE.password } });
  return { host: address, docker: await startDocker(t, { authorities: { [address]: tls.certificate } }) };
}

/** Builds an image of two layers from files alone. */
async function build(docker: Docker, name: string, content: string): Promise<void> {
  const context = join(docker.folder, 'context');
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY shared /shared\nCOPY own /own\n');
  writeFileSync(join(context, 'shared'), 's'.repeat(300_000));
  writeFileSync(join(context, 'own'), content);
  await docker.docker('build', '--quiet', '--tag', name, context);
}

const login = (docker: Docker, host: string, password: string) =>
  docker.attempt('login', '--username', ALICE.name, '--password', password, host);

test('docker logs in with the right password alone', async (t) => {
  const { host, docker } = await open(t);
  const refused = await login(docker, host, 'wrong');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /unauthorized/i);
  const { code, stdout, stderr } = await login(docker, host, ALICE.password);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Login Succeeded/);
});

test('docker pushes, pushes what is shared once, pulls by tag and by digest', async (t) => {
  const { host, docker } = await open(t);
  await login(docker, host, ALICE.password);
  await build(docker, `${host}/team/app:v1`, 'one');
  const first = await docker.docker('push', `${host}/team/app:v1`);
  assert.equal(first.match(/: Pushed/g)?.length, 2);
  await build(docker, `${host}/team/app:v2`, 'two');
  const second = await docker.docker('push', `${host}/team/app:v2`);
  assert.match(second, /: Layer already exists/);
  await docker.docker('tag', `${host}/team/app:v2`, `${host}/other/app:v2`);
  const mounted = await docker.docker('push', `${host}/other/app:v2`);
  assert.match(mounted, /: Mounted from team\/app/);

  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(second)?.[1];
  assert.ok(digest, second);
  const identity = async (name: string): Promise<string> =>
    (await docker.docker('image', 'inspect', '--format', '{{.Id}}', name)).trim();
  const pushed = await identity(`${host}/team/app:v2`);
  await docker.docker('image', 'prune', '--all', '--force');
  await docker.docker('pull', `${host}/team/app@${digest}`);
  await docker.docker('pull', `${host}/other/app:v2`);
  assert.equal(await identity(`${host}/team/app@${digest}`), pushed);
  assert.equal(await identity(`${host}/other/app:v2`), pushed);
});

test('docker pulls nothing without a login, and says of an image that is not there what it was told', async (t) => {
  const { host, docker } = await open(t);
  const anonymous = await docker.attempt('pull', `${host}/team/app:v1`);
  // On a loopback address docker tries plain HTTP next, and tells of that.
  assert.notEqual(anonymous.code, 0);
  await login(docker, host, ALICE.password);
  const unknown = await docker.attempt('pull', `${host}/team/app:v1`);
  assert.match(unknown.stderr, /manifest unknown|manifest for .* not found/);
});
