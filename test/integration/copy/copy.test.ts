import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { runProgram, type Outcome } from '../../support/run-program.ts';
import { startServe, type ServeProcess } from '../../support/serve-process.ts';
import { bytesOf, imageIndex, imageManifest } from '../../support/store-fixture.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const config = Buffer.from('{"architecture":"amd64","os":"linux"}');
const named = (bytes: Buffer) => ({ digest: digestOf(bytes), size: bytes.length });

/** Fills a registry through its API. */
async function push(
  url: string,
  repository: string,
  tag: string,
  layer: Buffer,
  changes: object = {},
): Promise<Digest> {
  for (const blob of [config, layer]) {
    const path = `${url}/v2/${repository}/blobs/uploads/?digest=${digestOf(blob)}`;
    const answer = await request(path, { method: 'POST', body: blob });
    assert.equal(answer.statusCode, 201, await answer.body.text());
  }
  const manifest = imageManifest(named(config), [named(layer)], changes);
  await putManifest(url, repository, tag, manifest, mediaTypes.ociManifest);
  return digestOf(manifest);
}

async function putManifest(
  url: string,
  repository: string,
  reference: string,
  bytes: Buffer,
  type: string,
): Promise<void> {
  const path = `${url}/v2/${repository}/manifests/${reference}`;
  const answer = await request(path, { method: 'PUT', headers: { 'content-type': type }, body: bytes });
  assert.equal(answer.statusCode, 201, await answer.body.text());
}

async function digestAt(url: string, repository: string, reference: string): Promise<string | undefined> {
  const answer = await request(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD' });
  await answer.body.dump();
  return answer.statusCode === 200 ? String(answer.headers['docker-content-digest']) : undefined;
}

interface Summary {
  readonly images: { readonly copied: number; readonly unchanged: number; readonly failed: number };
  readonly blobs: { readonly copied: number; readonly mounted: number; readonly there: number };
  readonly bytes: number;
}

/** Runs the command; its summary. @throws when it does not end with `expect`. */
async function copy(
  args: readonly string[],
  expect = 0,
  environment: Record<string, string> = {},
): Promise<Summary> {
  const outcome = await runCopy(args, environment);
  assert.equal(outcome.code, expect, `${outcome.stdout}${outcome.stderr}`);
  const last = outcome.stdout.trim().split('\n').at(-1) ?? '';
  return (JSON.parse(last) as { readonly summary: Summary }).summary; // as --format json says
}

function runCopy(args: readonly string[], environment: Record<string, string> = {}): Promise<Outcome> {
  return runProgram(['copy', '--format=json', ...args], {
    environment: { PATH: process.env['PATH'] ?? '', ...environment },
  });
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'copy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const host = (url: string): string => new URL(url).host;

/** Two images and an index of them with a signature of one, and another repository that shares a layer. */
async function fill(url: string) {
  const base = bytesOf(300_000, 'base');
  const amd64 = await push(url, 'team/app', 'amd64', base);
  const arm64 = await push(url, 'team/app', 'arm64', bytesOf(2_000_000, 'arm64'));
  const platform = (architecture: string) => ({ platform: { os: 'linux', architecture } });
  const children = [
    { digest: amd64, ...platform('amd64') },
    { digest: arm64, ...platform('arm64') },
  ];
  const index = imageIndex(children);
  await putManifest(url, 'team/app', 'v1', index, mediaTypes.ociIndex);
  const signature = await push(url, 'team/app', 'signature', bytesOf(100, 'signature'), {
    subject: { mediaType: mediaTypes.ociManifest, digest: amd64, size: 1 },
  });
  await push(url, 'other', 'latest', base, { annotations: { of: 'other' } });
  return { amd64, arm64, index: digestOf(index), signature };
}

test('an index is copied with its images, and a second time nothing is', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startTestRegistry(t)];
  const { index, amd64, signature } = await fill(from.url);
  const places = [`${host(from.url)}/team/app:v1`, `${host(to.url)}/mine/app:v2`];
  const first = await copy(places);
  assert.partialDeepStrictEqual(first, { images: { copied: 1 }, blobs: { copied: 3, there: 1 } });
  assert.equal(await digestAt(to.url, 'mine/app', 'v2'), index);
  assert.equal(await digestAt(to.url, 'mine/app', amd64), amd64);
  assert.equal(await digestAt(to.url, 'mine/app', signature), undefined);
  assert.deepEqual((await copy(places)).images, { copied: 0, unchanged: 1, failed: 0 });

  await copy(['--referrers', ...places]);
  assert.equal(await digestAt(to.url, 'mine/app', signature), signature);
  const referrers = await request(`${to.url}/v2/mine/app/referrers/${amd64}`);
  assert.match(await referrers.body.text(), new RegExp(signature));

  await copy(['--platform=linux/arm64', places[0] ?? '', `${host(to.url)}/mine/arm`]);
  assert.notEqual(await digestAt(to.url, 'mine/arm', 'v1'), index);
  const missing = await runCopy(['--platform=linux/s390x', ...places]);
  assert.match(missing.stdout, /has no image for linux\/s390x, but for linux\/amd64, linux\/arm64/);
});

test('a whole registry is copied, a layer once: other repositories mount it', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startTestRegistry(t)];
  const { index } = await fill(from.url);
  const all = await copy(['--all', host(from.url), `${host(to.url)}/copy`]);
  assert.partialDeepStrictEqual(all, { images: { copied: 5 }, blobs: { mounted: 2 } });
  assert.equal(await digestAt(to.url, 'copy/team/app', 'v1'), index);
  assert.equal(await digestAt(to.url, 'copy/other', 'latest'), await digestAt(from.url, 'other', 'latest'));
  // Within a registry nothing is sent at all.
  const within = await copy(['--all-tags', `${host(to.url)}/copy/team/app`, `${host(to.url)}/again`]);
  assert.partialDeepStrictEqual(within, { images: { copied: 4 }, blobs: { copied: 0 }, bytes: 0 });
});

test('layouts and archives are written and read again', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startTestRegistry(t)];
  const { index, amd64, signature } = await fill(from.url);
  const folder = temporaryFolder(t);
  const layout = `oci:${folder}/layout`;
  await copy(['--all', '--referrers', host(from.url), layout]);
  assert.equal((await copy(['--all', host(from.url), layout])).images.copied, 0);
  await copy(['--all', '--referrers', layout, host(to.url)]);
  assert.equal(await digestAt(to.url, 'team/app', 'v1'), index);
  assert.equal(await digestAt(to.url, 'team/app', signature), signature);
  await copy([`${layout}:team/app:amd64`, `${host(to.url)}/one:tag`]);
  assert.equal(await digestAt(to.url, 'one', 'tag'), amd64);
  const several = await runCopy([layout, `${host(to.url)}/x`]);
  assert.equal(several.code, 2);
  assert.match(several.stderr, /holds several images: name one of .*team\/app:v1/);

  const archive = `docker-archive:${folder}/image.tar`;
  await copy(['--platform=linux/amd64', `${host(from.url)}/team/app:v1`, `${archive}:my/app:v3`]);
  await copy([archive, `${host(to.url)}/from/archive`]);
  await copy(['--all-tags', archive, `${host(to.url)}/from/tags`]);
  const one = await digestAt(to.url, 'from/archive', 'v3');
  assert.ok(one !== undefined && one === (await digestAt(to.url, 'from/tags', 'v3')));
  assert.deepEqual(readdirSync(folder).toSorted(), ['image.tar', 'layout']);
});

test('an image that fails is told, leaves nothing half made, and does not keep the others', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startTestRegistry(t)];
  await fill(from.url);
  const folder = temporaryFolder(t);
  const missing = await runCopy([`${host(from.url)}/team/app:none`, `docker-archive:${folder}/x.tar`]);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /team\/app has no none/);
  assert.deepEqual(readdirSync(folder), []);

  const layout = join(folder, 'layout');
  await copy(['--all-tags', `${host(from.url)}/team/app`, `oci:${layout}`]);
  const damaged = join(layout, 'blobs/sha256', digestOf(bytesOf(2_000_000, 'arm64')).slice(7));
  writeFileSync(damaged, Buffer.alloc(readFileSync(damaged).length));
  const summary = await copy(['--all-tags', '--retries=0', `oci:${layout}`, `${host(to.url)}/app`], 1);
  assert.deepEqual(summary.images, { copied: 2, unchanged: 0, failed: 2 });
  assert.equal(await digestAt(to.url, 'app', 'v1'), undefined);
  assert.notEqual(await digestAt(to.url, 'app', 'amd64'), undefined);
});

test('images that would take the name of each other are refused, and so is a repository that is not there', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startTestRegistry(t)];
  for (const name of ['a', 'b']) await push(from.url, name, 'v1', bytesOf(10, name));
  const layout = `oci:${temporaryFolder(t)}/layout`;
  await copy(['--all', host(from.url), layout]);
  const both = await runCopy(['--all-tags', layout, `${host(to.url)}/x`]);
  assert.equal(both.code, 2, both.stdout);
  assert.match(both.stderr, /a:v1 and .*b:v1 would both be .*\/x:v1/);
  assert.equal(await digestAt(to.url, 'x', 'v1'), undefined);

  const missing = await runCopy(['--all-tags', `${host(from.url)}/none`, `${host(to.url)}/none`]);
  assert.equal(missing.code, 1, missing.stdout);
  assert.match(missing.stderr, /has no repository none/);
});

/** Passes on to a server, and cuts the connection once, when so many bytes were sent to it or received from it. */
async function startCutter(
  t: TestContext,
  target: URL,
  after: number,
  counted: 'sent' | 'received',
): Promise<{ host: string; passed: () => number }> {
  let passed = 0;
  let cut = false;
  const server = createTcpServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const count = (chunk: Buffer): void => {
      passed += chunk.length;
      if (cut || passed < after) return;
      cut = true;
      // What has come so far arrives, as when a proxy in between gives up.
      if (counted === 'sent') upstream.end();
      else upstream.destroy();
      client.resetAndDestroy();
    };
    (counted === 'sent' ? client : upstream).on('data', count);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, passed: () => passed }; // it listens on TCP
}

test('an upload that breaks goes on where it was', async (t) => {
  const [from, to] = [await startTestRegistry(t), await startServe(t)];
  const size = 20_000_000;
  const digest = await push(from.url, 'app', 'v1', bytesOf(size, 'large'));
  const between = await startCutter(t, new URL(to.url), size / 2, 'sent');
  await copy([`${host(from.url)}/app:v1`, `${between.host}/app:v1`]);
  assert.equal(await digestAt(to.url, 'app', 'v1'), digest);
  assert.ok(between.passed() < size * 1.3, `${between.passed()} bytes were sent`);
});

test('a download that breaks goes on where it was', async (t) => {
  const from = await startTestRegistry(t);
  const size = 20_000_000;
  const digest = await push(from.url, 'app', 'v1', bytesOf(size, 'large'));
  const between = await startCutter(t, new URL(from.url), size / 2, 'received');
  const folder = temporaryFolder(t);
  await copy([`${between.host}/app:v1`, `oci:${folder}/layout:v1`]);
  assert.match(readFileSync(join(folder, 'layout/index.json'), 'utf8'), new RegExp(digest));
  assert.ok(between.passed() < size * 1.3, `${between.passed()} bytes were sent`);
});

test('credentials come from the command line or from docker, and a CA from a file', async (t) => {
  const authority = await createTestAuthority();
  const to: ServeProcess = await startServe(t, { tls: authority, users: { alice: 'secret' } });
  const from = await startTestRegistry(t);
  const digest = await push(from.url, 'app', 'v1', bytesOf(10, 'x'));
  const folder = temporaryFolder(t);
  const ca = join(folder, 'ca.crt');
  writeFileSync(ca, authority.certificate);
  const places = [`${host(from.url)}/app:v1`, `https://${to.address}/app:v1`];
  const trusting = [`--dst-ca=${ca}`, ...places];

  const nobody = await runCopy(trusting, { HOME: folder });
  assert.match(nobody.stdout, /401, the credentials are missing or wrong/);
  await copy(['--dst-creds=alice:wrong', ...trusting], 1);
  await copy(['--dst-creds=alice:secret', ...trusting]);
  const auth = Buffer.from('alice:secret').toString('base64');
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [to.address]: { auth } } }));
  const unchanged = await copy(trusting, 0, { DOCKER_CONFIG: folder });
  assert.equal(unchanged.images.unchanged, 1);
  const back = [`https://${to.address}/app@${digest}`, `oci:${folder}/layout:x`];
  await copy(['--src-creds=alice:secret', `--src-ca=${ca}`, ...back]);
});

/** A registry that hands out tokens, holds one image, and is busy at first. */
async function startTokenRegistry(t: TestContext): Promise<{ host: string; tokens: URL[] }> {
  const manifest = imageManifest(named(config));
  const tokens: URL[] = [];
  const refusals = new Set<string>();
  const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { headers } = incoming;
    const url = new URL(incoming.url ?? '', `http://${headers.host}`);
    const send = (status: number, body: Buffer | string = '', more: Record<string, string> = {}): void => {
      response.writeHead(status, more).end(body);
    };
    if (url.pathname === '/token') {
      tokens.push(url);
      const known = headers.authorization === `Basic ${Buffer.from('alice:secret').toString('base64')}`;
      return send(known ? 200 : 401, JSON.stringify({ access_token: 'a-token' }));
    }
    if (headers.authorization !== 'Bearer a-token') {
      const challenge = `Bearer realm="${url.origin}/token",service="the-registry",scope="repository:app:pull"`;
      return send(401, '', { 'www-authenticate': challenge });
    }
    if (!refusals.has(url.pathname)) {
      refusals.add(url.pathname);
      return send(429, '', { 'retry-after': '0' });
    }
    const isBlob = url.pathname.includes('/blobs/');
    return send(200, isBlob ? config : manifest, isBlob ? {} : { 'content-type': mediaTypes.ociManifest });
  };
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, tokens }; // it listens on TCP
}

test('tokens are fetched once for what they are good for, and a busy registry is asked again', async (t) => {
  const registry = await startTokenRegistry(t);
  const folder = temporaryFolder(t);
  await copy(['--src-creds=alice:secret', `http://${registry.host}/app:v1`, `oci:${folder}/layout`]);
  assert.equal(registry.tokens.length, 1);
  const [{ searchParams } = new URL('http://none')] = registry.tokens;
  assert.equal(searchParams.get('service'), 'the-registry');
  assert.deepEqual(searchParams.getAll('scope'), ['repository:app:pull']);
  const wrong = await runCopy([
    '--retries=0',
    '--src-creds=alice:no',
    `http://${registry.host}/app:v1`,
    `oci:${folder}/y`,
  ]);
  assert.match(wrong.stdout, /\/token gave no token: 401/);
  assert.doesNotMatch(wrong.stdout + wrong.stderr, /alice:no/);
});

test('bad usage says what is wrong and exits with 2', async () => {
  for (const [args, message] of [
    [['one'], /SRC and DST/],
    [['NO/such', 'oci:x'], /'NO\/such' is none of/],
    [['--platform=amd64', 'a/b', 'oci:x'], /--platform is OS\/ARCH/],
    [['--concurrency=0', 'a/b', 'oci:x'], /--concurrency is a number, 1 or more/],
    [['--all', '--all-tags', 'a.b', 'oci:x'], /--all copies all tags already/],
    [
      ['--referrers', 'a/b', 'docker-archive:x'],
      /a docker archive holds one image: it has no room for referrers/,
    ],
    [['--src-creds=nobody', 'a/b', 'oci:x'], /--src-creds is USER:PASSWORD/],
  ] as const) {
    const { code, stderr } = await runCopy(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});
