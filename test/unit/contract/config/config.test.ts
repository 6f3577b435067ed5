import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseAddress,
  parseConfig,
  type Config,
  type ConfigProblem,
} from '../../../../src/contract/config/config.ts';

const smallest = `
version: 0.1
storage:
  filesystem:
http:
  addr: :5000
`;

function configOf(text: string, environment: Readonly<Record<string, string>> = {}): Config {
  const { config, errors } = parseConfig(text, environment);
  assert.deepEqual(errors, []);
  assert.ok(config);
  return config;
}

function lines(problems: readonly ConfigProblem[]): string[] {
  return problems.map((problem) => `${problem.path} ${problem.message}`);
}

test('the smallest configuration gets every default', () => {
  assert.partialDeepStrictEqual(configOf(smallest), {
    version: '0.1',
    log: { level: 'info', formatter: 'text', fields: {}, accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: '/var/lib/registry' },
      cache: { blobdescriptor: undefined, blobdescriptorsize: 10_000 },
      delete: { enabled: false },
      maintenance: { readonly: { enabled: false } },
    },
    http: {
      addr: ':5000',
      net: 'tcp',
      prefix: '/',
      host: undefined,
      secret: undefined,
      relativeurls: false,
      draintimeout: 30_000,
      headers: {},
      tls: undefined,
      debug: { addr: undefined, prometheus: { enabled: false, path: '/metrics' } },
    },
    auth: { htpasswd: undefined },
    catalog: { maxentries: 1000 },
    tags: { maxtags: 1000 },
    health: {
      storagedriver: { enabled: false, interval: 10_000, threshold: 1 },
      file: [],
      http: [],
      tcp: [],
    },
    stevedore: { status: undefined },
  });
});

test("Debian's configuration of docker-registry starts without a word", () => {
  const { config, warnings, files } = parseConfig(`
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/docker-registry
  delete:
    enabled: true
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
auth:
  htpasswd:
    realm: basic-realm
    path: /etc/docker/registry
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`);
  assert.deepEqual(config?.http.headers, { 'X-Content-Type-Options': ['nosniff'] });
  assert.deepEqual(config.log.fields, { service: 'registry' });
  assert.deepEqual(files, [{ path: 'auth.htpasswd.path', file: '/etc/docker/registry' }]);
  assert.equal(config.storage.cache.blobdescriptor, 'inmemory');
  assert.deepEqual(lines(warnings), []);
});

test('scalars are decoded by the type of their field, as Go does', () => {
  const cases: readonly (readonly [string, (config: Config) => unknown, unknown])[] = [
    ['storage: {filesystem: {}, delete: {enabled: yes}}', (c) => c.storage.delete.enabled, true],
    ['storage: {filesystem: {}, delete: {enabled: "yes"}}', (c) => c.storage.delete.enabled, true],
    ['storage: {filesystem: {}, delete: {enabled: Off}}', (c) => c.storage.delete.enabled, false],
    ['catalog: {maxentries: "50"}', (c) => c.catalog.maxentries, 50],
    ['catalog: {maxentries: 0x10}', (c) => c.catalog.maxentries, 16],
    ['catalog: {maxentries: 1_000}', (c) => c.catalog.maxentries, 1000],
    ['catalog: {maxentries: 010}', (c) => c.catalog.maxentries, 8],
    ['catalog: {maxentries: 0}', (c) => c.catalog.maxentries, 1000],
    ['tags: {maxtags: 0}', (c) => c.tags.maxtags, 1000],
    ['http: {addr: ":1", draintimeout: 1m30s}', (c) => c.http.draintimeout, 90_000],
    ['http: {addr: ":1", draintimeout: 60000000000}', (c) => c.http.draintimeout, 60_000],
    ['http: {addr: ":1", draintimeout: 0}', (c) => c.http.draintimeout, 0],
    ['http: {addr: ":1", prefix: registry/}', (c) => c.http.prefix, '/registry'],
    ['http: {addr: ":1", headers: {X-One: a}}', (c) => c.http.headers, { 'X-One': ['a'] }],
    ['log: {fields: {n: 1, t: true}}', (c) => c.log.fields, { n: '1', t: 'true' }],
    ['auth: {htpasswd: {realm: 5, path: /u}}', (c) => c.auth.htpasswd?.realm, '5'],
    ['stevedore: {status: }', (c) => c.stevedore.status?.addr, ':5001'],
    ['stevedore: {status: {addr: "127.0.0.1:1"}}', (c) => c.stevedore.status?.addr, '127.0.0.1:1'],
    ['http: {addr: ":1", tls: {}}', (c) => c.http.tls, undefined],
    ['storage: filesystem', (c) => c.storage.filesystem?.rootdirectory, '/var/lib/registry'],
    [
      'x-anchor: &d {enabled: true}\nstorage: {filesystem: {}, delete: {<<: *d}}',
      (c) => c.storage.delete.enabled,
      true,
    ],
  ];
  for (const [text, read, expected] of cases) {
    const rest = [
      text.includes('storage:') ? '' : 'storage: {filesystem: {}}',
      text.includes('http:') ? '' : 'http: {addr: ":1"}',
    ];
    assert.deepEqual(read(configOf(`version: 0.1\n${text}\n${rest.join('\n')}`)), expected, text);
  }
});

test('every error is told with its path', () => {
  const { config, errors } = parseConfig(`
version: 0.2
log: {level: loud, fields: [1], accesslog: {disabled: maybe}}
storage: {filesystem: {rootdirectory: here}, delete: on}
http:
  addr: nowhere
  draintimeout: soon
  host: registry.example.com
  headers: {X-One: [{a: b}]}
  tls: {certificate: /c.pem}
auth: {htpasswd: {path: /users}}
catalog: {maxentries: -1}
proxy: {remoteurl: registry-1.docker.io}
`);
  assert.equal(config, undefined);
  assert.deepEqual(lines(errors).toSorted(), [
    'auth.htpasswd.realm is required',
    'catalog.maxentries must be a whole number, 0 or more, not "-1"',
    'http.addr must be host:port, as in :5000 or 127.0.0.1:5000, not "nowhere"',
    'http.draintimeout must be a duration such as 30s or 1h30m, not "soon"',
    'http.headers.X-One must be a list of strings',
    'http.host must be a URL such as https://registry.example.com, not "registry.example.com"',
    'http.tls.key is required with TLS',
    'log.accesslog.disabled must be true or false, not "maybe"',
    'log.fields must be a map, not a list',
    'log.level must be error, warn, info, debug, not "loud"',
    'proxy.remoteurl must be a URL such as https://registry.example.com, not "registry-1.docker.io"',
    'storage.delete must be a map, not "on"',
    'storage.filesystem.rootdirectory must be an absolute path, not "here"',
    'version must be 0.1, not "0.2"',
  ]);
});

test('a realm that no header can carry is an error', () => {
  const { errors } = parseConfig(
    String.raw`{version: 0.1, storage: filesystem, http: {addr: ":5000"}, auth: {htpasswd: {realm: "a\nb", path: /u}}}`,
  );
  assert.deepEqual(lines(errors), ['auth.htpasswd.realm must not hold control characters']);
});

test('a document that is no map is an error with its line', () => {
  assert.deepEqual(lines(parseConfig('version: 0.1\nhttp: [').errors).length, 1);
  assert.match(
    lines(parseConfig('version: 0.1\nlog: }').errors)[0] ?? '',
    /^\(document\) is not YAML: .* at line 2, column 6$/,
  );
  assert.match(lines(parseConfig('- 1').errors)[0] ?? '', /must be a map/);
  assert.deepEqual(lines(parseConfig('# nothing\n').errors), [
    'version is required',
    'http.addr is required',
    'storage needs a driver, as in filesystem: {rootdirectory: /var/lib/registry}',
  ]);
});

test('an unknown key is a warning that names the nearest option', () => {
  const { config, warnings, notices } = parseConfig(`${smallest}
  relativeurl: true
log: {fromatter: json, zzz: 1}
loggg: {}
notificatons: {}
proxy: {}
`);
  assert.ok(config);
  assert.deepEqual(lines(warnings), [
    'loggg is not an option and is ignored',
    'notificatons is not an option and is ignored, did you mean notifications?',
    'log.fromatter is not an option and is ignored, did you mean formatter?',
    'log.zzz is not an option and is ignored',
    'http.relativeurl is not an option and is ignored, did you mean relativeurls?',
  ]);
  assert.deepEqual(lines(notices), []);
});

test('what docker distribution has and what makes no sense any more is accepted and named', () => {
  const { config, warnings, notices } = parseConfig(
    `${smallest}
log: {hooks: [{type: mail, options: {smtp: {password: hunter2}}}]}
reporting: {newrelic: {licensekey: hunter2}}
compatibility: {}
`,
    { REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED: 'true', REGISTRY_LOG_HOOKS_0_TYPE: 'mail' },
  );
  assert.ok(config);
  assert.deepEqual(lines(warnings), []);
  const paths = notices.map(({ path }) => path);
  assert.deepEqual(paths.toSorted(), ['compatibility', 'log.hooks', 'reporting']);
  assert.doesNotMatch(JSON.stringify({ config, notices }), /hunter2/);
});

test('the old name of log.level counts where that is empty, and is named', () => {
  const old = parseConfig(`${smallest}\nloglevel: DEBUG`);
  assert.equal(old.config?.log.level, 'debug');
  assert.deepEqual(
    old.notices.map(({ path }) => path),
    ['loglevel'],
  );
  assert.equal(configOf(`${smallest}\nloglevel: debug\nlog: {level: warn}`).log.level, 'warn');
  assert.equal(configOf(smallest, { REGISTRY_LOGLEVEL: 'error' }).log.level, 'error');
  assert.deepEqual(lines(parseConfig(`${smallest}\nloglevel: loud`).errors), [
    'log.level must be error, warn, info, debug, not "loud"',
  ]);
});

test('an option under its old name counts, and beside the new one it is ignored with a warning', () => {
  const cache = (options: string): string =>
    `{version: 0.1, storage: {filesystem: {}, cache: ${options}}, http: {addr: ":1"}}`;
  assert.equal(configOf(cache('{layerinfo: inmemory}')).storage.cache.blobdescriptor, 'inmemory');
  const both = parseConfig(cache('{layerinfo: redis, blobdescriptor: inmemory}'));
  assert.equal(both.config?.storage.cache.blobdescriptor, 'inmemory');
  assert.deepEqual(lines(both.warnings), [
    'storage.cache.layerinfo is ignored: it is an old name of blobdescriptor',
  ]);
  assert.deepEqual(lines(parseConfig(cache('{blobdescriptor: memory}')).warnings), [
    'storage.cache.blobdescriptor is neither inmemory nor redis, so nothing is cached',
  ]);
  assert.deepEqual(lines(parseConfig(cache('{blobdescriptor: redis}')).errors), [
    'storage.cache.blobdescriptor needs redis.addr or redis.addrs',
  ]);
});

test('a section that stands twice is joined, as Go does, with a warning', () => {
  const { config, warnings } = parseConfig(`
version: 0.1
storage: {filesystem: {}}
http: {addr: ":1", headers: {A: b}}
http: {addr: ":2", relativeurls: true}
`);
  assert.deepEqual(lines(warnings), ['(document) has the same key twice at line 5, column 1: write it once']);
  assert.equal(config?.http.addr, ':2');
  assert.deepEqual(config.http.headers, { A: ['b'] });
  assert.equal(config.http.relativeurls, true);
  assert.match(lines(parseConfig('a: 1\na: 2\nb: [').errors).join(), /is not YAML/);
});

test('what cannot be parsed is not quoted, for it may be a password', () => {
  const { errors } = parseConfig(`${smallest}\nredis: {password: *hunter2}`, {
    REGISTRY_REDIS_PASSWORD: '*hunter2',
    REGISTRY_REDIS_SENTINELPASSWORD: '!hunter2 x',
  });
  const more = parseConfig(smallest, { REGISTRY_REDIS_PASSWORD: '*hunter2' }).errors;
  const list = parseConfig(smallest, { REGISTRY_REDIS_PASSWORD: '[hunter2]' }).errors;
  assert.equal(errors.length + more.length + list.length, 3);
  assert.doesNotMatch(JSON.stringify([errors, more, list]), /hunter2/);
});

test('environment variables override the file, in lexical order, as YAML', () => {
  const config = configOf(smallest, {
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/data',
    REGISTRY_STORAGE: '{filesystem: {rootdirectory: /lost}, delete: {enabled: true}}',
    REGISTRY_HTTP_ADDR: '127.0.0.1:0',
    REGISTRY_HTTP_HEADERS: '{X-One: [a, b]}',
    'REGISTRY_HTTP_HEADERS_X-ONE_1': 'c',
    'REGISTRY_HTTP_HEADERS_X-ONE_2': 'd',
    REGISTRY_HTTP_TLS_CERTIFICATE: '/tls.crt',
    REGISTRY_HTTP_TLS_KEY: '/tls.key',
    REGISTRY_LOG_FIELDS_MY_FIELD: 'x',
    REGISTRY_AUTH: 'htpasswd',
    REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
    REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
    OTHER: 'x',
    REGISTRY_CONFIGURATION_PATH: '/etc/config.yml',
  });
  assert.equal(config.storage.filesystem?.rootdirectory, '/data');
  assert.equal(config.storage.delete.enabled, true);
  assert.equal(config.http.addr, '127.0.0.1:0');
  assert.deepEqual(config.http.headers, { 'X-One': ['a', 'c', 'd'] });
  assert.equal(config.http.tls?.certificate, '/tls.crt');
  assert.deepEqual(config.log.fields, { my_field: 'x' });
  assert.deepEqual(config.auth.htpasswd, { realm: 'Registry Realm', path: '/auth/htpasswd' });
});

test('a bad variable is told by its name', () => {
  const { errors, warnings } = parseConfig(smallest, {
    'REGISTRY_HTTP_HEADERS_X-ONE_3': 'c',
    REGISTRY_LOG: '{',
    REGISTRY_LOG_FROMATTER: 'json',
    REGISTRY_PROXY_REMOTEURL: 'b',
    REGISTRY_LOG_LEVEL_DEEP: 'b',
    REGISTRY_HTTP_TLS_CLIENTCAS_0: '/ca.pem',
    REGISTRY_log_LEVEL: 'debug',
  });
  assert.deepEqual(lines(errors), [
    'REGISTRY_HTTP_HEADERS_X-ONE_3 sets item 3 of a list of 0: the next is 0',
    'REGISTRY_LOG is not YAML: unexpected end of the stream within a flow collection at line 1, column 2',
    'proxy.remoteurl must be a URL such as https://registry.example.com, not "b"',
    'http.tls.certificate is required with TLS',
    'http.tls.key is required with TLS',
  ]);
  assert.deepEqual(lines(warnings), [
    'REGISTRY_LOG_FROMATTER names no option and is ignored, did you mean FORMATTER?',
    'REGISTRY_LOG_LEVEL_DEEP names no option and is ignored',
    'REGISTRY_log_LEVEL names no option and is ignored, did you mean LOG?',
  ]);
});

test('variables that Kubernetes sets for a Service called registry are no configuration', () => {
  const { config, warnings } = parseConfig(smallest, {
    REGISTRY_PORT: 'tcp://10.96.0.12:5000',
    REGISTRY_SERVICE_HOST: '10.96.0.12',
    REGISTRY_SERVICE_PORT: '5000',
    REGISTRY_SERVICE_PORT_HTTPS: '5000',
    REGISTRY_PORT_5000_TCP: 'tcp://10.96.0.12:5000',
    REGISTRY_PORT_5000_TCP_ADDR: '10.96.0.12',
    REGISTRY_AUTH_PORT: 'tcp://10.96.0.12:5001',
    REGISTRY_HTTP: 'tcp://10.96.0.12:80',
    REGISTRY_STORAGE_PORT_9000_UDP: 'udp://[fd00::1]:9000',
  });
  assert.ok(config);
  assert.deepEqual(warnings, []);
});

test('addresses are host and port', () => {
  assert.deepEqual(parseAddress(':5000'), { host: undefined, port: 5000 });
  assert.deepEqual(parseAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(parseAddress('[::1]:5000'), { host: '::1', port: 5000 });
  assert.deepEqual(parseAddress('localhost:5000'), { host: 'localhost', port: 5000 });
  for (const bad of ['5000', '::1:5000', ':70000', 'a b:1', ''])
    assert.equal(parseAddress(bad), undefined, bad);
});

test('nobody is asked who they are with the provider none, which is one beside others', () => {
  const { errors } = parseConfig(smallest, {
    REGISTRY_AUTH: '{none: , htpasswd: {realm: r, path: /users}}',
  });
  assert.deepEqual(lines(errors), ['auth must name one provider, not 2: none, htpasswd']);
});

test('a variable reaches an option that has a _ in its name, and one under an old name', () => {
  const azure =
    '{version: 0.1, storage: {azure: {accountname: a, accountkey: aGk=, container: c}}, http: {addr: ":0"}}';
  const config = configOf(azure, {
    REGISTRY_STORAGE_AZURE_MAX_RETRIES: '7',
    REGISTRY_STORAGE_CACHE_LAYERINFO: 'inmemory',
  });
  assert.equal(config.storage.azure?.max_retries, 7);
  assert.equal(config.storage.cache.blobdescriptor, 'inmemory');
});

test('one driver is configured, neither none nor two', () => {
  const two = '{version: 0.1, storage: {filesystem: , inmemory: }, http: {addr: ":0"}}';
  assert.deepEqual(lines(parseConfig(two).errors), [
    'storage must name one driver, not 2: filesystem, inmemory',
  ]);
  // As with the image of distribution, whose file names a driver already.
  const replaced = configOf(smallest, {
    REGISTRY_STORAGE: 's3',
    REGISTRY_STORAGE_S3_BUCKET: 'b',
    REGISTRY_STORAGE_S3_REGION: 'r',
  });
  assert.deepEqual([replaced.storage.s3?.bucket, replaced.storage.filesystem], ['b', undefined]);
});
