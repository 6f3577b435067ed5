import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { effectiveConfig } from '../../../../src/contract/config/effective.ts';
import { mirrorSettings, type MirrorSettings } from '../../../../src/contract/config/mirror-settings.ts';

const smallest = 'version: 0.1\nstorage: filesystem\nhttp: {addr: ":5000"}\n';
const withUsers = 'auth: {htpasswd: {realm: r, path: /u}}\n';

function settingsOf(
  text: string,
  environment: Readonly<Record<string, string>> = {},
): MirrorSettings | undefined {
  const { config, errors } = parseConfig(smallest + text, environment);
  assert.deepEqual(errors, []);
  return mirrorSettings(config ?? assert.fail());
}

type Kind = 'errors' | 'warnings' | 'notices';

function told(kind: Kind, text: string, start = smallest): readonly string[] {
  return parseConfig(start + text)[kind].map(({ path, message }) => `${path} ${message}`);
}

test('without an upstream a server is no mirror', () => {
  for (const text of ['', 'proxy: {}', 'proxy: {remoteurl: ""}', 'stevedore: {mirror: {cache: {size: 1}}}'])
    assert.equal(settingsOf(text), undefined, text);
  assert.deepEqual(told('warnings', 'proxy: {username: u}'), ['proxy has no effect without remoteurl']);
});

test("docker distribution's proxy is one upstream whose repositories have their plain names", () => {
  const settings = settingsOf(
    'proxy: {remoteurl: https://registry-1.docker.io, username: u, password: p}\n' + withUsers,
  );
  assert.deepEqual(settings, {
    upstreams: [
      {
        host: 'docker.io',
        url: 'https://registry-1.docker.io',
        names: ['docker.io', 'registry-1.docker.io', 'index.docker.io'],
        folder: undefined,
        credentials: { username: 'u', password: 'p' },
        ca: undefined,
        allowedRepositories: [],
        tagFreshness: 60_000,
        staleIfError: undefined,
        realmHosts: [],
      },
    ],
    defaultUpstream: 'docker.io',
    cache: { highWatermark: 90, lowWatermark: 80, ttl: 168 * 3_600_000 },
  });
  assert.deepEqual(
    settingsOf(
      'proxy: {remoteurl: http://r:5000, exec: {command: helper, lifetime: 5m}, ttl: 0}',
    )?.upstreams.map(({ host, credentials }) => [host, credentials]),
    [['r:5000', { command: 'helper', lifetime: 300_000 }]],
  );
  assert.equal(settingsOf('proxy: {remoteurl: http://r, ttl: 0}')?.cache.ttl, undefined);
  assert.deepEqual(
    settingsOf('', { REGISTRY_PROXY_REMOTEURL: 'https://quay.io' })?.defaultUpstream,
    'quay.io',
  );
});

test('the cache of a proxy is bounded under stevedore.mirror', () => {
  const text = `proxy: {remoteurl: https://quay.io}
stevedore: {mirror: {cache: {size: 1000, highwatermark: 70, lowwatermark: 50, ttl: 1h}}}`;
  assert.deepEqual(settingsOf(text)?.cache, {
    size: 1000,
    highWatermark: 70,
    lowWatermark: 50,
    ttl: 3_600_000,
  });
});

test('a mirror has many upstreams, each in a folder of its name', () => {
  const settings = settingsOf(
    `stevedore:
  mirror:
    defaultupstream: index.docker.io
    upstreams:
    - {host: Index.docker.io, tagfreshness: 5m, staleiferror: 24h}
    - host: Registry.Example.com:5000
      url: https://10.0.0.1:5000
      aliases: [old.example.com]
      credentials: /secrets/example
      ca: /ca.pem
      allowedrepositories: ["team/**"]
      realmhosts: [auth.example.org]
    - {host: "quay.io:443", username: u, password: p, allowedrepositories: "**"}
`,
  );
  assert.equal(settings?.defaultUpstream, 'docker.io');
  const [hub, example, quay] = settings.upstreams;
  assert.partialDeepStrictEqual(hub, {
    host: 'docker.io',
    url: 'https://registry-1.docker.io',
    folder: 'docker.io',
    tagFreshness: 300_000,
    staleIfError: 86_400_000,
    credentials: undefined,
  });
  assert.deepEqual(example, {
    host: 'registry.example.com:5000',
    url: 'https://10.0.0.1:5000',
    names: ['registry.example.com:5000', 'old.example.com'],
    folder: 'registry.example.com_5000',
    credentials: { folder: '/secrets/example' },
    ca: '/ca.pem',
    allowedRepositories: ['team/**'],
    tagFreshness: 60_000,
    staleIfError: undefined,
    realmHosts: ['auth.example.org'],
  });
  assert.partialDeepStrictEqual(quay, {
    host: 'quay.io',
    url: 'https://quay.io',
    folder: 'quay.io',
    credentials: { username: 'u', password: 'p' },
  });
});

test('what cannot be mirrored, or not so, is told', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    [
      'proxy: {remoteurl: "https://u:p@quay.io"}',
      ['proxy.remoteurl must not hold credentials: they have options of their own'],
    ],
    [
      'proxy: {remoteurl: https://quay.io, username: u, exec: {command: c}}',
      ['proxy has exec and username: one of them gives the credentials'],
    ],
    [
      'proxy: {remoteurl: https://quay.io, password: p}\nstevedore: {mirror: {upstreams: [{host: ghcr.io}]}}',
      [
        'proxy.password needs username',
        'proxy is one upstream, and stevedore.mirror.upstreams has others: add it to them instead',
      ],
    ],
    [
      'stevedore: {mirror: {upstreams: [{host: "https://quay.io", aliases: [a/b], url: "http://q/a"}]}}',
      [
        'stevedore.mirror.upstreams.0.host must be a host, as in docker.io or registry.example.com:5000',
        'stevedore.mirror.upstreams.0.aliases.0 must be a host, as in docker.io or registry.example.com:5000',
        'stevedore.mirror.upstreams.0.url must be scheme, host and port alone: the API of a registry is at /v2/',
      ],
    ],
    [
      'stevedore: {mirror: {upstreams: [{host: a.io, username: u, credentials: /c, password: p, allowedrepositories: [A]}]}}',
      [
        'stevedore.mirror.upstreams.0 has credentials and username or password: one of them is enough',
        'stevedore.mirror.upstreams.0.allowedrepositories has "A", which no name can match',
      ],
    ],
    [
      'stevedore: {mirror: {upstreams: [{host: docker.io}, {host: registry-1.docker.io}], defaultupstream: quay.io}}',
      [
        'stevedore.mirror.upstreams.1 has the name docker.io, which upstreams.0 has as well',
        'stevedore.mirror.upstreams.1 has the name registry-1.docker.io, which upstreams.0 has as well',
        'stevedore.mirror.upstreams.1 has the name index.docker.io, which upstreams.0 has as well',
        'stevedore.mirror.defaultupstream is the host of none of the upstreams',
      ],
    ],
    [
      'stevedore: {mirror: {cache: {highwatermark: 50, lowwatermark: 50}}}',
      ['stevedore.mirror.cache.lowwatermark must be below highwatermark'],
    ],
  ];
  for (const [text, expected] of cases) assert.deepEqual(told('errors', text), expected, text);
});

test('a mirror needs a disk, one process, and nothing between it and its clients', () => {
  const start = 'version: 0.1\nhttp: {addr: ":5000"}\nstorage: inmemory\n';
  const text = `proxy: {remoteurl: https://quay.io}
middleware: {storage: [{name: redirect, options: {baseurl: https://cdn}}]}
stevedore: {workers: 2}`;
  assert.deepEqual(told('errors', text, start), [
    'stevedore.workers each process would have a storage of its own in memory',
    'storage must be filesystem for a mirror: its cache is read while it is filled',
    'stevedore.workers must be 1 for a mirror: one process knows what is being fetched and read',
    'middleware.storage has no place in a mirror, which sends what it keeps itself',
  ]);
  const idle =
    'version: 0.1\nhttp: {addr: ":5000"}\nstorage: {filesystem: {}, cache: {blobdescriptor: inmemory}, maintenance: {readonly: {enabled: true}}}\n';
  assert.deepEqual(told('notices', 'proxy: {remoteurl: https://quay.io}', idle), [
    'storage.cache.blobdescriptor has no effect in a mirror: it knows the sizes of what it keeps',
    'storage.maintenance.readonly has no effect in a mirror: it takes no pushes as it is',
  ]);
});

test('what a mirror knows a secret for is not open to everybody', () => {
  const upstream = (more: string): string =>
    `stevedore: {mirror: {upstreams: [{host: quay.io, credentials: /c${more}}]}}\n`;
  assert.deepEqual(told('errors', upstream('')), [
    'stevedore.mirror.upstreams.0.allowedrepositories is required: with credentials everybody could pull what their user may. Name what may be pulled (["**"] for all), or let clients say who they are (auth, http.tls.clientcas)',
  ]);
  assert.deepEqual(told('errors', upstream(', allowedrepositories: [team/*]')), []);
  assert.deepEqual(told('errors', upstream('') + withUsers), []);
  const tls = 'tls: {certificate: /c, key: /k, clientcas: [/ca]}';
  const certificates = smallest.replace('":5000"', `":5000", ${tls}`);
  assert.deepEqual(told('errors', upstream(''), certificates), []);
  const optional = certificates.replace('[/ca]', '[/ca], clientauth: verify-client-cert-if-given');
  assert.equal(told('errors', upstream(''), optional).length, 1);

  const proxy = 'proxy: {remoteurl: https://quay.io, username: u, password: p}\n';
  assert.deepEqual(told('errors', proxy), []);
  assert.deepEqual(told('warnings', proxy), [
    'proxy has credentials, so everybody who reaches this server may pull what they may: configure auth or http.tls.clientcas',
  ]);
  assert.deepEqual(told('warnings', proxy + withUsers), []);
});

test('passwords of upstreams are not shown', () => {
  const { config } = parseConfig(
    `${smallest}proxy: {remoteurl: https://quay.io, username: u, password: rosebud}\n${withUsers}`,
  );
  assert.ok(config);
  assert.doesNotMatch(JSON.stringify(effectiveConfig(config)), /rosebud/);
});
