import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { script } from './cluster.ts';
import { run, succeed, type Outcome } from './command.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { ask, crane, type RegistryPlace, type User } from './registry-client.ts';

const ALICE: User = { name: 'alice', password: 'correct horse' };
let folder: string;
let authority: TestAuthority;
let image: ImageLayout;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clients-'));
  authority = await createTestAuthority();
  image = await writeImageLayout(join(folder, 'image'), 3, 500_000);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** A registry over TLS with one user, and files for one test. */
interface Site {
  readonly place: RegistryPlace;
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly folder: string;
  /** As clients want it below `certs.d/HOST:PORT`: has the ca.crt. */
  readonly certificates: string;
}

async function open(t: TestContext): Promise<Site> {
  const { address } = await startServe(t, { tls: authority, users: { [ALICE.name]: ALICE.password } });
  const [name = '', port] = address.split(':');
  const files = mkdtempSync(join(folder, 'test-'));
  const certificates = join(files, 'certs.d', address);
  mkdirSync(certificates, { recursive: true });
  writeFileSync(join(certificates, 'ca.crt'), authority.certificate);
  const place = { name, address: name, port: Number(port), authority: authority.certificate };
  return { place, host: address, folder: files, certificates };
}

const credentials = `${ALICE.name}:${ALICE.password}`;
const skopeo = (...args: readonly string[]) => succeed('skopeo', args);

function assertFails({ code, stderr }: Outcome, message: RegExp): void {
  assert.notEqual(code, 0);
  assert.match(stderr, message);
}

test('skopeo copies an image to the registry, between repositories and back, bit by bit', async (t) => {
  const { host, folder, certificates } = await open(t);
  const source = ['--src-cert-dir', certificates, '--src-creds', credentials];
  const target = ['--dest-cert-dir', certificates, '--dest-creds', credentials];
  const copy = (...args: readonly string[]) => skopeo('copy', '--preserve-digests', ...args);
  await copy(...target, `oci:${image.folder}`, `docker://${host}/team/app:v1`);
  await copy(...source, ...target, `docker://${host}/team/app:v1`, `docker://${host}/other/app:v1`);
  await copy(...source, `docker://${host}/other/app:v1`, `oci:${join(folder, 'back')}`);
  assert.equal(await compareLayouts(image.folder, join(folder, 'back')), image.size);

  const access = ['--cert-dir', certificates, '--creds', credentials];
  const docker = ['--format', 'v2s2'];
  await skopeo('copy', ...docker, ...target, `oci:${image.folder}`, `docker://${host}/team/app:docker`);
  const manifest = await skopeo('inspect', '--raw', ...access, `docker://${host}/team/app:docker`);
  assert.match(manifest, /application\/vnd\.docker\.distribution\.manifest\.v2\+json/);
  const tags = await skopeo('list-tags', ...access, `docker://${host}/team/app`);
  // The shape that skopeo prints.
  assert.deepEqual((JSON.parse(tags) as { readonly Tags: readonly string[] }).Tags, ['docker', 'v1']);
  await skopeo('delete', ...access, `docker://${host}/team/app:v1`);
  assertFails(
    await run('skopeo', ['inspect', ...access, `docker://${host}/team/app:v1`]),
    /manifest unknown/,
  );
});

test('a client that lacks the CA, the password or TLS is told so', async (t) => {
  const { host, place, folder, certificates } = await open(t);
  const image = `docker://${host}/team/app:v1`;
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  assertFails(
    await run('skopeo', ['inspect', '--cert-dir', empty, '--creds', credentials, image]),
    /x509: certificate signed by unknown authority/,
  );
  for (const user of ['alice:wrong', 'nobody:correct horse']) {
    assertFails(
      await run('skopeo', ['inspect', '--cert-dir', certificates, '--creds', user, image]),
      /unauthorized: authentication required|invalid username\/password/,
    );
  }
  const another = { ...place, name: 'registry.example.com' };
  assertFails(
    await crane(another, folder, ALICE, ['digest', `${another.name}:${another.port}/team/app:v1`]),
    /x509: certificate is valid for localhost, not registry\.example\.com/,
  );
  const plain = await startServe(t);
  assertFails(
    await run('skopeo', ['inspect', `docker://${plain.address}/team/app:v1`]),
    /http: server gave HTTP response to HTTPS client/,
  );
});

test('a login is remembered with the right password and refused with a wrong one', async (t) => {
  const { host, folder, certificates } = await open(t);
  const site = ['--authfile', join(folder, 'auth.json'), '--cert-dir', certificates];
  const login = (password: string) =>
    run('skopeo', ['login', ...site, '--username', ALICE.name, '--password', password, host]);
  assertFails(await login('wrong'), /invalid username\/password/);
  const { code, stdout, stderr } = await login(ALICE.password);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Login Succeeded/);
});

test('crane pushes, tags, lists, copies, pulls and deletes', async (t) => {
  const { host, place, folder } = await open(t);
  const craneAsAlice = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await crane(place, folder, ALICE, args);
    assert.equal(code, 0, `crane ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  await craneAsAlice('push', image.folder, `${host}/team/app:v1`);
  await craneAsAlice('tag', `${host}/team/app:v1`, 'latest');
  assert.deepEqual((await craneAsAlice('ls', `${host}/team/app`)).split('\n'), ['latest', 'v1']);
  await craneAsAlice('copy', `${host}/team/app:latest`, `${host}/other/app:v1`);
  assert.deepEqual((await craneAsAlice('catalog', host)).split('\n'), ['other/app', 'team/app']);
  await craneAsAlice('pull', '--format=oci', `${host}/other/app:v1`, join(folder, 'pulled'));
  assert.equal(await compareLayouts(image.folder, join(folder, 'pulled')), image.size);
  await craneAsAlice(
    'index',
    'append',
    '--manifest',
    `${host}/team/app:v1`,
    '--tag',
    `${host}/team/app:index`,
  );
  await craneAsAlice('pull', '--format=oci', `${host}/team/app:index`, join(folder, 'index'));
  assert.equal(readdirSync(join(folder, 'index/blobs/sha256')).length, image.layers.length + 3);
  await craneAsAlice('delete', `${host}/team/app@${image.digest}`);
  assert.deepEqual((await craneAsAlice('ls', `${host}/team/app`)).split('\n'), ['index']);
});

test('buildah pushes what it built and pulls it again', async (t) => {
  const { host, folder, certificates } = await open(t);
  const store = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const buildah = async (...args: readonly string[]) =>
    (await succeed('buildah', [...store, ...args])).trim();
  const access = ['--cert-dir', certificates, '--creds', credentials];
  const content = join(folder, 'content');
  writeFileSync(content, 'built here');
  const container = await buildah('from', 'scratch');
  await buildah('copy', container, content, '/content');
  await buildah('commit', container, 'built');
  await buildah('push', ...access, 'built', `docker://${host}/team/built:v1`);
  await buildah('rm', '--all');
  await buildah('rmi', '--all', '--force');
  await buildah('pull', ...access, `docker://${host}/team/built:v1`);
  const pulled = await buildah('from', `${host}/team/built:v1`);
  const mounted = await buildah('mount', pulled);
  assert.equal(readFileSync(join(mounted, 'content'), 'utf8'), 'built here');
  await buildah('umount', pulled);
});

test('oras pushes files, attaches a signature to them, and finds and copies it with them', async (t) => {
  const { host, place, folder, certificates } = await open(t);
  const program = (await script('tools', ['oras'])).trim();
  const access = [
    '--ca-file',
    join(certificates, 'ca.crt'),
    '--username',
    ALICE.name,
    '--password',
    ALICE.password,
  ];
  const oras = (command: string, ...args: readonly string[]) => {
    const words = command.split(' ');
    return succeed(program, [...words, ...access, ...args], {
      folder,
      environment: { DOCKER_CONFIG: folder },
    });
  };
  writeFileSync(join(folder, 'hello.txt'), 'hello');
  writeFileSync(join(folder, 'signature'), 'signed');
  await oras('push', `${host}/team/files:v1`, 'hello.txt:text/plain');
  const attach = ['--artifact-type', 'application/vnd.example.signature'];
  await oras('attach', ...attach, `${host}/team/files:v1`, 'signature:text/plain');
  const answer = await ask(place, 'HEAD', '/v2/team/files/manifests/v1', { user: ALICE });
  const digest = answer.headers['docker-content-digest'];
  const referrers = await ask(place, 'GET', `/v2/team/files/referrers/${String(digest)}`, { user: ALICE });
  assert.match(referrers.body, /"artifactType":"application\/vnd\.example\.signature"/);
  const discovered = await oras('discover', '--format', 'json', `${host}/team/files:v1`);
  assert.match(discovered, /application\/vnd\.example\.signature/);
  // With the API for referrers there is no need for a tag in its place.
  assert.equal((await oras('repo tags', `${host}/team/files`)).trim(), 'v1');
  await oras('pull', `${host}/team/files:v1`, '--output', join(folder, 'pulled'));
  assert.equal(readFileSync(join(folder, 'pulled/hello.txt'), 'utf8'), 'hello');
  const ca = join(certificates, 'ca.crt');
  const from = ['--from-ca-file', ca, '--from-username', ALICE.name, '--from-password', ALICE.password];
  const to = from.map((word) => word.replace('--from', '--to'));
  const images = [`${host}/team/files:v1`, `${host}/other/files:v1`];
  await succeed(program, ['copy', '--recursive', ...from, ...to, ...images]);
  assert.match(
    await oras('discover', '--format', 'json', `${host}/other/files:v1`),
    /vnd\.example\.signature/,
  );
});

test('helm pushes a chart and pulls it again', async (t) => {
  const { host, folder, certificates } = await open(t);
  const program = (await script('tools', ['helm'])).trim();
  const access = [
    '--ca-file',
    join(certificates, 'ca.crt'),
    '--username',
    ALICE.name,
    '--password',
    ALICE.password,
  ];
  const helm = (...args: readonly string[]) =>
    succeed(program, args, { folder, environment: { HELM_REGISTRY_CONFIG: join(folder, 'helm.json') } });
  await helm('create', 'example');
  await helm('package', 'example');
  await helm('push', ...access, 'example-0.1.0.tgz', `oci://${host}/charts`);
  await helm('pull', ...access, `oci://${host}/charts/example`, '--version', '0.1.0', '--destination', '..');
  const [pushed, pulled] = ['.', '..'].map((place) => readFileSync(join(folder, place, 'example-0.1.0.tgz')));
  assert.deepEqual(pulled, pushed);
});
