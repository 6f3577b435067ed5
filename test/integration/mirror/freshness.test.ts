import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorSections, openMirrorStage } from '../../support/mirror-stage.ts';
import { converse } from '../../support/protocol.ts';
import { pushImage } from '../../support/push-image.ts';
import { startTestMirror } from '../../support/test-mirror.ts';

const MINUTE = 60_000;
const stale = { status: 200, answer: { warning: /^110 .*, 111 / } } as const;
const fresh = { status: 200, answer: { warning: null } } as const;

test('any number of clients that want a tag cost one request for it', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const image = await pushImage(registry, 'team/app', 'v1', ['layer']);
  const pull = async (): Promise<number> => {
    const answer = await fetch(`${mirror.url}/v2/team/app/manifests/v1`);
    await answer.arrayBuffer();
    return answer.status;
  };
  const statuses = await Promise.all(Array.from({ length: 30 }, pull));
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.deepEqual(
    upstream.requests.map(({ method, path }) => `${method} ${path}`),
    ['HEAD /v2/team/app/manifests/v1', `GET /v2/team/app/manifests/${image.digest}`],
  );
});

test('a mirror starts while its upstream is down, and serves what it kept before', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const image = await pushImage(registry, 'team/app', 'v1', ['layer']);
  const pull = [
    `GET /v2/team/app/manifests/${image.digest}`,
    `GET /v2/team/app/blobs/${image.config}`,
    `GET /v2/team/app/blobs/${image.layers[0]}`,
  ].map((send) => ({ send, status: 200 }));
  await converse(mirror.url, [{ send: 'HEAD /v2/team/app/manifests/v1', ...fresh }, ...pull]);
  await mirror.stop();
  await upstream.down();
  const again = await startTestMirror(t, mirrorSections(upstream), { folder: mirror.folder });
  again.clock.advance(2 * MINUTE);
  await converse(again.url, [
    { send: 'HEAD /v2/team/app/manifests/v1', ...stale },
    ...pull,
    { send: 'GET /v2/team/app/tags/list', ...stale, json: { name: 'team/app', tags: ['v1'] } },
    {
      send: 'GET /v2/team/app/manifests/v2',
      status: 503,
      code: 'UNAVAILABLE',
      answer: { 'retry-after': /^\d+$/ },
    },
    { send: `GET /v2/team/app/referrers/${image.digest}`, status: 503 },
    { send: 'GET /v2/', status: 200 },
  ]);
  const status: unknown = await (await fetch(`${again.statusUrl}/status`)).json();
  assert.partialDeepStrictEqual(status, {
    mirror: { upstreams: [{ host: 'upstream.test', reachable: false }] },
  });
  for (const page of ['healthz', 'readyz'])
    assert.equal((await fetch(`${again.statusUrl}/${page}`)).status, 200);
  const metrics = await (await fetch(`${again.statusUrl}/metrics`)).text();
  assert.match(metrics, /^stevedore_mirror_stale_total\{upstream="upstream.test",reason="unavailable"\} 2$/m);
});

test('what is answered while the upstream fails has a limit, if one is set', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t, {
    upstream: { tagfreshness: '1m', staleiferror: '1h' },
  });
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  const head = 'HEAD /v2/team/app/manifests/v1';
  const list = 'GET /v2/team/app/tags/list?n=1';
  await converse(mirror.url, [
    { send: head, ...fresh },
    { send: list, ...fresh },
  ]);
  await upstream.down();
  mirror.clock.advance(60 * MINUTE);
  await converse(mirror.url, [
    { send: head, ...stale },
    { send: list, ...stale },
  ]);
  mirror.clock.advance(2 * MINUTE);
  await converse(mirror.url, [{ send: head, status: 503 }]);
});

test('while an upstream asks for a pause it is not asked', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  const head = 'HEAD /v2/team/app/manifests/v1';
  await converse(mirror.url, [{ send: head, ...fresh }]);
  mirror.clock.advance(MINUTE);
  upstream.rule({}, { status: 429, headers: { 'retry-after': '120' } });
  await converse(mirror.url, [{ send: head, ...stale }]);
  const asked = upstream.requests.length;
  upstream.clear();
  mirror.clock.advance(MINUTE);
  await converse(mirror.url, [
    { send: head, ...stale },
    { send: 'HEAD /v2/team/app/manifests/v2', status: 503, answer: { 'retry-after': '60' } },
  ]);
  assert.equal(upstream.requests.length, asked);
  mirror.clock.advance(MINUTE);
  await converse(mirror.url, [{ send: head, ...fresh }]);
});

test('what the upstream does not have is believed for some seconds', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const head = 'HEAD /v2/team/app/manifests/v1';
  const unknown = { send: head, status: 404 };
  await converse(mirror.url, [unknown, unknown]);
  assert.equal(upstream.count('HEAD'), 1);
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  await converse(mirror.url, [unknown]);
  mirror.clock.advance(10_000);
  await converse(mirror.url, [{ send: head, ...fresh }]);
});

test('a tag that is gone, or locked up, is not served when the upstream fails later', async (t) => {
  for (const status of [404, 401]) {
    const { mirror, upstream, registry } = await openMirrorStage(t);
    const { digest } = await pushImage(registry, 'team/app', 'v1', ['layer']);
    const head = 'HEAD /v2/team/app/manifests/v1';
    await converse(mirror.url, [{ send: head, ...fresh }]);
    mirror.clock.advance(MINUTE);
    upstream.rule({}, { status });
    await converse(mirror.url, [{ send: head, status: 404 }]);
    await upstream.down();
    mirror.clock.advance(MINUTE);
    await converse(mirror.url, [
      { send: head, status: 503 },
      { send: `HEAD /v2/team/app/manifests/${digest}`, status: 200 },
    ]);
  }
});

test('an upstream without the referrers API has them under a tag, or none', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const image = await pushImage(registry, 'team/app', 'v1', ['layer']);
  await pushImage(registry, 'team/other', 'v1', ['layer']);
  const signature = await pushImage(registry, 'team/app', 'signed', [], {
    subject: image,
    artifactType: 'a/b',
  });
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: signature.digest,
        size: signature.manifest.length,
      },
    ],
  });
  const tag = image.digest.replace(':', '-');
  await converse(registry, [
    {
      send: `PUT /v2/team/app/manifests/${tag}`,
      headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' },
      body: index,
      status: 201,
    },
  ]);
  upstream.rule({ path: /referrers/ }, { status: 404 });
  await converse(mirror.url, [
    { send: `GET /v2/team/app/referrers/${image.digest}`, status: 200, text: index },
    { send: `GET /v2/team/other/referrers/${image.digest}`, status: 200, json: { manifests: [] } },
  ]);
});
