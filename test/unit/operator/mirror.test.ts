import assert from 'node:assert/strict';
import { load } from 'js-yaml';
import { test } from 'node:test';
import { parseConfig } from '../../../src/contract/config/config.ts';
import { configFile } from '../../../src/operator/desired-config.ts';
import { desiredClients, mirrorEndpoint } from '../../../src/operator/desired-clients.ts';
import { desiredDeployment } from '../../../src/operator/desired-deployment.ts';
import { desiredPrometheusRule } from '../../../src/operator/desired-monitoring.ts';
import { storageReach } from '../../../src/operator/storage-reach.ts';
import { assertGolden } from './golden.ts';
import { mirror, user } from './resource-builders.ts';

const IMAGE = 'registry.example.com/stevedore:1.2.3';
const full = mirror({
  spec: {
    upstreams: [
      { host: 'docker.io' },
      {
        host: 'registry.example.com:5000',
        url: 'https://inner.example.com:8443',
        aliases: ['images.example.com'],
        credentialsSecretRef: { name: 'pull' },
        caBundleRef: { configMapName: 'authorities' },
        allowedRepositories: ['team/**'],
        tagFreshness: '5m',
        staleIfError: '48h',
        realmHosts: ['login.example.net'],
      },
    ],
    defaultUpstream: 'docker.io',
    hostname: 'mirror.example.com',
    cache: { size: '15Gi', highWatermark: 95, lowWatermark: 70, ttl: '720h' },
    auth: { htpasswd: { users: [user('alice')] }, anonymous: 'Pull' },
    resources: { requests: { cpu: 2 } },
    podTemplate: { labels: { team: 'images' }, nodeSelector: { disk: 'fast' } },
  },
});

/** As the server reads it. */
function sectionOf(subject: typeof full) {
  const { config, errors, warnings } = parseConfig(configFile(subject));
  assert.deepEqual([...errors, ...warnings], []);
  assert.ok(config);
  return config.stevedore.mirror;
}

test('what a RegistryMirror says of upstreams and cache is what the server reads', () => {
  const { upstreams, defaultupstream, cache } = sectionOf(full);
  const folder = '/etc/stevedore/upstreams/registry.example.com_5000';
  assert.equal(defaultupstream, 'docker.io');
  assert.deepEqual(cache, {
    size: 15 * 2 ** 30,
    highwatermark: 95,
    lowwatermark: 70,
    ttl: 720 * 3_600_000,
  });
  assert.partialDeepStrictEqual(upstreams, [
    { host: 'docker.io', url: undefined, credentials: undefined, ca: undefined, tagfreshness: 60_000 },
    {
      host: 'registry.example.com:5000',
      url: 'https://inner.example.com:8443',
      aliases: ['images.example.com'],
      credentials: folder,
      ca: `${folder}/ca.crt`,
      allowedrepositories: ['team/**'],
      realmhosts: ['login.example.net'],
      tagfreshness: 300_000,
      staleiferror: 48 * 3_600_000,
    },
  ]);
});

test('without a size of the cache that of the storage counts, and of an existing claim what it has', () => {
  const sizeOf = (storage: object) => sectionOf(mirror({ spec: { storage } })).cache.size ?? 0;
  assert.equal(sizeOf({ filesystem: { size: '20Gi' } }), 20 * 2 ** 30);
  assert.equal(sizeOf({ ephemeral: { sizeLimit: '1500M' } }), 1.5e9);
  assert.equal(sizeOf({ filesystem: { existingClaim: 'old' } }), 0);
});

test('the pods of a mirror and the configurations of its clients are as in their golden files', () => {
  assertGolden('operator/mirror-deployment', desiredDeployment(full, { image: IMAGE, reach: 'node' }));
  const endpoint = mirrorEndpoint(full, undefined);
  assert.equal(endpoint, 'https://mirror.example.com');
  assertGolden('operator/mirror-clients', desiredClients(full, endpoint, 'CERTIFICATE\n'));
});

test('no two pods of a mirror have its volume at once, however far it reaches', () => {
  const storage = { filesystem: { size: '20Gi', accessModes: ['ReadWriteMany'] } };
  const wide = mirror({ spec: { storage } });
  const reach = storageReach(wide, undefined);
  assert.deepEqual(desiredDeployment(wide, { image: IMAGE, reach }).spec?.strategy, { type: 'Recreate' });
});

test('the alerts of a mirror are about its upstreams', () => {
  assertGolden(
    'operator/mirror-prometheus-rule',
    desiredPrometheusRule(full, { labels: { team: 'images' } }),
  );
});

test('without a name nodes find a mirror by the address of its Service', () => {
  const service = (...clusterIPs: readonly string[]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'reg-mirror', namespace: 'team' },
    spec: { clusterIPs },
  });
  const plain = mirror({ spec: { tls: { mode: 'Disabled' }, service: { port: 80 } } });
  assert.equal(mirrorEndpoint(mirror(), service('10.96.0.20')), 'https://10.96.0.20:5000');
  assert.equal(mirrorEndpoint(mirror(), service('fd00::20')), 'https://[fd00::20]:5000');
  assert.equal(mirrorEndpoint(plain, service('10.96.0.20')), 'http://10.96.0.20:80');
  assert.equal(mirrorEndpoint(mirror(), service('None')), undefined);
  assert.equal(mirrorEndpoint(mirror(), undefined), undefined);
});

test('docker is told of a mirror that has Docker Hub as its default alone', () => {
  const endpoint = 'http://10.96.0.20:80';
  const hub = mirror({ spec: { defaultUpstream: 'docker.io', tls: { mode: 'Disabled' } } });
  const { data } = desiredClients(hub, endpoint, undefined);
  assert.deepEqual(load(data?.['daemon.json'] ?? ''), {
    'registry-mirrors': [endpoint],
    'insecure-registries': ['10.96.0.20:80'],
  });
  assert.match(data?.['registries.conf'] ?? '', /^insecure = true$/m);
  assert.match(data?.['buildkitd.toml'] ?? '', /^ {2}http = true$/m);
  assert.equal(desiredClients(mirror(), endpoint, undefined).data?.['daemon.json'], undefined);
});
