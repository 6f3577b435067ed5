import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { faultyProxy, type FaultyProxy } from '../../support/faulty-proxy.ts';
import { converse } from '../../support/protocol.ts';
import { pushImage, type TestImage } from '../../support/push-image.ts';
import { startTestMirror, type TestMirror } from '../../support/test-mirror.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Stage {
  readonly mirror: TestMirror;
  readonly upstream: FaultyProxy;
  /** The registry itself. */
  readonly registry: string;
  readonly image: TestImage;
}

/** A mirror of `upstream.test`, which is the default, and of Docker Hub; both are the same registry. */
async function open(t: TestContext, options: object = {}): Promise<Stage> {
  const { url: registry } = await startTestRegistry(t);
  const image = await pushImage(registry, 'team/app', 'v1', ['one layer']);
  await pushImage(registry, 'library/alpine', 'latest', ['alpine']);
  const upstream = await faultyProxy(t, registry);
  const mirror = await startTestMirror(t, {
    stevedore: {
      status: { addr: '127.0.0.1:0' },
      mirror: {
        upstreams: [
          { host: 'upstream.test', url: upstream.url, aliases: ['upstream.test:5000'], ...options },
          { host: 'docker.io', url: upstream.url },
        ],
        defaultupstream: 'upstream.test',
      },
    },
  });
  return { mirror, upstream, registry, image };
}

test('what was pulled once is not fetched again, and the tag is asked for once in its freshness', async (t) => {
  const { mirror, upstream, image } = await open(t);
  const manifest = { status: 200, text: image.manifest.toString() } as const;
  const pull = async (): Promise<void> => {
    await converse(mirror.url, [
      {
        send: 'HEAD /v2/team/app/manifests/v1',
        status: 200,
        answer: { 'content-length': String(image.manifest.length) },
      },
      {
        send: 'GET /v2/team/app/manifests/v1',
        ...manifest,
        answer: {
          'content-type': 'application/vnd.oci.image.manifest.v1+json',
          'docker-content-digest': image.digest,
          etag: `"${image.digest}"`,
          warning: null,
        },
      },
      { send: `GET /v2/team/app/manifests/${image.digest}`, ...manifest },
      { send: `HEAD /v2/team/app/blobs/${image.layers[0]}`, status: 200, answer: { 'content-length': '9' } },
      { send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200, text: 'one layer' },
    ]);
  };
  await pull();
  await pull();
  const asked = (): readonly string[] => upstream.requests.map(({ method, path }) => `${method} ${path}`);
  const first = [
    'HEAD /v2/team/app/manifests/v1',
    `GET /v2/team/app/manifests/${image.digest}`,
    `GET /v2/team/app/blobs/${image.layers[0]}`,
  ];
  assert.deepEqual(asked(), first);
  mirror.clock.advance(61_000);
  await pull();
  assert.deepEqual(asked(), [...first, 'HEAD /v2/team/app/manifests/v1']);
});

test('a tag that has moved is followed when its freshness is over', async (t) => {
  const { mirror, registry } = await open(t);
  const tagLeadsTo = (digest: string) =>
    converse(mirror.url, [
      { send: 'HEAD /v2/team/app/manifests/v1', status: 200, answer: { 'docker-content-digest': digest } },
    ]);
  const before = await pushImage(registry, 'team/app', 'v1', ['before']);
  await tagLeadsTo(before.digest);
  const after = await pushImage(registry, 'team/app', 'v1', ['after']);
  await tagLeadsTo(before.digest);
  mirror.clock.advance(61_000);
  await tagLeadsTo(after.digest);
});

test('the upstream is chosen by ns or by the path, and the namespace is echoed', async (t) => {
  const { mirror, upstream } = await open(t);
  const found = { status: 200 };
  await converse(mirror.url, [
    { send: 'GET /v2/', status: 200, text: '{}', answer: { 'www-authenticate': null } },
    {
      send: 'GET /v2/team/app/manifests/v1?ns=Upstream.test:5000',
      ...found,
      answer: { 'oci-namespace': 'Upstream.test:5000' },
    },
    { send: 'GET /v2/upstream.test/team/app/manifests/v1', ...found, answer: { 'oci-namespace': null } },
    { send: 'GET /v2/alpine/manifests/latest?ns=registry-1.docker.io', ...found },
    { send: 'GET /v2/docker.io/alpine/manifests/latest', ...found },
    { send: 'GET /v2/docker.io/library/alpine/manifests/latest?ns=docker.io', ...found },
    { send: 'GET /v2/team/app/manifests/v1?ns=10.0.0.1:80', status: 404, code: 'NAME_UNKNOWN' },
    { send: 'GET /v2/alpine/manifests/latest', status: 404, code: 'MANIFEST_UNKNOWN' },
    {
      send: 'GET /v2/_catalog',
      status: 200,
      json: { repositories: ['docker.io/library/alpine', 'upstream.test/team/app'] },
    },
  ]);
  assert.equal(upstream.count('HEAD'), 3);
});

test('pushes and deletes are refused with the way out', async (t) => {
  const { mirror, image } = await open(t);
  const message = (at: string) => ({
    errors: [
      {
        code: 'UNSUPPORTED',
        message: `this server is a mirror, which takes no pushes and deletes nothing: use ${at} instead`,
      },
    ],
  });
  const refused = { status: 405, answer: { allow: 'GET, HEAD' }, json: message('upstream.test/team/app') };
  await converse(mirror.url, [
    { send: 'POST /v2/team/app/blobs/uploads/', ...refused },
    { send: 'PUT /v2/team/app/manifests/v1', body: '{}', ...refused },
    { send: `DELETE /v2/team/app/manifests/${image.digest}`, ...refused },
    { send: `DELETE /v2/team/app/blobs/${image.digest}`, ...refused },
    {
      send: 'POST /v2/alpine/blobs/uploads/?ns=docker.io',
      ...refused,
      json: message('docker.io/library/alpine'),
    },
    {
      send: 'POST /v2/app/blobs/uploads/?ns=elsewhere',
      ...refused,
      json: message('the registry that the image is for'),
    },
    { send: 'DELETE /v2/_catalog', status: 405 },
  ]);
});

test('parts of a blob come from a cold cache as from a warm one', async (t) => {
  const { mirror, upstream, registry } = await open(t);
  const layer = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz');
  const { layers } = await pushImage(registry, 'team/big', 'v1', [layer]);
  const path = `/v2/team/big/blobs/${layers[0]}`;
  const part = {
    status: 206,
    text: layer.subarray(100, 200).toString(),
    answer: { 'content-range': 'bytes 100-199/300000', 'content-length': '100' },
  } as const;
  await converse(mirror.url, [
    { send: `GET ${path}`, headers: { range: 'bytes=100-199' }, ...part },
    { send: `GET ${path}`, status: 200, text: layer.toString(), answer: { 'accept-ranges': 'bytes' } },
    { send: `GET ${path}`, headers: { range: 'bytes=100-199' }, ...part },
    { send: `GET ${path}`, headers: { range: 'bytes=300000-' }, status: 416 },
    { send: `GET ${path}`, headers: { 'if-none-match': `"${layers[0]}"` }, status: 304 },
  ]);
  assert.equal(upstream.count('GET', /blobs/), 1);
  assert.equal(upstream.count('HEAD', /blobs/), 0);
});

test('tags and referrers are those of the upstream, page by page', async (t) => {
  const { mirror, upstream, registry, image } = await open(t);
  await pushImage(registry, 'team/app', 'v2', ['two']);
  await pushImage(registry, 'team/app', 'v3', ['three']);
  await pushImage(registry, 'team/app', 'signed', [], { subject: image, artifactType: 'application/x.sig' });
  const referrers = `/v2/team/app/referrers/${image.digest}`;
  await converse(mirror.url, [
    {
      send: 'GET /v2/team/app/tags/list?n=2',
      status: 200,
      json: { name: 'team/app', tags: ['signed', 'v1'] },
      answer: { link: '</v2/team/app/tags/list?last=v1&n=2>; rel="next"' },
    },
    {
      send: 'GET /v2/upstream.test/team/app/tags/list?last=v1&n=2&ns=upstream.test',
      status: 200,
      json: { tags: ['v2', 'v3'] },
      answer: { link: null },
    },
    {
      send: 'GET /v2/team/app/tags/list?n=1&ns=upstream.test',
      status: 200,
      answer: { link: '</v2/team/app/tags/list?last=signed&n=1&ns=upstream.test>; rel="next"' },
    },
    { send: `GET ${referrers}`, status: 200, json: { manifests: [{ artifactType: 'application/x.sig' }] } },
    {
      send: `GET ${referrers}?artifactType=application%2Fx.other`,
      status: 200,
      json: { manifests: [] },
      answer: { 'oci-filters-applied': 'artifactType' },
    },
  ]);
  const before = upstream.requests.length;
  await converse(mirror.url, [
    { send: 'GET /v2/team/app/tags/list?n=2', status: 200 },
    { send: `GET ${referrers}`, status: 200 },
  ]);
  assert.equal(upstream.requests.length, before);
});

test('a request tells where its answer came from, in the log and in metrics', async (t) => {
  const { mirror, image } = await open(t);
  await converse(mirror.url, [
    { send: 'GET /v2/team/app/manifests/v1', status: 200 },
    { send: `GET /v2/team/app/manifests/${image.digest}`, status: 200 },
    { send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200 },
  ]);
  const readMetrics = async (): Promise<string> => (await fetch(`${mirror.statusUrl}/metrics`)).text();
  await waitFor(async () => (await readMetrics()).includes('stevedore_mirror_fetches 0\n'));
  await converse(mirror.url, [{ send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200 }]);
  const outcomes = mirror.records.filter(({ message }) => message === 'request').map(({ cache }) => cache);
  assert.deepEqual(outcomes, ['miss', 'hit', 'miss', 'hit']);
  const metrics = await readMetrics();
  for (const line of [
    'stevedore_mirror_requests_total{upstream="upstream.test",type="manifest",cache="miss"} 1',
    'stevedore_mirror_requests_total{upstream="upstream.test",type="blob",cache="hit"} 1',
    'stevedore_mirror_bytes_total{upstream="upstream.test",type="blob",cache="miss"} 9',
    'stevedore_mirror_upstream_requests_total{upstream="upstream.test",request="blob",result="ok"} 1',
    'stevedore_mirror_upstream_bytes_total{upstream="upstream.test"} 9',
    'stevedore_mirror_cache_manifests 1',
    'stevedore_mirror_cache_blobs 1',
  ]) {
    assert.ok(metrics.includes(`${line}\n`), `${line}\n${metrics}`);
  }
  const status: unknown = await (await fetch(`${mirror.statusUrl}/status`)).json();
  assert.partialDeepStrictEqual(status, {
    mirror: {
      upstreams: [{ host: 'upstream.test', reachable: true }, { host: 'docker.io' }],
      cache: { bytes: image.manifest.length + 9 },
    },
  });
});
