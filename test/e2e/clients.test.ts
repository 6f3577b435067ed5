import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { digestOf } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { waitFor } from '../support/wait-for.ts';
import { run, succeed } from './command.ts';
import { compareLayouts, writeImageLayout } from './image-layout.ts';

const root = join(import.meta.dirname, '../..');

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clients-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Secured {
  readonly server: ServeProcess;
  readonly folder: string;
  /** A folder with `ca.crt`, as containers-tools take it. */
  readonly certificates: string;
}

async function startSecured(
  t: TestContext,
  environment: Readonly<Record<string, string>> = {},
): Promise<Secured> {
  const folder = temporaryFolder(t);
  const tls = await createTestAuthority();
  const server = await startServe(t, { tls, users: { ann: 'secret' }, environment });
  const certificates = join(folder, 'certs');
  mkdirSync(certificates);
  writeFileSync(join(certificates, 'ca.crt'), tls.certificate);
  return { server, folder, certificates };
}

test('skopeo pushes, inspects, pulls and deletes over TLS as a user', async (t) => {
  const { server, folder, certificates } = await startSecured(t);
  const layout = await writeImageLayout(join(folder, 'image'), 3, 2_000_000);
  const image = `docker://${server.address}/team/app:v1`;
  const credentials = 'ann:secret';
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    '--dest-cert-dir',
    certificates,
    '--dest-creds',
    credentials,
    `oci:${layout.folder}`,
    image,
  ]);
  const inspected = await succeed('skopeo', [
    'inspect',
    '--cert-dir',
    certificates,
    '--creds',
    credentials,
    image,
  ]);
  assert.equal((JSON.parse(inspected) as { Digest: string }).Digest, layout.digest);
  const copy = join(folder, 'copy');
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    '--src-cert-dir',
    certificates,
    '--src-creds',
    credentials,
    image,
    `oci:${copy}`,
  ]);
  assert.equal(await compareLayouts(layout.folder, copy), layout.size);
  await succeed('skopeo', ['delete', '--cert-dir', certificates, '--creds', credentials, image]);
  const gone = await run('skopeo', ['inspect', '--cert-dir', certificates, '--creds', credentials, image]);
  assert.match(gone.stderr, /manifest unknown/);
});

test('a wrong password, a missing authority and a name outside the certificate are told as clients know it', async (t) => {
  const { server, certificates } = await startSecured(t, { REGISTRY_HTTP_ADDR: '0.0.0.0:0' });
  const inspect = async (address: string, ...args: readonly string[]): Promise<string> =>
    (await run('skopeo', ['inspect', ...args, `docker://${address}/team/app:v1`])).stderr;
  const address = server.address.replace('0.0.0.0', '127.0.0.1');
  assert.match(
    await inspect(address, '--cert-dir', certificates, '--creds', 'ann:wrong'),
    /unauthorized|authentication required/i,
  );
  assert.match(await inspect(address, '--creds', 'ann:secret'), /certificate signed by unknown authority/);
  assert.match(
    await inspect(address.replace('127.0.0.1', '127.0.0.2'), '--cert-dir', certificates),
    /certificate is valid for 127\.0\.0\.1, not 127\.0\.0\.2/,
  );
});

test('crane pushes, lists, copies and deletes without TLS', async (t) => {
  const folder = temporaryFolder(t);
  const { address } = await startServe(t);
  const crane = execFileSync(join(root, 'scripts/tools'), ['crane'], { encoding: 'utf8' }).trim();
  const layout = await writeImageLayout(join(folder, 'image'), 2, 500_000);
  await succeed(crane, ['push', layout.folder, `${address}/a:one`]);
  await succeed(crane, ['copy', `${address}/a:one`, `${address}/b/c:two`]);
  await succeed(crane, ['tag', `${address}/a:one`, 'three']);
  assert.equal(await succeed(crane, ['ls', `${address}/a`]), 'one\nthree\n');
  assert.equal(await succeed(crane, ['catalog', address]), 'a\nb/c\n');
  assert.match(await succeed(crane, ['digest', `${address}/b/c:two`]), new RegExp(layout.digest));
  await succeed(crane, ['pull', '--format=oci', `${address}/b/c:two`, join(folder, 'copy')]);
  assert.equal(await compareLayouts(layout.folder, join(folder, 'copy')), layout.size);
  await succeed(crane, ['delete', `${address}/a@${layout.digest}`]);
  assert.equal(await succeed(crane, ['ls', `${address}/a`]), '');
});

test("what we store docker's registry serves, tags of sha512 digests included, and what it stores we serve", async (t) => {
  const folder = temporaryFolder(t);
  const ours = await startServe(t);
  const first = await writeImageLayout(join(folder, 'first'), 2, 300_000);
  const second = await writeImageLayout(join(folder, 'second'), 2, 300_000);
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    '--dest-tls-verify=false',
    `oci:${first.folder}`,
    `docker://${ours.address}/a:first`,
  ]);
  // An image of the first one's content, known by its sha512 digest.
  const manifest = readFileSync(join(first.folder, 'blobs', ...first.digest.split(':'))).toString();
  const sha512 = digestOf(Buffer.from(`${manifest}\n`), 'sha512');
  const put = await request(`${ours.url}/v2/a/manifests/${sha512}?tag=long`, {
    method: 'PUT',
    headers: { 'content-type': mediaTypes.ociManifest },
    body: `${manifest}\n`,
  });
  assert.equal(put.statusCode, 201);
  await put.body.dump();

  const theirs = await startDockerRegistry(t, join(ours.folder, 'storage'), folder);
  const pull = async (address: string, tag: string): Promise<string> => {
    const copy = join(folder, `copy-${address.replaceAll(':', '-')}-${tag}`);
    await succeed('skopeo', [
      'copy',
      '--preserve-digests',
      '--src-tls-verify=false',
      `docker://${address}/a:${tag}`,
      `oci:${copy}`,
    ]);
    return copy;
  };
  await compareLayouts(first.folder, await pull(theirs, 'first'));
  const long = await request(`http://${theirs}/v2/a/manifests/long`, {
    headers: { accept: mediaTypes.ociManifest },
  });
  assert.equal(long.statusCode, 200);
  assert.equal(await long.body.text(), `${manifest}\n`);
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    '--dest-tls-verify=false',
    `oci:${second.folder}`,
    `docker://${theirs}/a:second`,
  ]);
  await compareLayouts(second.folder, await pull(ours.address, 'second'));
});

/** Debian's docker-registry on our storage. @returns its address */
async function startDockerRegistry(t: TestContext, storage: string, folder: string): Promise<string> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = `127.0.0.1:${(probe.address() as AddressInfo).port}`; // a TCP server has one
  await new Promise((resolve) => probe.close(resolve));
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: address },
  };
  const file = join(folder, 'docker-registry.yml');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await waitFor(async () => {
    const answer = await request(`http://${address}/v2/`).catch(() => undefined);
    await answer?.body.dump();
    return answer?.statusCode === 200;
  });
  return address;
}
