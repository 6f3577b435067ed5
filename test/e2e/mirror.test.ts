import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { faultyProxy } from '../support/faulty-proxy.ts';
import { writePair, startServe, type ServeProcess } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { script } from './cluster.ts';
import { run, succeed } from './command.ts';
import { distributions, serveWithDistribution, type Distribution } from './distribution.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { startDocker } from './support/dockerd.ts';
import { startTokenServer } from './support/token-server.ts';
import { waitFor } from './wait.ts';

const ANN = { name: 'ann', password: 'correct horse' };
let folder: string;
let image: ImageLayout;
let crane: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mirror-e2e-'));
  image = await writeImageLayout(join(folder, 'image'), 3, 500_000);
  crane = (await script('tools', ['crane'])).trim();
});

after(() => rmSync(folder, { recursive: true, force: true }));

const newFolder = (): string => mkdtempSync(join(folder, 'test-'));

/** Serves a mirror of upstreams. */
function startMirror(t: TestContext, upstreams: readonly object[], more: object = {}): Promise<ServeProcess> {
  const mirror = JSON.stringify({ upstreams, ...more });
  return startServe(t, { environment: { REGISTRY_STEVEDORE_MIRROR: mirror } });
}

/** Pulls with skopeo, and compares every byte. */
async function pullWithSkopeo(name: string): Promise<void> {
  const back = join(newFolder(), 'layout');
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    '--src-tls-verify=false',
    `docker://${name}`,
    `oci:${back}`,
  ]);
  assert.equal(await compareLayouts(image.folder, back), image.size);
}

/** Pulls with crane, which verifies what it gets. */
async function pullWithCrane(name: string): Promise<void> {
  assert.equal((await succeed(crane, ['digest', '--insecure', name])).trim(), image.digest);
  const back = join(newFolder(), 'layout');
  await succeed(crane, ['pull', '--insecure', '--format=oci', name, back]);
}

async function push(name: string, ...options: readonly string[]): Promise<void> {
  const source = `oci:${image.folder}`;
  await succeed('skopeo', ['copy', '--preserve-digests', ...options, source, `docker://${name}`]);
}

/** A registry of distribution's without users, and a proxy in front of it that counts and can stop. */
async function startUpstream(t: TestContext, distribution: Distribution) {
  const files = newFolder();
  const { url } = await serveWithDistribution(t, distribution, {
    config: join(files, 'config.yml'),
    storage: join(files, 'storage'),
  });
  await push(`${new URL(url).host}/library/app:v1`, '--dest-tls-verify=false');
  return faultyProxy(t, url);
}

for (const distribution of distributions) {
  test(`skopeo and crane pull from ${distribution.title} through a mirror, also when it is gone`, async (t) => {
    const upstream = await startUpstream(t, distribution);
    const { address } = await startMirror(t, [{ host: 'docker.io', url: upstream.url }]);
    await pullWithSkopeo(`${address}/docker.io/library/app:v1`);
    await pullWithCrane(`${address}/docker.io/app:v1`);
    assert.equal(upstream.count('HEAD', /manifests/), 1);
    assert.equal(upstream.count('GET', /blobs/), image.layers.length + 1);
    const pushed = await run('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      `oci:${image.folder}`,
      `docker://${address}/docker.io/library/own:v1`,
    ]);
    assert.notEqual(pushed.code, 0);
    assert.match(pushed.stderr, /this server is a mirror.*use docker\.io\/library\/own instead/);

    await upstream.down();
    await pullWithSkopeo(`${address}/docker.io/app@${image.digest}`);
    await pullWithCrane(`${address}/docker.io/library/app:v1`);
  });

  test(`a mirror serves what the proxy of ${distribution.title} has kept`, async (t) => {
    const upstream = await startUpstream(t, distribution);
    const files = newFolder();
    const proxy = await serveWithDistribution(t, distribution, {
      config: join(files, 'theirs.yml'),
      storage: join(files, 'storage'),
      settings: { proxy: { remoteurl: upstream.url } },
    });
    await pullWithSkopeo(`${new URL(proxy.url).host}/library/app:v1`);
    // By this file, written every five seconds, a folder is told from that of a registry.
    await waitFor('distribution has written what it will delete', async () =>
      existsSync(join(files, 'storage/scheduler-state.json')),
    );
    const blobs = upstream.count('GET', /blobs/);
    const environment = { REGISTRY_PROXY_REMOTEURL: upstream.url };
    const { address } = await startServe(t, { folder: files, environment });
    await pullWithSkopeo(`${address}/library/app:v1`);
    assert.equal(upstream.count('GET', /blobs/), blobs);
    await upstream.down();
    await pullWithCrane(`${address}/library/app:v1`);
  });
}

test('a mirror has a user at a registry with TLS and tokens, and its clients need none', async (t) => {
  const files = newFolder();
  const authority = await createTestAuthority();
  const tokens = await startTokenServer(t, { [ANN.name]: ANN.password }, authority);
  writePair(files, await authority.issue());
  const certificates = join(files, 'certificates');
  mkdirSync(certificates);
  writeFileSync(join(certificates, 'ca.crt'), authority.certificate);
  writeFileSync(join(files, 'tokens.json'), tokens.namedKeySet);
  const upstream = await serveWithDistribution(t, distributions[1] ?? assert.fail(), {
    config: join(files, 'upstream.yml'),
    storage: join(files, 'storage'),
    settings: {
      http: {
        addr: '127.0.0.1:0',
        tls: { certificate: join(files, 'tls.crt'), key: join(files, 'tls.key') },
      },
      auth: {
        token: {
          realm: tokens.realm,
          service: 'upstream',
          issuer: tokens.issuer,
          jwks: join(files, 'tokens.json'),
        },
      },
    },
  });
  const { host } = new URL(upstream.url);
  const user = `${ANN.name}:${ANN.password}`;
  for (const name of ['app', 'secret'])
    await push(`${host}/ann/${name}:v1`, '--dest-cert-dir', certificates, '--dest-creds', user);
  const secret = join(files, 'secret');
  mkdirSync(secret);
  writeFileSync(join(secret, 'username'), ANN.name);
  writeFileSync(join(secret, 'password'), 'not yet');
  const { address } = await startMirror(t, [
    {
      host: 'registry.example.com:5000',
      url: `https://${host}`,
      credentials: secret,
      ca: join(certificates, 'ca.crt'),
      allowedrepositories: ['ann/app'],
      realmhosts: ['localhost'],
    },
  ]);
  const name = `${address}/registry.example.com_5000/ann/app`;
  const refused = await run('skopeo', ['inspect', '--tls-verify=false', `docker://${name}:v1`]);
  assert.match(refused.stderr, /name unknown|registry\.example\.com:5000/);
  writeFileSync(join(secret, 'password'), ANN.password);
  await waitFor('the new password is used', async () => {
    const { code } = await run('skopeo', ['inspect', '--tls-verify=false', `docker://${name}:v1`]);
    return code === 0;
  });
  await pullWithSkopeo(`${name}:v1`);
  await pullWithCrane(`${name}:v1`);
  const other = await run('skopeo', [
    'inspect',
    '--tls-verify=false',
    `docker://${name.replace('app', 'secret')}:v1`,
  ]);
  assert.notEqual(other.code, 0);
});

test('docker uses a mirror after SIGHUP alone, and pulls what it has while the upstream is gone', async (t) => {
  const upstream = await startUpstream(t, distributions[1] ?? assert.fail());
  const { address } = await startMirror(t, [{ host: 'docker.io', url: upstream.url }], {
    defaultupstream: 'docker.io',
  });
  const docker = await startDocker(t);
  docker.reconfigure({ 'registry-mirrors': [`http://${address}`] });
  await waitFor('docker has read its settings', async () =>
    (await docker.docker('info', '--format', '{{.RegistryConfig.Mirrors}}')).includes(address),
  );
  await docker.docker('pull', 'app:v1');
  const digests = await docker.docker('image', 'inspect', '--format', '{{.RepoDigests}}', 'app:v1');
  assert.match(digests, new RegExp(image.digest));
  assert.equal(upstream.count('GET', /blobs/), image.layers.length + 1);
  await docker.docker('image', 'rm', 'app:v1');
  await upstream.down();
  await docker.docker('pull', 'docker.io/library/app:v1');
});
