import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { RegistryUpstream } from '../../../../src/mirror/upstream/registry-upstream.ts';
import { digestOf, type Digest } from '../../../../src/oci/digest.ts';
import { LARGEST_MANIFEST_BYTES } from '../../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { repositoryName, tagName } from '../../../support/registry-content.ts';
import { standInService, type PreparedAnswer } from '../../../support/stand-in-service.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';
import { testUpstream } from '../../../support/test-upstream.ts';

const app = repositoryName('team/app');
const latest = tagName('latest');
const { signal } = new AbortController();

const bytes = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(bytes);
const manifest = {
  headers: { 'docker-content-digest': digest, 'content-type': `${mediaTypes.ociManifest}; charset=utf-8` },
  body: bytes,
};
const blob = Buffer.from('0123456789');
const blobDigest = digestOf(blob);

async function read(upstream: RegistryUpstream, start = 0): Promise<readonly [number, number, string]> {
  const { size, start: at, body } = await upstream.blob(app, blobDigest, { start, signal });
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return [size, at, Buffer.concat(chunks).toString()];
}

test('a tag is resolved by HEAD, and by GET where HEAD does not tell', async (t) => {
  const { 'docker-content-digest': _digest, ...undigested } = manifest.headers;
  const length = { 'content-length': String(bytes.length) };
  const cases: readonly (readonly [PreparedAnswer, boolean])[] = [
    [{ headers: { ...manifest.headers, ...length } }, false],
    [{ headers: { ...undigested, ...length } }, true],
    [{ headers: { ...manifest.headers, ...length, 'docker-content-digest': 'sha256:short' } }, true],
    [{ headers: { ...manifest.headers, 'transfer-encoding': 'chunked' } }, true],
    [{ status: 405 }, true],
    [{ status: 400 }, true],
    [{ status: 501 }, true],
  ];
  for (const [head, asksAgain] of cases) {
    const service = await standInService(t, ({ method }) => (method === 'HEAD' ? head : manifest));
    const { content, ...resolved } = await testUpstream(t, service.url).resolve(app, latest, signal);
    assert.deepEqual(resolved, { digest, mediaType: mediaTypes.ociManifest, size: bytes.length });
    assert.deepEqual(content, asksAgain ? { digest, mediaType: mediaTypes.ociManifest, bytes } : undefined);
    assert.equal(service.received.length, asksAgain ? 2 : 1);
    for (const { path, headers } of service.received) {
      assert.equal(path, '/v2/team/app/manifests/latest');
      assert.match(headers.accept ?? '', /oci\.image\.index.*docker.*manifest\.list/);
      assert.equal(headers['accept-encoding'], 'identity');
      assert.equal(headers['user-agent'], 'stevedore');
    }
  }
});

test('manifests are taken only as they were asked for', async (t) => {
  let answer: PreparedAnswer = manifest;
  const service = await standInService(t, () => answer);
  const upstream = testUpstream(t, service.url);
  assert.deepEqual((await upstream.manifest(app, digest, signal)).bytes, bytes);
  const wrong = Buffer.from('{"schemaVersion":3}');
  answer = { ...manifest, body: wrong };
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'invalid', message: /not those/ });
  // What HEAD says without telling all.
  const { received } = service;
  const byTag = standInService(t, ({ method }) => (method === 'HEAD' ? { status: 405 } : answer));
  await assert.rejects(testUpstream(t, (await byTag).url).resolve(app, latest, signal), { kind: 'invalid' });
  answer = { ...manifest, body: Buffer.alloc(LARGEST_MANIFEST_BYTES + 1) };
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'invalid', message: /longer/ });
  assert.equal(received.length, 3, 'what is wrong once is not asked for again');
});

test('each status has its kind, and what passes is tried again', async (t) => {
  const cases: readonly (readonly [number, string, number])[] = [
    [404, 'not-found', 1],
    [401, 'denied', 1],
    [403, 'denied', 1],
    [408, 'busy', 3],
    [429, 'busy', 1],
    [400, 'invalid', 1],
    [304, 'invalid', 1],
    [500, 'unavailable', 3],
    [502, 'unavailable', 3],
    [503, 'unavailable', 3],
    [504, 'unavailable', 3],
  ];
  for (const [status, kind, requests] of cases) {
    const service = await standInService(t, () => ({
      status,
      body: status === 304 ? '' : { errors: [{ code: 'CODE', message: 'the reason' }] },
    }));
    const upstream = testUpstream(t, service.url);
    const message = [304, 401].includes(status) ? new RegExp(String(status)) : /\d{3} CODE the reason/;
    await assert.rejects(upstream.manifest(app, digest, signal), {
      name: 'UpstreamError',
      kind,
      status,
      message,
    });
    assert.equal(service.received.length, requests, String(status));
    assert.equal(upstream.status.reachable, kind !== 'unavailable');
  }
});

test('an upstream that is not there is unavailable, and found when it is back', async (t) => {
  const server = createServer((_request, response) => response.end(bytes));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  server.close();
  await once(server, 'close');
  const upstream = testUpstream(t, `http://127.0.0.1:${port}`);
  assert.deepEqual(upstream.status, {
    host: 'registry.example.com',
    reachable: undefined,
    lastError: undefined,
    rateLimitRemaining: undefined,
  });
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'unavailable', status: undefined });
  assert.equal(upstream.status.reachable, false);
  assert.match(upstream.status.lastError ?? '', /ECONNREFUSED/);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  assert.deepEqual((await upstream.manifest(app, digest, signal)).bytes, bytes);
  assert.deepEqual([upstream.status.reachable, upstream.status.lastError], [true, undefined]);
});

test('that an upstream answers again is found without a pull, whatever it answers', async (t) => {
  for (const status of [200, 401, 403, 404]) {
    let isAway = true;
    const service = await standInService(t, () => ({ status: isAway ? 503 : status }));
    const upstream = testUpstream(t, service.url);
    await upstream.look(signal);
    assert.equal(upstream.status.reachable, false);
    assert.match(upstream.status.lastError ?? '', /GET .*\/v2\/: 503/);
    isAway = false;
    await upstream.look(signal);
    assert.deepEqual([upstream.status.reachable, upstream.status.lastError], [true, undefined]);
  }
});

test('an answer that breaks off, or is never given, is asked for again', async (t) => {
  const service = await standInService(t, async (_request, count) => {
    if (count === 1) return 'cut';
    if (count === 2) return { headers: { 'content-length': '99', connection: 'close' }, body: bytes };
    return manifest;
  });
  assert.deepEqual((await testUpstream(t, service.url).manifest(app, digest, signal)).bytes, bytes);

  const silent = await standInService(t, () => new Promise<never>(() => undefined));
  const timeouts = { connect: 1000, headers: 30, body: 30 };
  const upstream = testUpstream(t, silent.url, {}, { timeouts });
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'unavailable' });
  assert.equal(silent.received.length, 3);
});

test('a request ends with its signal, whatever it waits for', async (t) => {
  const tokens = await standInService(t, () => new Promise<never>(() => undefined));
  const service = await standInService(t, ({ path }) =>
    path.includes('/other/')
      ? { status: 401, headers: { 'www-authenticate': `Bearer realm="${tokens.url}/token"` } }
      : new Promise<never>(() => undefined),
  );
  const upstream = testUpstream(t, service.url, { realmHosts: [new URL(tokens.url).host] });
  for (const repository of [app, repositoryName('other/app')]) {
    const gone = new AbortController();
    const asked = upstream.manifest(repository, digest, gone.signal);
    setImmediate(() => gone.abort(new Error('the client has gone')));
    await assert.rejects(asked, /^Error: the client has gone$/);
  }
  await assert.rejects(upstream.manifest(app, digest, AbortSignal.abort(new Error('too late'))), /too late/);
});

test('a blob is asked for from where it is needed, and never by HEAD', async (t) => {
  const service = await standInService(t, ({ headers }) => {
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    if (start === 0) return { headers: { 'content-length': '10' }, body: blob };
    if (start === 9) return { headers: { 'content-length': '10' }, body: blob };
    const range = { 'content-range': `bytes ${start === 8 ? 0 : start}-9/10` };
    return { status: 206, headers: range, body: blob.subarray(start) };
  });
  const upstream = testUpstream(t, service.url);
  assert.deepEqual(await read(upstream), [10, 0, '0123456789']);
  assert.deepEqual(await read(upstream, 4), [10, 4, '456789']);
  assert.deepEqual(await read(upstream, 9), [10, 0, '0123456789'], 'all came though a part was asked for');
  await assert.rejects(read(upstream, 8), { kind: 'invalid', message: /another part/ });
  assert.deepEqual([...new Set(service.received.map(({ method }) => method))], ['GET']);
});

test('a blob that came otherwise than in bytes of a known number is not taken', async (t) => {
  for (const [headers, message] of [
    [{ 'content-encoding': 'gzip', 'content-length': '10' }, /gzip/],
    [{ 'transfer-encoding': 'chunked' }, /without a length/],
  ] as const) {
    const service = await standInService(t, () => ({ headers, body: blob }));
    await assert.rejects(read(testUpstream(t, service.url)), { kind: 'invalid', message });
  }
});

test('a blob that breaks is unavailable', async (t) => {
  const service = await standInService(t, () => ({
    headers: { 'content-length': '20', connection: 'close' },
    body: blob,
  }));
  await assert.rejects(read(testUpstream(t, service.url)), { name: 'UpstreamError', kind: 'unavailable' });
});

/** A server that begins a blob and never goes on. */
async function endlessBlob(t: TestContext) {
  const closed = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write('begin');
    response.once('close', () => closed.resolve());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    closed: closed.promise,
    breakOff: () => server.closeAllConnections(),
  };
}

test('a blob that nobody reads on closes its connection', async (t) => {
  const left = await endlessBlob(t);
  const first = await testUpstream(t, left.url).blob(app, blobDigest, { start: 0, signal });
  for await (const chunk of first.body) {
    assert.equal(Buffer.from(chunk).toString(), 'begin');
    break;
  }
  await left.closed;

  for (const begins of [true, false]) {
    const aborted = await endlessBlob(t);
    const gone = new AbortController();
    const { body } = await testUpstream(t, aborted.url).blob(app, blobDigest, {
      start: 0,
      signal: gone.signal,
    });
    const chunks = body[Symbol.asyncIterator]();
    if (begins) await chunks.next();
    const next = begins ? chunks.next() : undefined;
    gone.abort(new Error('gone'));
    if (next) await assert.rejects(next, /^Error: gone$/);
    await aborted.closed;
  }
});

test('a blob that breaks before anybody reads it is unavailable then', async (t) => {
  const begun = await endlessBlob(t);
  const { body } = await testUpstream(t, begun.url).blob(app, blobDigest, { start: 0, signal });
  begun.breakOff();
  await begun.closed;
  await settle();
  await assert.rejects(
    async () => {
      for await (const _ of body);
    },
    { kind: 'unavailable' },
  );
});

test('a blob that stalls is unavailable', async (t) => {
  const stalled = await endlessBlob(t);
  const timeouts = { connect: 1000, headers: 1000, body: 30 };
  await assert.rejects(read(testUpstream(t, stalled.url, {}, { timeouts })), { kind: 'unavailable' });
});

test('redirects are followed without credentials, with what else the request had', async (t) => {
  const bucket = await standInService(t, ({ headers }) => ({
    status: 206,
    headers: { 'content-range': 'bytes 4-9/10' },
    body: headers.authorization === undefined ? blob.subarray(4) : 'two',
  }));
  const service = await standInService(t, ({ path, headers }) => {
    if (headers.authorization === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    }
    return path.startsWith('/v2/')
      ? { status: 302, headers: { location: '../../../elsewhere?signature=a%2Fb' } }
      : { status: 307, headers: { location: `${bucket.url}/blob?signature=a%2Fb` } };
  });
  const upstream = testUpstream(t, service.url, { credentials: { username: 'alice', password: 'secret' } });
  assert.deepEqual(await read(upstream, 4), [10, 4, '456789']);
  const [asked] = bucket.received;
  assert.equal(asked?.path, '/blob?signature=a%2Fb');
  assert.equal(asked?.headers.range, 'bytes=4-');
  assert.equal(asked?.headers.authorization, undefined);
  assert.equal(service.received.at(-1)?.headers.authorization, `Basic ${btoa('alice:secret')}`);
});

test('a redirect without end is no answer, and a store that refuses a signature no refusal', async (t) => {
  const circle = await standInService(t, () => ({ status: 307, headers: { location: '/again' } }));
  await assert.rejects(read(testUpstream(t, circle.url)), { kind: 'invalid' });
  assert.equal(circle.received.length, 11);
  const bucket = await standInService(t, () => ({ status: 403 }));
  const service = await standInService(t, () => ({ status: 307, headers: { location: `${bucket.url}/b` } }));
  await assert.rejects(read(testUpstream(t, service.url)), { kind: 'unavailable', status: 403 });
  assert.equal(bucket.received.length, 3);
});

test('lists come as they are, with where they go on', async (t) => {
  const answers: Readonly<Record<string, PreparedAnswer>> = {
    '/v2/team/app/tags/list?n=1&last=a%2Fb': {
      headers: {
        'content-type': 'application/json; charset=utf-8',
        link: '</v2/team/app/tags/list?last=latest&n=1>; rel="next"',
      },
      body: '{"name":"team/app", "tags":["latest"]}',
    },
    '/v2/team/app/tags/list': { body: '{}' },
  };
  const service = await standInService(t, ({ path }) => answers[path] ?? { status: 404 });
  const upstream = testUpstream(t, service.url);
  const page = await upstream.tags(app, new URLSearchParams({ n: '1', last: 'a/b' }), signal);
  assert.deepEqual(
    [page.bytes.toString(), page.mediaType, String(page.next)],
    ['{"name":"team/app", "tags":["latest"]}', 'application/json', 'last=latest&n=1'],
  );
  const last = await upstream.tags(app, new URLSearchParams(), signal);
  assert.deepEqual(last, { bytes: Buffer.from('{}'), mediaType: '' });
  await assert.rejects(upstream.tags(app, new URLSearchParams('n=3'), signal), { kind: 'not-found' });
});

test('referrers come from the API, else from the fallback tag', async (t) => {
  const list = { headers: { 'content-type': mediaTypes.ociIndex }, body: '{"manifests":[]}' };
  const fallback = `/v2/team/app/manifests/${digest.replace(':', '-')}`;
  const api = `/v2/team/app/referrers/${digest}?artifactType=x`;
  const index = Buffer.from(list.body);
  const page = { bytes: index, mediaType: mediaTypes.ociIndex };
  const cases: readonly (readonly [Readonly<Record<string, PreparedAnswer>>, object | undefined])[] = [
    [{ [api]: list }, page],
    [
      { [api]: { ...list, headers: { ...list.headers, 'oci-filters-applied': 'artifactType' } } },
      { ...page, filtersApplied: 'artifactType' },
    ],
    [{ [fallback]: list }, page],
    [{ [api]: { status: 405 }, [fallback]: list }, page],
    [{ [api]: { headers: { 'content-type': 'text/html' }, body: '<html>' }, [fallback]: list }, page],
    [{ [fallback]: manifest }, undefined],
    [{}, undefined],
  ];
  for (const [answers, expected] of cases) {
    const service = await standInService(t, ({ path }) => answers[path] ?? { status: 404 });
    const query = new URLSearchParams({ artifactType: 'x' });
    const answer = await testUpstream(t, service.url).referrers(app, digest, query, signal);
    assert.deepEqual(answer, expected);
  }
  const denied = await standInService(t, () => ({ status: 403 }));
  const asked = testUpstream(t, denied.url).referrers(app, digest, new URLSearchParams(), signal);
  await assert.rejects(asked, { kind: 'denied' });
});

test('what is left of a rate limit is told, and a limit of pulls stops pulls alone', async (t) => {
  const clock = new TestClock();
  const service = await standInService(t, ({ method, path }) => {
    const limit = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '0;w=21600' };
    if (path.includes('/blobs/')) return { headers: { 'content-length': '10' }, body: blob };
    if (method === 'GET') return { status: 429, headers: { ...limit, 'retry-after': '60' } };
    return {
      headers: { ...manifest.headers, ...limit, 'ratelimit-remaining': '7;w=21600', 'content-length': '19' },
    };
  });
  const upstream = testUpstream(t, service.url, {}, { clock });
  await upstream.resolve(app, latest, signal);
  assert.equal(upstream.status.rateLimitRemaining, 7);
  await assert.rejects(upstream.manifest(app, digest, signal), {
    kind: 'busy',
    status: 429,
    retryAfter: 60_000,
  });
  assert.equal(upstream.status.rateLimitRemaining, 0);
  const before = service.received.length;
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'busy', status: 429 });
  assert.equal(service.received.length, before, 'not asked again');
  await upstream.resolve(app, latest, signal);
  assert.deepEqual(await read(upstream), [10, 0, '0123456789']);
  await clock.advance(60_000);
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'busy' });
  assert.equal(service.received.length, before + 3);
});

test('an upstream that is busy with everything is asked for nothing meanwhile', async (t) => {
  const clock = new TestClock();
  let busy = true;
  const service = await standInService(t, () =>
    busy ? { status: 429, headers: { 'retry-after': '30' } } : manifest,
  );
  const upstream = testUpstream(t, service.url, {}, { clock });
  await assert.rejects(upstream.resolve(app, latest, signal), { kind: 'busy', retryAfter: 30_000 });
  await assert.rejects(read(upstream), { kind: 'busy' });
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'busy' });
  assert.equal(service.received.length, 1);
  busy = false;
  await clock.advance(30_000);
  assert.equal((await upstream.manifest(app, digest, signal)).digest, digest);
});

test('a 503 that says for how long is not asked again before', async (t) => {
  const service = await standInService(t, () => ({ status: 503, headers: { 'retry-after': '9' } }));
  const upstream = testUpstream(t, service.url);
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'unavailable', retryAfter: 9000 });
  assert.equal(service.received.length, 1);
});

/** A registry that wants a token for each repository, and its token server. */
async function withTokens(t: TestContext, realmPath = '/token', scope?: string) {
  const valid = new Set<string>();
  const tokens = await standInService(t, ({ path, headers }, count) => {
    if (path.includes('service=forbidden')) return { status: 404 };
    const token = `${headers.authorization ?? 'anonymous'}-${count}`;
    valid.add(token);
    return { body: { access_token: token } };
  });
  const registry = await standInService(t, ({ path, headers }) => {
    if (valid.has((headers.authorization ?? '').replace(/^Bearer /, ''))) return manifest;
    const repository = /^\/v2\/(.*)\/manifests/.exec(path)?.[1] ?? '';
    const asked = scope ?? `repository:${repository}:pull`;
    const challenge = `Bearer realm="${tokens.url}${realmPath}",service="registry",scope="${asked}"`;
    return { status: 401, headers: { 'www-authenticate': `Basic realm="x", ${challenge}` } };
  });
  return { tokens, registry, valid, realm: new URL(tokens.url).host };
}

test('a token is fetched once for a repository, and anew when it is refused or old', async (t) => {
  const { tokens, registry, valid, realm } = await withTokens(t);
  const clock = new TestClock();
  const upstream = testUpstream(t, registry.url, { realmHosts: [realm] }, { clock });
  const ask = (): Promise<unknown> => upstream.manifest(app, digest, signal);
  await Promise.all([ask(), ask(), ask()]);
  assert.equal(tokens.received.length, 1);
  assert.equal(tokens.received[0]?.path, '/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull');
  await upstream.manifest(repositoryName('other'), digest, signal);
  assert.equal(tokens.received.length, 2);
  valid.clear();
  await ask();
  assert.equal(tokens.received.length, 3);
  await clock.advance(49_000);
  await ask();
  assert.equal(tokens.received.length, 4);
  assert.ok(!registry.received.some(({ headers }) => headers.authorization?.startsWith('Basic')));
});

test('a registry with one scope for all is asked with it from the second repository on', async (t) => {
  const { tokens, registry, realm } = await withTokens(t, '/token', 'aws');
  const upstream = testUpstream(t, registry.url, { realmHosts: [realm] });
  for (const repository of ['a', 'b', 'c'])
    await upstream.manifest(repositoryName(repository), digest, signal);
  assert.deepEqual(
    tokens.received.map(({ path }) => path),
    ['/token?service=registry&scope=aws'],
  );
  assert.equal(registry.received.length, 4);
});

test('credentials never go to a token server that is not the upstream', async (t) => {
  const { tokens, registry } = await withTokens(t);
  const credentials = { username: 'alice', password: 'secret' };
  const upstream = testUpstream(t, registry.url, { credentials });
  await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'denied', message: /inner/ });
  assert.equal(tokens.received.length, 0);
});

test('a token server that refuses is a refusal, whatever its status', async (t) => {
  for (const status of [400, 401, 403, 404]) {
    const tokens = await standInService(t, () => ({ status }));
    const registry = await standInService(t, () => ({
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="${tokens.url}/"` },
    }));
    const upstream = testUpstream(t, registry.url, { realmHosts: [new URL(tokens.url).host] });
    await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'denied', status });
  }
});

test('a page that is not of a registry is nothing', async (t) => {
  const portal = await standInService(t, () => ({
    headers: { 'content-type': 'text/html' },
    body: '<html>Please log in</html>',
  }));
  const upstream = testUpstream(t, portal.url);
  await assert.rejects(upstream.resolve(app, latest, signal), { kind: 'invalid' });
  await assert.rejects(upstream.tags(app, new URLSearchParams(), signal), { kind: 'invalid' });
});

test('a digest need not be a sha256', async (t) => {
  const other = digestOf(bytes, 'sha512');
  const service = await standInService(t, ({ path }) =>
    path.endsWith(other)
      ? { headers: { 'content-type': mediaTypes.ociIndex }, body: bytes }
      : { status: 404 },
  );
  const answer: { readonly digest: Digest } = await testUpstream(t, service.url).manifest(app, other, signal);
  assert.equal(answer.digest, other);
});

test('a page of a network that wants a login is neither a manifest nor a list', async (t) => {
  const service = await standInService(t, () => ({
    headers: { 'content-type': 'text/html' },
    body: '<html>Log in</html>',
  }));
  const upstream = testUpstream(t, service.url);
  await assert.rejects(upstream.resolve(app, tagName('v1'), signal), { kind: 'invalid' });
  await assert.rejects(upstream.tags(app, new URLSearchParams(), signal), { kind: 'invalid' });
});

test('a refusal is told where it concerns credentials', async (t) => {
  const service = await standInService(t, () => ({ status: 403 }));
  for (const [credentials, told] of [
    [undefined, /^undefined$/],
    [{ username: 'u', password: 'p' }, /403/],
  ] as const) {
    const upstream = testUpstream(t, service.url, { credentials });
    await assert.rejects(upstream.manifest(app, digest, signal), { kind: 'denied' });
    assert.match(String(upstream.status.lastError), told);
  }
});
