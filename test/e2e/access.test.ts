import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { run, succeed, type Outcome } from './command.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { crane, type RegistryPlace, type User } from './registry-client.ts';
import { startDocker } from './support/dockerd.ts';
import { startTokenServer } from './support/token-server.ts';

const ANN: User = { name: 'ann', password: 'correct horse' };
let folder: string;
let authority: TestAuthority;
let image: ImageLayout;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'access-'));
  authority = await createTestAuthority();
  image = await writeImageLayout(join(folder, 'image'), 3, 300_000);
});

after(() => rmSync(folder, { recursive: true, force: true }));

interface Site {
  readonly place: RegistryPlace;
  readonly host: string;
  /** As skopeo wants it. */
  readonly certificates: string;
}

function siteOf({ address }: ServeProcess): Site {
  const [name = '', port] = address.split(':');
  const certificates = join(mkdtempSync(join(folder, 'site-')), 'certs');
  mkdirSync(certificates);
  writeFileSync(join(certificates, 'ca.crt'), authority.certificate);
  const place = { name, address: name, port: Number(port), authority: authority.certificate };
  return { place, host: address, certificates };
}

/** As crane tells it of an answer to HEAD, and of others. */
const REFUSED = /401 Unauthorized|UNAUTHORIZED/;

function assertFails({ code, stderr }: Outcome, message: RegExp): void {
  assert.notEqual(code, 0);
  assert.match(stderr, message);
}

/** A registry over TLS that takes tokens of distribution's server, whose key it knows in one of two ways. */
async function startWithTokens(t: TestContext, keys: 'rootcertbundle' | 'jwks'): Promise<Site> {
  const issuer = await startTokenServer(t, { [ANN.name]: ANN.password }, authority);
  const file = join(mkdtempSync(join(folder, 'keys-')), 'keys');
  writeFileSync(file, keys === 'jwks' ? issuer.keySet : issuer.certificate);
  const token = { realm: issuer.realm, service: 'our registry', issuer: issuer.issuer, [keys]: file };
  const environment = { REGISTRY_AUTH_TOKEN: JSON.stringify(token) };
  return siteOf(await startServe(t, { tls: authority, environment }));
}

for (const keys of ['rootcertbundle', 'jwks'] as const) {
  test(`crane and skopeo get tokens from distribution's server, whose key is in ${keys}`, async (t) => {
    const { place, host, certificates } = await startWithTokens(t, keys);
    const target = ['--dest-cert-dir', certificates, '--dest-creds', `${ANN.name}:${ANN.password}`];
    const source = ['--src-cert-dir', certificates, '--src-creds', `${ANN.name}:${ANN.password}`];
    const name = `${host}/ann/app:v1`;
    await succeed('skopeo', [
      'copy',
      '--preserve-digests',
      ...target,
      `oci:${image.folder}`,
      `docker://${name}`,
    ]);
    const back = join(mkdtempSync(join(folder, 'back-')), 'layout');
    await succeed('skopeo', ['copy', '--preserve-digests', ...source, `docker://${name}`, `oci:${back}`]);
    assert.equal(await compareLayouts(image.folder, back), image.size);

    const as = (user: User | undefined, ...args: readonly string[]): Promise<Outcome> =>
      crane(place, folder, user, args);
    assert.equal((await as(ANN, 'digest', name)).stdout.trim(), image.digest);
    const copied = await as(ANN, 'copy', name, `${host}/ann/copy:v1`);
    assert.equal(copied.code, 0, copied.stderr);
    const listed = await as(ANN, 'catalog', host);
    assert.equal(listed.stdout, 'ann/app\nann/copy\n', listed.stderr);
    // The server gives a token for what is asked, and leaves out what the user may not do.
    assertFails(await as(ANN, 'copy', name, `${host}/bob/app:v1`), REFUSED);
    assertFails(await as({ ...ANN, password: 'wrong' }, 'digest', name), REFUSED);
    assertFails(await as(undefined, 'digest', name), REFUSED);
  });
}

test('where everybody may pull, each client pulls without a password and pushes with one', async (t) => {
  const rules = join(mkdtempSync(join(folder, 'rules-')), 'access.yml');
  writeFileSync(rules, 'anonymous: pull\n');
  const environment = { REGISTRY_STEVEDORE_AUTH_ACCESS: rules };
  const server = await startServe(t, { tls: authority, users: { [ANN.name]: ANN.password }, environment });
  const { place, host, certificates } = siteOf(server);
  const name = `${host}/team/app:v1`;
  const push = [
    'copy',
    '--preserve-digests',
    '--dest-cert-dir',
    certificates,
    `oci:${image.folder}`,
    `docker://${name}`,
  ];
  assertFails(await run('skopeo', push), /authentication required|unauthorized/i);
  await succeed('skopeo', [...push, '--dest-creds', `${ANN.name}:${ANN.password}`]);
  await succeed('skopeo', ['inspect', '--no-creds', '--cert-dir', certificates, `docker://${name}`]);

  assert.equal((await crane(place, folder, undefined, ['digest', name])).stdout.trim(), image.digest);
  assert.equal((await crane(place, folder, ANN, ['tag', name, 'v2'])).code, 0);
  assertFails(await crane(place, folder, undefined, ['copy', name, `${host}/other/app:v1`]), REFUSED);
  assertFails(await crane(place, folder, { ...ANN, password: 'wrong' }, ['digest', name]), REFUSED);

  const docker = await startDocker(t, { authorities: { [host]: authority.certificate } });
  await docker.docker('pull', name);
  await docker.docker('tag', name, `${host}/team/docker:v1`);
  assertFails(
    await docker.attempt('push', `${host}/team/docker:v1`),
    /unauthorized|authentication required|denied/,
  );
  const login = (password: string): Promise<Outcome> =>
    docker.attempt('login', '--username', ANN.name, '--password', password, host);
  assertFails(await login('wrong'), /unauthorized/i);
  assert.equal((await login(ANN.password)).code, 0);
  await docker.docker('push', `${host}/team/docker:v1`);
});
