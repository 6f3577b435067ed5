import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/contract/config/config.ts';
import { desiredAuthority, desiredTrustBundle } from '../../../src/operator/desired-authority.ts';
import { desiredCertificate } from '../../../src/operator/desired-certificate.ts';
import { claimMismatch, desiredClaim } from '../../../src/operator/desired-claim.ts';
import { desiredCollectionJob } from '../../../src/operator/desired-collection-job.ts';
import { configFile, configHash, desiredConfig } from '../../../src/operator/desired-config.ts';
import { CONFIG_HASH_ANNOTATION, desiredDeployment } from '../../../src/operator/desired-deployment.ts';
import { desiredService } from '../../../src/operator/desired-service.ts';
import { desiredUsers } from '../../../src/operator/desired-users.ts';
import { registryUrl } from '../../../src/operator/registry-url.ts';
import { storageReach } from '../../../src/operator/storage-reach.ts';
import { assertGolden } from './golden.ts';
import { boundClaim, collection, registry, user } from './resource-builders.ts';

const IMAGE = 'registry.example.com/stevedore:1.2.3';
const plain = registry();
const full = registry({
  spec: {
    hostname: 'registry.example.com:30500',
    storage: {
      filesystem: {
        size: '1Ti',
        storageClassName: 'fast',
        accessModes: ['ReadWriteMany'],
        deletionPolicy: 'Delete',
      },
    },
    tls: { dnsNames: ['images.example.com'], ipAddresses: ['192.0.2.7'] },
    auth: { htpasswd: { users: [user('alice')] } },
    service: { type: 'NodePort', port: 443, nodePort: 30500, annotations: { 'example.com/pool': 'inner' } },
    delete: false,
    readOnly: true,
    resources: { requests: { cpu: 1, memory: '256Mi' }, limits: { memory: '1Gi' } },
  },
});
const filesystemOf = ({ spec: { storage } }: typeof plain) => {
  assert.ok(storage.filesystem);
  return storage.filesystem;
};
const inputsOf = (subject: typeof plain) => ({ image: IMAGE, reach: storageReach(subject, undefined) });
const plainHttp = registry({ spec: { tls: { mode: 'Disabled' } } });
const pair = { certificate: 'CERTIFICATE\n', key: 'KEY\n' };

for (const [name, subject] of Object.entries({ plain, full, 'plain-http': plainHttp })) {
  test(`the children of the ${name} Registry are as in their golden files`, () => {
    assertGolden(`operator/${name}-authority`, desiredAuthority(subject, 'reg-ca', pair));
    assertGolden(`operator/${name}-trust-bundle`, desiredTrustBundle(subject, 'CERTIFICATE\n'));
    assertGolden(`operator/${name}-certificate`, desiredCertificate(subject, pair, 'CERTIFICATE\n'));
    assertGolden(`operator/${name}-users`, desiredUsers(subject, 'alice:HASH\n'));
    assertGolden(`operator/${name}-config`, desiredConfig(subject));
    assertGolden(`operator/${name}-claim`, desiredClaim(subject, filesystemOf(subject), undefined));
    assertGolden(`operator/${name}-service`, desiredService(subject));
    assertGolden(`operator/${name}-deployment`, desiredDeployment(subject, inputsOf(subject)));
  });

  test(`the server reads the configuration of the ${name} Registry without a complaint`, () => {
    const { config, errors, warnings } = parseConfig(configFile(subject));
    assert.deepEqual(errors, []);
    assert.deepEqual(warnings, []);
    assert.equal(config?.storage.delete.enabled, subject.spec.delete);
    assert.equal(config.storage.maintenance.readonly.enabled, subject.spec.readOnly);
    assert.equal(config.http.tls === undefined, subject.spec.tls.mode === 'Disabled');
  });
}

test('the Job of a run is as in its golden file', () => {
  const gc = collection({ spec: { dryRun: true, deleteUntagged: true, minimumAge: '0s' } });
  const run = { name: 'night-1767225600', runAt: 'now' };
  assertGolden(
    'operator/collection-job',
    desiredCollectionJob(gc, plain, run, { image: IMAGE, besideServer: true }),
  );
});

test('a Job without a registry pod may run on any node', () => {
  const run = { name: 'night-1' };
  const { spec } = desiredCollectionJob(collection(), plain, run, { image: IMAGE, besideServer: false });
  assert.equal(spec?.template.spec?.affinity, undefined);
});

test('the pod carries the hash of the configuration and of nothing else', () => {
  const hashOf = (subject: typeof plain) =>
    desiredDeployment(subject, inputsOf(subject)).spec?.template.metadata?.annotations?.[
      CONFIG_HASH_ANNOTATION
    ];
  assert.equal(hashOf(plain), configHash(configFile(plain)));
  assert.equal(hashOf(plain), hashOf(registry({ spec: { service: { port: 80 } } })));
  assert.notEqual(hashOf(plain), hashOf(registry({ spec: { delete: false } })));
});

test('a claim that is there keeps its class and modes, and never shrinks', () => {
  const existing = { ...boundClaim('50Gi'), spec: { ...boundClaim('50Gi').spec, storageClassName: 'slow' } };
  const { spec } = desiredClaim(plain, filesystemOf(plain), existing);
  assert.deepEqual(spec, {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'slow',
    resources: { requests: { storage: '50Gi' } },
  });
  assert.equal(
    desiredClaim(plain, { ...filesystemOf(plain), size: '51200.5Mi' }, existing).spec?.resources?.requests?.[
      'storage'
    ],
    '51200.5Mi',
    'quantities are compared by their numbers',
  );
});

test('a claim of another class or other modes is named with the remedy', () => {
  assert.equal(claimMismatch(filesystemOf(plain), boundClaim()), undefined);
  assert.match(
    claimMismatch(filesystemOf(full), boundClaim()) ?? '',
    /ReadWriteOnce, not ReadWriteMany\. Make the Registry again/,
  );
  const slow = { ...boundClaim(), spec: { ...boundClaim().spec, storageClassName: 'slow' } };
  const fast = registry({ spec: { storage: { filesystem: { size: '1Gi', storageClassName: 'fast' } } } });
  assert.match(claimMismatch(filesystemOf(fast), slow) ?? '', /storage class slow, not fast/);
});

test('the URL leaves out the port that the scheme implies', () => {
  const url = (spec: object) => registryUrl(registry({ spec }));
  assert.equal(url({}), 'https://reg.team.svc:5000');
  assert.equal(url({ service: { port: 443 } }), 'https://reg.team.svc');
  assert.equal(url({ service: { port: 443 }, tls: { mode: 'Disabled' } }), 'http://reg.team.svc:443');
  assert.equal(url({ hostname: 'registry.example.com:30500' }), 'https://registry.example.com:30500');
});
