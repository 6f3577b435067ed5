import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Fault } from '../../support/faulty-proxy.ts';
import { openMirrorStage, type MirrorStage } from '../../support/mirror-stage.ts';
import { pushImage, type TestImage } from '../../support/push-image.ts';
import type { TestMirror } from '../../support/test-mirror.ts';

const FRESHNESS = 60_000;

async function open(t: TestContext): Promise<MirrorStage & { readonly image: TestImage }> {
  const stage = await openMirrorStage(t);
  return { ...stage, image: await pushImage(stage.registry, 'team/app', 'v1', ['one layer']) };
}

/** What a client of a kind asks for one after the other until it has an image, and its `Accept`. */
interface Client {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  asks(image: TestImage): { readonly tag: readonly string[]; readonly rest: readonly string[] };
}

const manifestTypes =
  'application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';

const clients: readonly Client[] = [
  {
    name: 'containerd',
    headers: { accept: `${manifestTypes}, */*` },
    asks: ({ digest, config, layers }) => ({
      tag: ['HEAD /v2/team/app/manifests/v1?ns=upstream.test'],
      rest: [
        `GET /v2/team/app/manifests/${digest}?ns=upstream.test`,
        ...[config, ...layers].map((blob) => `GET /v2/team/app/blobs/${blob}?ns=upstream.test`),
      ],
    }),
  },
  {
    name: 'docker, as a registry mirror',
    headers: { accept: manifestTypes },
    asks: ({ digest, config, layers }) => ({
      tag: ['GET /v2/', 'HEAD /v2/team/app/manifests/v1'],
      rest: [
        `GET /v2/team/app/manifests/${digest}`,
        ...[config, ...layers].map((blob) => `GET /v2/team/app/blobs/${blob}`),
      ],
    }),
  },
  {
    name: 'skopeo, CRI-O and crane, by the path',
    headers: { accept: manifestTypes },
    asks: ({ config, layers }) => ({
      tag: ['GET /v2/', 'GET /v2/upstream.test/team/app/manifests/v1'],
      rest: [config, ...layers].flatMap((blob) => [
        `HEAD /v2/upstream.test/team/app/blobs/${blob}`,
        `GET /v2/upstream.test/team/app/blobs/${blob}`,
      ]),
    }),
  },
];

interface Heard {
  readonly status: number;
  readonly code?: string;
  readonly warning?: true;
  readonly retryAfter?: string;
}

async function hear(mirror: TestMirror, client: Client, request: string): Promise<Heard> {
  const [method = '', path = ''] = request.split(' ');
  const answer = await fetch(mirror.url + path, { method, headers: client.headers, redirect: 'manual' });
  const text = await answer.text();
  const code = /"code":"([A-Z_]+)"/.exec(answer.ok ? '' : text)?.[1];
  const retryAfter = answer.headers.get('retry-after');
  return {
    status: answer.status,
    ...(code !== undefined && { code }),
    ...(answer.headers.has('warning') && { warning: true }),
    ...(retryAfter !== null && { retryAfter }),
  };
}

/** The last answer that a client has of those, where the earlier ones were good. */
async function hearLast(mirror: TestMirror, client: Client, requests: readonly string[]): Promise<Heard> {
  let last: Heard = { status: 0 };
  for (const request of requests) {
    last = await hear(mirror, client, request);
    if (last.status >= 300) break;
  }
  return last;
}

const gone = { status: 404, code: 'MANIFEST_UNKNOWN' };
const locked = { status: 404, code: 'NAME_UNKNOWN' };
const stale = { status: 200, warning: true } as const;
const away = { status: 503, code: 'UNAVAILABLE', retryAfter: '5' };

interface Row {
  readonly title: string;
  /** Undefined: the upstream is down. */
  readonly fault: Fault | undefined;
  /** Of a tag that nobody has asked for, and of one that was pulled, whose freshness is over. */
  readonly cold: Heard;
  readonly warm: Heard;
}

const rows: readonly Row[] = [
  { title: 'does not listen', fault: undefined, cold: away, warm: stale },
  { title: 'closes the connection', fault: { refuse: true }, cold: away, warm: stale },
  { title: 'answers 500', fault: { status: 500 }, cold: away, warm: stale },
  { title: 'answers 502', fault: { status: 502 }, cold: away, warm: stale },
  {
    title: 'answers 503 and when to come again',
    fault: { status: 503, headers: { 'retry-after': '7' } },
    cold: { ...away, retryAfter: '7' },
    warm: stale,
  },
  {
    title: 'answers 429 and when to come again',
    fault: { status: 429, headers: { 'retry-after': '90' } },
    cold: { ...away, retryAfter: '90' },
    warm: stale,
  },
  { title: 'answers 408', fault: { status: 408 }, cold: away, warm: stale },
  {
    title: 'answers 401, with a question that cannot be answered',
    fault: { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } },
    cold: locked,
    warm: locked,
  },
  { title: 'answers 403', fault: { status: 403 }, cold: locked, warm: locked },
  { title: 'answers 404', fault: { status: 404 }, cold: gone, warm: gone },
  {
    title: 'is a page that wants a login',
    fault: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' },
    cold: away,
    warm: stale,
  },
  { title: 'sends other bytes', fault: { flip: 10 }, cold: away, warm: { status: 200 } },
  { title: 'says that there is more', fault: { lengthLie: 5 }, cold: away, warm: { status: 200 } },
  { title: 'breaks in the middle', fault: { cutAfter: 10 }, cold: away, warm: { status: 200 } },
];

/** What a client is told by a mirror of its own, cold, when the upstream is well again, and warm. */
async function testRow(t: TestContext, client: Client, { title, fault, cold, warm }: Row): Promise<void> {
  const { mirror, upstream, image } = await open(t);
  const { tag, rest } = client.asks(image);
  const wrong = async (): Promise<void> => {
    if (fault === undefined) await upstream.down();
    else upstream.rule({}, fault);
  };
  await wrong();
  const first = await hearLast(mirror, client, tag);
  assert.deepEqual(alike(first, cold), cold, `${title}, cold: ${JSON.stringify(first)}`);
  upstream.clear();
  if (fault === undefined) await upstream.up();
  // Whatever the upstream asked for is over.
  mirror.clock.advance(15 * 60_000);
  const whole = await hearLast(mirror, client, [...tag, ...rest]);
  assert.deepEqual(whole, { status: 200 }, `${title}, well again`);
  mirror.clock.advance(FRESHNESS);
  await wrong();
  const again = await hearLast(mirror, client, tag);
  assert.deepEqual(alike(again, warm), warm, `${title}, warm: ${JSON.stringify(again)}`);
  // A digest means the same for ever.
  assert.deepEqual(await hearLast(mirror, client, rest), { status: 200 }, `${title}, the rest`);
  await mirror.stop();
}

for (const client of clients) {
  test(`${client.name}: what it is told of an upstream that does wrong lets it go elsewhere, or on`, async (t) => {
    await Promise.all(rows.map((row) => testRow(t, client, row)));
  });
}

/** Without what differs rightly: an answer to HEAD has no code, and the mirror counts seconds down. */
function alike(heard: Heard, expected: Heard): Heard {
  const { code = heard.status >= 300 ? expected.code : undefined, retryAfter } = heard;
  const isSooner = Number(retryAfter) > 0 && Number(retryAfter) <= Number(expected.retryAfter);
  return {
    ...heard,
    ...(code !== undefined && { code }),
    ...(isSooner && expected.retryAfter !== undefined && { retryAfter: expected.retryAfter }),
  };
}
