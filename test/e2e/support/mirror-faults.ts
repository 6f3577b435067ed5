import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { faultyProxy, type Fault, type FaultyProxy } from '../../support/faulty-proxy.ts';
import { pushImage } from '../../support/push-image.ts';
import { startServe } from '../../support/serve-process.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { startTestMirror, type TestMirror } from '../../support/test-mirror.ts';
import { distributions, serveWithDistribution } from '../distribution.ts';
import { tarWithOneFile } from '../image-layout.ts';
import {
  startPullingClients,
  type ClientName,
  type Mirrored,
  type PullingClient,
} from './pulling-clients.ts';
import { startTokenServer } from './token-server.ts';

const ANN = { name: 'ann', password: 'correct horse' };
/** As the mirror has it by default, milliseconds. */
const FRESHNESS = 60_000;
/** Longer than any pause that an upstream gets. */
const ALL_PAUSES = 15 * 60_000;
/** One that is verified before anybody gets any of it, and one of which most goes out before. */
const LAYERS = [10_000, 300_000];

/** Where what a pull got came from: all from the mirror, all or the blobs from the registry itself; or what the client said. */
type End = 'mirror' | 'registry' | 'both' | RegExp;
type Ends = Readonly<Record<Exclude<ClientName, 'containerd 1.x'>, End>>;

const served: Ends = {
  containerd: 'mirror',
  docker: 'mirror',
  'CRI-O': 'mirror',
  skopeo: 'mirror',
  crane: 'mirror',
};
/** Those that know the registry go on to it, and the others say why they do not. */
const elsewhere = { containerd: 'registry', docker: 'registry', 'CRI-O': 'registry' } as const;
const away: Ends = { ...elsewhere, skopeo: /503 Service Unavailable/, crane: /UNAVAILABLE: row-\S+: / };
const locked: Ends = {
  ...elsewhere,
  skopeo: /name unknown: row-\S+: HEAD .* 40[13]/,
  crane: /NAME_UNKNOWN: row-\S+: HEAD .* 40[13]/,
};
const gone: Ends = {
  ...elsewhere,
  skopeo: /manifest unknown: row-\S+: HEAD .* 404/,
  crane: /MANIFEST_UNKNOWN: row-\S+: HEAD .* 404/,
};
/** CRI-O takes an image from where it has its manifest. */
const withoutBlobs = {
  docker: 'registry',
  'CRI-O': /503 \(Service Unavailable\)/,
  skopeo: /503 \(Service Unavailable\)/,
} as const;

interface Row {
  readonly title: string;
  /** Undefined: the upstream does not listen. */
  readonly fault: Fault | undefined;
  /** Of the requests with which it does wrong; with all unless said. */
  readonly path?: RegExp;
  readonly times?: number;
  /** The upstream makes a difference. */
  readonly each?: true;
  /** Of images that nobody has pulled before. */
  readonly cold: Ends;
  /** Of the same pull once more. */
  readonly again?: Ends;
  /** Of images that were pulled, when the freshness of the tags is over. */
  readonly warm?: Ends;
  /** `warm` takes half a minute. */
  readonly isSlow?: true;
}

const blobs = /\/blobs\//;

const rows: readonly Row[] = [
  { title: 'stalls before it answers', fault: { stallAfter: -1 }, cold: away, warm: served, isSlow: true },
  {
    title: 'stalls once in the middle of blobs',
    fault: { stallAfter: 100_000 },
    path: blobs,
    times: 6,
    cold: served,
  },
  { title: 'does not listen', fault: undefined, cold: away, warm: served },
  { title: 'closes the connection', fault: { refuse: true }, cold: away, warm: served },
  { title: 'answers 500', fault: { status: 500 }, cold: away, warm: served },
  { title: 'answers 502', fault: { status: 502 }, cold: away, warm: served },
  {
    title: 'answers 503 and when to come again',
    fault: { status: 503, headers: { 'retry-after': '7' } },
    cold: away,
    warm: served,
  },
  {
    title: 'answers 429 and when to come again',
    fault: { status: 429, headers: { 'retry-after': '90' } },
    cold: away,
    warm: served,
  },
  { title: 'answers 408', fault: { status: 408 }, cold: away, warm: served },
  {
    title: 'answers 401, with a question that cannot be answered',
    fault: { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } },
    each: true,
    cold: locked,
    warm: locked,
  },
  { title: 'answers 403', fault: { status: 403 }, each: true, cold: locked, warm: locked },
  { title: 'answers 404', fault: { status: 404 }, cold: gone, warm: gone },
  {
    title: 'is a page that wants a login',
    fault: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' },
    cold: away,
    warm: served,
  },
  { title: 'says that there is more', fault: { lengthLie: 5 }, cold: away, warm: served },
  { title: 'says that there is less', fault: { lengthLie: -5 }, cold: away, warm: served },
  { title: 'breaks in the middle', fault: { cutAfter: 10 }, cold: away, warm: served },
  {
    // containerd asks for a manifest by its digest where it got none, and by then knows whose bytes are wrong.
    title: 'sends other bytes as manifests',
    fault: { flip: 10 },
    path: /\/manifests\//,
    cold: { ...away, containerd: 'registry' },
    warm: served,
  },
  {
    // What containerd had before the end was cut off stays, and the end comes from the registry.
    title: 'sends other bytes as blobs',
    fault: { flip: 10 },
    path: blobs,
    cold: {
      ...withoutBlobs,
      containerd: /unexpected commit digest/,
      crane: /unexpected EOF|UNAVAILABLE: row-/,
    },
    again: {
      ...withoutBlobs,
      containerd: 'both',
      crane: /UNAVAILABLE: row-\S+: .* came wrong|unexpected EOF/,
    },
  },
  {
    title: 'breaks off blobs, and goes on when asked',
    fault: { cutAfter: 100_000 },
    path: blobs,
    each: true,
    cold: served,
  },
  {
    title: 'breaks off blobs, and begins anew when asked',
    fault: { cutAfter: 200_000, withoutRange: true },
    path: blobs,
    times: 6,
    cold: served,
  },
  {
    title: 'breaks off blobs for good',
    fault: { cutAfter: 10 },
    path: blobs,
    cold: {
      ...withoutBlobs,
      containerd: 'both',
      crane: /UNAVAILABLE: row-\S+: the upstream broke off again and again/,
    },
  },
  { title: 'is slow', fault: { bytesPerSecond: 200_000 }, cold: served },
];

/** A registry that is mirrored. */
interface Upstream {
  readonly title: string;
  /** Where the mirror asks. */
  readonly url: string;
  /** The same registry without users. */
  readonly open: string;
  /** What the mirror is told of it, beside where it is. */
  readonly settings: object;
}

async function startUpstreams(t: TestContext, folder: string): Promise<readonly Upstream[]> {
  const [two, three] = distributions;
  if (two === undefined || three === undefined) throw new Error('there are two versions of distribution');
  const authority = await createTestAuthority();
  const [ca, jwks] = [join(folder, 'ca.crt'), join(folder, 'tokens.json')];
  const { realm, issuer, namedKeySet } = await startTokenServer(t, { [ANN.name]: ANN.password }, authority);
  writeFileSync(ca, authority.certificate);
  writeFileSync(jwks, namedKeySet);
  const settings = { auth: { token: { realm, issuer, service: 'upstream', jwks } } };
  const place = (name: string, storage: string) => ({
    config: join(folder, `${name}.yml`),
    storage: join(folder, storage),
  });
  const [debian, withTokens, open, own] = await Promise.all([
    serveWithDistribution(t, two, place('debian', 'debian')),
    serveWithDistribution(t, three, { ...place('tokens', 'three'), settings }),
    serveWithDistribution(t, three, place('open', 'three')),
    startServe(t),
  ]);
  const tokens = {
    credentials: '{folder}/secret',
    ca,
    realmhosts: ['localhost'],
    allowedrepositories: [`${ANN.name}/**`],
  };
  return [
    { title: two.title, url: debian.url, open: debian.url, settings: {} },
    { title: `${three.title} with tokens`, url: withTokens.url, open: open.url, settings: tokens },
    { title: 'our own server', url: own.url, open: own.url, settings: {} },
  ];
}

interface Stage extends Mirrored {
  readonly server: TestMirror;
  /** Between the mirror and its upstream. */
  readonly upstream: FaultyProxy;
}

async function openStage(t: TestContext, host: string, registry: Upstream): Promise<Stage> {
  const upstream = await faultyProxy(t, registry.url);
  const mirror = { upstreams: [{ host, url: upstream.url, ...registry.settings }], defaultupstream: host };
  const prepare = (folder: string): void => {
    const secret = join(folder, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'username'), ANN.name);
    writeFileSync(join(secret, 'password'), ANN.password);
  };
  const server = await startTestMirror(t, { stevedore: { mirror } }, { prepare });
  return {
    host,
    server,
    upstream,
    mirror: await faultyProxy(t, server.url),
    direct: await faultyProxy(t, registry.open),
  };
}

/** Pulls, and compares how that ended. */
async function assertEnd(
  client: PullingClient,
  stage: Stage,
  repository: string,
  expected: End,
  when: string,
): Promise<void> {
  const path = new RegExp(`^/v2/(?:${stage.host}/)?${repository}/`);
  const known = stage.direct.requests.length;
  const { code, stderr } = await client.pull(stage, repository);
  const direct = stage.direct.requests.slice(known).filter((request) => path.test(request.path));
  const manifests = direct.some((request) => request.path.includes('/manifests/'));
  const from = direct.length === 0 ? 'mirror' : manifests ? 'registry' : 'both';
  const what = `${client.name}, ${when}: ended with ${code}, from: ${from}, said: ${stderr}`;
  if (expected instanceof RegExp) {
    assert.notEqual(code, 0, what);
    assert.match(stderr, expected, what);
  } else {
    assert.equal(code, 0, what);
    assert.equal(from, expected, what);
  }
  assert.ok(
    stage.mirror.requests.some((request) => path.test(request.path)),
    `${client.name} did not ask the mirror`,
  );
}

/** What every client gets while the upstream does wrong, then when it is well again, and then of what is kept. */
async function testRow(
  t: TestContext,
  row: Row,
  {
    upstream,
    id,
    clients,
    isThorough,
  }: {
    readonly upstream: Upstream;
    readonly id: string;
    readonly clients: readonly PullingClient[];
    readonly isThorough: boolean;
  },
): Promise<void> {
  const stage = await openStage(t, `row-${id}.example.com`, upstream);
  const repositoryOf = (client: PullingClient): string => `${ANN.name}/${id}-${clients.indexOf(client)}`;
  for (const client of clients) {
    const layers = LAYERS.map((size) => tarWithOneFile('file', randomBytes(size), 0o644));
    await pushImage(upstream.open, repositoryOf(client), 'v1', layers);
  }
  const spoil = async (): Promise<void> => {
    const { fault, path, times } = row;
    if (fault === undefined) await stage.upstream.down();
    else stage.upstream.rule(path ? { path } : {}, fault, times === undefined ? {} : { times });
  };
  const pullAll = (ends: readonly Ends[], when: string): Promise<unknown> =>
    Promise.all(
      clients.map(async (client) => {
        for (const [times, end] of ends.entries()) {
          const expected = end[client.name === 'containerd 1.x' ? 'containerd' : client.name];
          await assertEnd(client, stage, repositoryOf(client), expected, `${when}, ${times + 1}`);
        }
      }),
    );
  await spoil();
  await pullAll(row.again ? [row.cold, row.again] : [row.cold], 'cold');

  stage.upstream.clear();
  await stage.upstream.up();
  stage.server.clock.advance(ALL_PAUSES);
  // The first to ask finds out; the others would go elsewhere meanwhile.
  const [first] = clients;
  const found = await fetch(`${stage.server.url}/v2/${first ? repositoryOf(first) : ''}/manifests/v1`);
  assert.equal(found.status, 200, await found.text());
  await pullAll([served], 'well again');

  if (row.warm && (isThorough || !row.isSlow)) {
    stage.server.clock.advance(FRESHNESS);
    await spoil();
    await pullAll([row.warm], 'warm');
  }
  const secrets = stage.mirror.requests.filter(({ headers }) => headers.authorization !== undefined);
  assert.deepEqual(secrets, [], 'the password for the registry came to the mirror');
}

/**
 * Clients pull through a mirror whose upstream does wrong: each client with each fault, cold, once the upstream is well again, and warm.
 * @param options.isThorough with each upstream, also where that makes no difference
 */
export function testMirrorFaults(options: {
  readonly clients: readonly ClientName[];
  readonly isThorough: boolean;
}): void {
  const { isThorough } = options;
  const title = `${options.clients.join(', ')}: what each gets of a mirror whose upstream does wrong, and that it leaves no trace`;
  test(title, { concurrency: 6 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'mirror-faults-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const upstreams = await startUpstreams(t, folder);
    const clients = await startPullingClients(t, folder, options.clients);
    const runs = rows.flatMap((row, at) =>
      [...upstreams.entries()]
        .filter(([kind]) => isThorough || row.each || at % upstreams.length === kind)
        .map(([kind, upstream]) =>
          t.test(`${upstream.title} ${row.title}`, (t) =>
            testRow(t, row, { upstream, id: `${at}-${kind}`, clients, isThorough }),
          ),
        ),
    );
    await Promise.all(runs);
  });
}
