import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { RegistryUpstream } from '../../../src/mirror/upstream/registry-upstream.ts';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { faultyProxy, type Fault, type FaultyProxy } from '../../support/faulty-proxy.ts';
import { pushImage, type TestImage } from '../../support/push-image.ts';
import { repositoryName, tagName } from '../../support/registry-content.ts';
import { writePair, writeUsers } from '../../support/serve-process.ts';
import { standInService } from '../../support/stand-in-service.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { testUpstream } from '../../support/test-upstream.ts';
import { claims, ecdsaKey, token } from '../../support/token-issuer.ts';

const app = repositoryName('team/app');
const v1 = tagName('v1');
const layer = Buffer.from('0123456789'.repeat(20_000));
const { signal } = new AbortController();
const all = new URLSearchParams();

/** A registry with an image and what refers to it, which keeps the rules of `overrides`. */
async function start(
  t: TestContext,
  overrides: Readonly<Record<string, string>> = {},
  prepare?: (folder: string) => void,
): Promise<{ readonly registry: TestRegistry; readonly image: TestImage; readonly folder: string }> {
  const open = await startTestRegistry(t);
  const image = await pushImage(open.url, app, v1, [layer]);
  await pushImage(open.url, app, 'sbom', ['sbom'], { subject: image, artifactType: 'application/sbom' });
  const storage = { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: `${open.folder}/storage` };
  const registry = await startTestRegistry(t, { ...storage, ...overrides }, prepare);
  return { registry, image, folder: open.folder };
}

async function read(upstream: RegistryUpstream, digest: Digest | undefined, start = 0): Promise<Buffer> {
  assert.ok(digest !== undefined);
  const blob = await upstream.blob(app, digest, { start, signal });
  assert.equal(blob.start, start);
  const chunks: Uint8Array[] = [];
  for await (const chunk of blob.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Asks for everything that a mirror asks for. */
async function readAll(upstream: RegistryUpstream, image: TestImage): Promise<void> {
  const resolved = await upstream.resolve(app, v1, signal);
  assert.deepEqual([resolved.digest, resolved.size], [image.digest, image.manifest.length]);
  assert.equal(resolved.content, undefined, 'HEAD was enough');
  const manifest = await upstream.manifest(app, image.digest, signal);
  assert.deepEqual(manifest.bytes, image.manifest);
  const config = await upstream.blob(app, image.config, { start: 1, signal });
  assert.ok(config.start === 1 && config.size > 1);
  assert.deepEqual(await read(upstream, image.layers[0]), layer);
  assert.deepEqual(await read(upstream, image.layers[0], 150_000), layer.subarray(150_000));
  const first = await upstream.tags(app, new URLSearchParams({ n: '1' }), signal);
  assert.deepEqual(JSON.parse(String(first.bytes)), { name: app, tags: ['sbom'] });
  assert.ok(first.next);
  const rest = await upstream.tags(app, first.next, signal);
  assert.deepEqual(JSON.parse(String(rest.bytes)), { name: app, tags: ['v1'] });
  assert.equal(rest.next, undefined);
  const referrers = await upstream.referrers(app, image.digest, all, signal);
  assert.match(String(referrers?.bytes), /application\/sbom/);
}

test('a registry with passwords is read with those that its folder has at the moment', async (t) => {
  const { registry, image, folder } = await start(
    t,
    { REGISTRY_AUTH_HTPASSWD_REALM: 'test', REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd' },
    (place) => writeUsers(place, { alice: 'new' }),
  );
  const anonymous = testUpstream(t, registry.url);
  await assert.rejects(anonymous.resolve(app, v1, signal), { kind: 'denied', status: 401 });

  const secret = join(folder, 'secret');
  const upstream = testUpstream(t, registry.url, { credentials: { folder: secret } });
  await assert.rejects(upstream.resolve(app, v1, signal), { kind: 'unavailable', message: /ENOENT/ });
  mkdirSync(secret);
  writeFileSync(join(secret, 'username'), 'alice');
  writeFileSync(join(secret, 'password'), 'old');
  await assert.rejects(upstream.resolve(app, v1, signal), { kind: 'denied', status: 401 });
  writeFileSync(join(secret, 'password'), 'new');
  await readAll(upstream, image);
  rmSync(join(secret, 'password'));
  const { host } = new URL(registry.url);
  const auths = { [host]: { auth: btoa('alice:new') } };
  writeFileSync(join(secret, '.dockerconfigjson'), JSON.stringify({ auths }));
  await readAll(upstream, image);
});

test('a registry with tokens is read with those of its token server, and new ones when they have expired', async (t) => {
  const signer = ecdsaKey();
  const tokens = await standInService(t, ({ path, headers }, count) => {
    if (headers.authorization !== `Basic ${btoa('alice:secret')}`) return { status: 401 };
    const scope = new URL(path, 'http://x').searchParams.get('scope') ?? '';
    const [type, name, actions = ''] = scope.split(':');
    const access = [{ type, name, actions: actions.split(',') }];
    // The first has expired by the clock of the registry.
    const exp = Math.floor(Date.now() / 1000) + (count === 1 ? -3600 : 3600);
    return { body: { token: token(signer, { kid: signer.alg }, claims({ access, exp })), expires_in: 3600 } };
  });
  const { registry, image } = await start(
    t,
    {
      REGISTRY_AUTH_TOKEN_REALM: `${tokens.url}/token`,
      REGISTRY_AUTH_TOKEN_SERVICE: 'registry',
      REGISTRY_AUTH_TOKEN_ISSUER: 'issuer',
      REGISTRY_AUTH_TOKEN_JWKS: '{folder}/jwks',
    },
    (folder) =>
      writeFileSync(
        join(folder, 'jwks'),
        JSON.stringify({ keys: [{ ...signer.jwk, alg: signer.alg, kid: signer.alg }] }),
      ),
  );
  const credentials = { username: 'alice', password: 'secret' };
  const realmHosts = [new URL(tokens.url).host];
  const upstream = testUpstream(t, registry.url, { credentials, realmHosts });
  await assert.rejects(upstream.resolve(app, v1, signal), { kind: 'denied' }, 'a new token that has expired');
  await readAll(upstream, image);
  assert.equal(tokens.received.length, 2);
  assert.equal(
    tokens.received[1]?.path,
    '/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull&account=alice',
  );
  const foreign = testUpstream(t, registry.url, { credentials });
  await assert.rejects(foreign.resolve(app, v1, signal), {
    kind: 'denied',
    message: /token server|no token/,
  });
  assert.equal(tokens.received.length, 2, 'nobody else is sent the credentials');
});

test('a registry is trusted by the authority that its file has at the moment', async (t) => {
  const [right, wrong] = await Promise.all([createTestAuthority(), createTestAuthority()]);
  const pair = await right.issue();
  const { registry, image, folder } = await start(
    t,
    { REGISTRY_HTTP_TLS_CERTIFICATE: '{folder}/tls.crt', REGISTRY_HTTP_TLS_KEY: '{folder}/tls.key' },
    (place) => writePair(place, pair),
  );
  const ca = join(folder, 'ca.crt');
  const upstream = testUpstream(t, registry.url, { ca });
  await assert.rejects(upstream.resolve(app, v1, signal), { kind: 'unavailable', message: /ENOENT/ });
  writeFileSync(ca, wrong.certificate);
  await assert.rejects(upstream.resolve(app, v1, signal), { kind: 'unavailable', message: /certificate/ });
  writeFileSync(ca, `${wrong.certificate}\n${right.certificate}`);
  await readAll(upstream, image);
});

test('every fault of an upstream has its kind, and one that passes is not noticed', async (t) => {
  const { registry, image } = await start(t);
  const proxy = await faultyProxy(t, registry.url);
  const timeouts = { connect: 1000, headers: 200, body: 200 };
  const upstream = (): RegistryUpstream => testUpstream(t, proxy.url, {}, { timeouts });
  const manifest = (): Promise<unknown> => upstream().manifest(app, image.digest, signal);
  const blob = async (): Promise<void> => {
    assert.equal(digestOf(await read(upstream(), image.layers[0])), image.layers[0], 'wrong bytes');
  };
  const cases: readonly (readonly [Fault, ofManifests: string, ofBlobs: string])[] = [
    [{ status: 401 }, 'denied', 'denied'],
    [{ status: 403 }, 'denied', 'denied'],
    [{ status: 404 }, 'not-found', 'not-found'],
    [{ status: 429 }, 'busy', 'busy'],
    [{ status: 500 }, 'unavailable', 'unavailable'],
    [{ status: 503, headers: { 'retry-after': '1' } }, 'unavailable', 'unavailable'],
    [{ refuse: true }, 'unavailable', 'unavailable'],
    [{ stallAfter: -1 }, 'unavailable', 'unavailable'],
    [{ stallAfter: 100 }, 'unavailable', 'unavailable'],
    [{ cutAfter: 100 }, 'unavailable', 'unavailable'],
    [{ lengthLie: 1 }, 'unavailable', 'unavailable'],
    [{ lengthLie: -1 }, 'invalid', 'wrong bytes'],
    [{ flip: 3 }, 'invalid', 'wrong bytes'],
    [{ body: '<html>' }, 'invalid', 'wrong bytes'],
    [{ headers: { 'content-encoding': 'gzip' } }, 'well', 'invalid'],
    [{ redirect: 'http://127.0.0.1:1/{path}' }, 'unavailable', 'unavailable'],
    [{ redirect: `${registry.url}{path}` }, 'well', 'well'],
  ];
  for (const [fault, ofManifests, ofBlobs] of cases) {
    const shown = JSON.stringify(fault);
    proxy.rule({}, fault);
    assert.equal(await outcome(manifest), ofManifests, `manifest: ${shown}`);
    assert.equal(await outcome(blob), ofBlobs, `blob: ${shown}`);
    proxy.clear();
    assert.equal(await outcome(manifest), 'well');
  }
  for (const fault of [{ status: 500 }, { refuse: true }, { cutAfter: 100 }, { lengthLie: 1 }]) {
    proxy.rule({}, fault, { times: 2 });
    assert.equal(await outcome(manifest), 'well', JSON.stringify(fault));
    proxy.clear();
  }
  await whenDown(proxy, manifest);
});

async function whenDown(proxy: FaultyProxy, ask: () => Promise<unknown>): Promise<void> {
  await proxy.down();
  assert.equal(await outcome(ask), 'unavailable');
  await proxy.up();
  assert.equal(await outcome(ask), 'well');
}

/** `well`, or what went wrong. */
async function outcome(ask: () => Promise<unknown>): Promise<string> {
  try {
    await ask();
    return 'well';
  } catch (error) {
    if (error instanceof Error && 'kind' in error) return String(error.kind);
    return error instanceof assert.AssertionError ? 'wrong bytes' : String(error);
  }
}
