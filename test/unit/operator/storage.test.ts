import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type Config } from '../../../src/contract/config/config.ts';
import { deployments, persistentVolumeClaims, secrets } from '../../../src/kube/resources.ts';
import { credentialsOf, credentialUses } from '../../../src/operator/credentials.ts';
import { configFile } from '../../../src/operator/desired-config.ts';
import { credentialsIn, CREDENTIALS_ANNOTATION } from '../../../src/operator/desired-credentials.ts';
import { desiredDeployment } from '../../../src/operator/desired-deployment.ts';
import { storageReach } from '../../../src/operator/storage-reach.ts';
import { boundClaim, passwordSecret, registry } from './resource-builders.ts';
import { KEY, registryHarness } from './registry-harness.ts';

const secret = { credentialsSecretRef: { name: 'cloud' } };

interface Case {
  readonly storage: object;
  readonly data: Readonly<Record<string, string>>;
  /** What the server makes of it all, as far as it is said here. */
  readonly decoded: object;
}

/** A password that YAML would read as something else, and quotes. */
const awkward = `yes: "no" #'`;

const KEY_FILE = {
  type: 'service_account',
  client_email: 'registry@example.iam.gserviceaccount.com',
  private_key: 'PEM',
  project_id: 'example',
};

const cases: Readonly<Record<string, Case>> = {
  s3: {
    storage: {
      s3: {
        bucket: 'images',
        region: 'eu-central-1',
        endpoint: 'https://minio.example.com:9000',
        forcePathStyle: false,
        rootDirectory: 'deep',
        encrypt: true,
        kmsKeyID: 'alias/images',
        storageClass: 'STANDARD_IA',
        ...secret,
      },
    },
    data: { accesskey: 'AKIA\n', secretkey: awkward },
    decoded: {
      s3: {
        bucket: 'images',
        region: 'eu-central-1',
        regionendpoint: 'https://minio.example.com:9000',
        forcepathstyle: false,
        rootdirectory: 'deep',
        encrypt: true,
        keyid: 'alias/images',
        storageclass: 'standard_ia',
        accesskey: 'AKIA',
        secretkey: awkward,
      },
    },
  },
  's3 with the keys of a bucket claim': {
    storage: { s3: { bucket: 'images', endpoint: 'rook-ceph.svc', ...secret } },
    data: { AWS_ACCESS_KEY_ID: '1e3', AWS_SECRET_ACCESS_KEY: '~' },
    decoded: { s3: { accesskey: '1e3', secretkey: '~' } },
  },
  'azure with a key': {
    storage: {
      azure: {
        accountName: 'images',
        container: 'registry',
        rootDirectory: 'deep',
        realm: 'core.chinacloudapi.cn',
        serviceURL: 'https://images.privatelink.example.com',
        ...secret,
      },
    },
    data: { accountkey: 'a2V5' },
    decoded: {
      azure: {
        accountname: 'images',
        container: 'registry',
        rootdirectory: 'deep',
        realm: 'core.chinacloudapi.cn',
        serviceurl: 'https://images.privatelink.example.com',
        accountkey: 'a2V5',
      },
    },
  },
  'azure with an application': {
    storage: {
      azure: { accountName: 'images', container: 'registry', clientID: 'c', tenantID: 't', ...secret },
    },
    data: { clientsecret: awkward },
    decoded: { azure: { credentials: { clientid: 'c', tenantid: 't', secret: awkward } } },
  },
  gcs: {
    storage: { gcs: { bucket: 'images', rootDirectory: 'deep', ...secret } },
    data: { 'key.json': JSON.stringify(KEY_FILE, undefined, 2) },
    decoded: {
      gcs: {
        bucket: 'images',
        rootdirectory: 'deep',
        credentials: { client_email: KEY_FILE.client_email, private_key: 'PEM' },
      },
    },
  },
  swift: {
    storage: {
      swift: {
        authURL: 'https://keystone.example.com:5000',
        authVersion: 3,
        container: 'images',
        prefix: 'deep',
        tenant: 'project',
        tenantDomain: 'projects',
        domain: 'users',
        region: 'north',
        endpointType: 'internal',
        ...secret,
      },
    },
    data: { username: 'demo:swift', password: awkward, secretkey: 'temp' },
    decoded: {
      swift: {
        authurl: 'https://keystone.example.com:5000',
        authversion: 3,
        container: 'images',
        prefix: 'deep',
        tenant: 'project',
        tenantdomain: 'projects',
        domain: 'users',
        region: 'north',
        endpointtype: 'internal',
        username: 'demo:swift',
        password: awkward,
        secretkey: 'temp',
      },
    },
  },
  oss: {
    storage: {
      oss: {
        bucket: 'images',
        region: 'oss-cn-hangzhou',
        endpoint: 'images.oss-accelerate.aliyuncs.com',
        internal: false,
        rootDirectory: 'deep',
        encrypt: true,
        ...secret,
      },
    },
    data: { accesskeyid: 'id', accesskeysecret: awkward },
    decoded: {
      oss: {
        bucket: 'images',
        region: 'oss-cn-hangzhou',
        endpoint: 'images.oss-accelerate.aliyuncs.com',
        rootdirectory: 'deep',
        encrypt: true,
        accesskeyid: 'id',
        accesskeysecret: awkward,
      },
    },
  },
};

for (const [name, { storage, data, decoded }] of Object.entries(cases)) {
  test(`what a Registry says of ${name} reaches the server, and no secret its configuration file`, () => {
    const subject = registry({ spec: { storage } });
    const [use, ...others] = credentialUses(subject);
    assert.ok(use !== undefined && others.length === 0);
    const found = credentialsOf(use, passwordSecret('cloud', data));
    assert.ok(found.problem === undefined);
    const file = configFile(subject);
    for (const value of Object.values(data)) assert.ok(!file.includes(value.trim()), value);
    const { config, errors, warnings } = parseConfig(file, found.variables);
    assert.deepEqual([...errors, ...warnings], []);
    const section: Config['storage'] | undefined = config?.storage;
    assert.partialDeepStrictEqual(section, decoded);
    assert.equal(config?.health.storagedriver.enabled, true);
  });
}

test('a bucket without a Secret leaves the credentials to the platform', () => {
  const subject = registry({ spec: { storage: { gcs: { bucket: 'images' } } } });
  assert.deepEqual(credentialUses(subject), []);
  assert.deepEqual(parseConfig(configFile(subject)).errors, []);
});

test('a Secret that lacks what is needed is named with what it needs, and never with what is in it', () => {
  const told = (storage: object, data: Readonly<Record<string, string>>, labels?: Record<string, string>) => {
    const [use] = credentialUses(registry({ spec: { storage } }));
    assert.ok(use);
    return credentialsOf(use, passwordSecret('cloud', data, labels)).problem;
  };
  const s3 = { s3: { bucket: 'images', region: 'x', ...secret } };
  assert.deepEqual(told(s3, { accesskey: 'AKIA', secretkey: '\n' }), {
    reason: 'KeyNotFound',
    message:
      'The Secret cloud, which spec.storage.s3.credentialsSecretRef names, needs the keys accesskey and secretkey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
  });
  assert.equal(
    told({ gcs: { bucket: 'images', ...secret } }, { 'key.json': 'not JSON' })?.reason,
    'KeyNotFound',
  );
  assert.equal(told(s3, { accesskey: 'a', secretkey: 'b' }, {})?.reason, 'NotPermitted');
});

test('how far storage reaches follows from its kind and from the modes of its claim', () => {
  const reach = (storage: object, modes?: readonly string[]) => {
    const claim = modes && { ...boundClaim(), spec: { ...boundClaim().spec, accessModes: [...modes] } };
    return storageReach(registry({ spec: { storage } }), claim);
  };
  const size = { size: '1Gi' };
  assert.equal(reach({ filesystem: size }), 'node');
  assert.equal(reach({ filesystem: { ...size, accessModes: ['ReadWriteMany'] } }), 'everywhere');
  assert.equal(reach({ filesystem: { ...size, accessModes: ['ReadWriteOncePod'] } }), 'pod');
  assert.equal(
    reach({ filesystem: { existingClaim: 'old' } }, ['ReadWriteOnce', 'ReadWriteMany']),
    'everywhere',
  );
  assert.equal(reach({ filesystem: { existingClaim: 'old' } }, ['ReadWriteOncePod']), 'pod');
  assert.equal(reach({ filesystem: { existingClaim: 'old' } }), 'node');
  assert.equal(reach({ gcs: { bucket: 'images' } }), 'everywhere');
  assert.equal(reach({ ephemeral: {} }), 'pod');
});

test('pods follow the storage: rolled and spread on what all nodes reach, one after the other elsewhere', () => {
  const pods = (storage: object) => {
    const subject = registry({ spec: { storage } });
    const { spec } = desiredDeployment(subject, { image: 'i', reach: storageReach(subject, undefined) });
    return { strategy: spec?.strategy?.type, pod: spec?.template.spec };
  };
  const bucket = pods({ gcs: { bucket: 'images' } });
  assert.equal(bucket.strategy, 'RollingUpdate');
  const apart = bucket.pod?.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
  assert.deepEqual(
    apart?.map(({ podAffinityTerm }) => podAffinityTerm.topologyKey),
    ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
  );
  assert.deepEqual(
    bucket.pod?.volumes?.map(({ name }) => name),
    ['config', 'tmp', 'tls'],
    'there is no volume for content',
  );
  const single = pods({ filesystem: { size: '1Gi' } });
  assert.equal(single.strategy, 'Recreate');
  assert.equal(single.pod?.affinity, undefined);
  const ephemeral = pods({ ephemeral: { sizeLimit: '5Gi' } });
  assert.equal(ephemeral.strategy, 'Recreate');
  assert.deepEqual(ephemeral.pod?.volumes?.[0], { name: 'data', emptyDir: { sizeLimit: '5Gi' } });
});

const onS3 = { storage: { s3: { bucket: 'images', region: 'eu-central-1', ...secret } } };
const cloud = (secretkey: string, labels?: Record<string, string>) =>
  passwordSecret('cloud', { accesskey: 'AKIA', secretkey }, labels);
const podOf = async (harness: ReturnType<typeof registryHarness>) =>
  (await harness.kube.find(deployments, KEY))?.spec?.template;

test('credentials come as variables from a Secret of the operator, and a change of them rolls the pods', async () => {
  const harness = registryHarness();
  harness.putSecret(cloud('one'));
  harness.apply(onS3);
  await harness.converge();
  const first = await podOf(harness);
  assert.deepEqual(first?.spec?.containers[0]?.env, [
    {
      name: 'REGISTRY_STORAGE_S3_ACCESSKEY',
      valueFrom: { secretKeyRef: { name: 'reg-credentials', key: 'REGISTRY_STORAGE_S3_ACCESSKEY' } },
    },
    {
      name: 'REGISTRY_STORAGE_S3_SECRETKEY',
      valueFrom: { secretKeyRef: { name: 'reg-credentials', key: 'REGISTRY_STORAGE_S3_SECRETKEY' } },
    },
  ]);
  assert.ok(!harness.children().includes('PersistentVolumeClaim reg'));

  harness.putSecret({ ...cloud('one'), metadata: { ...cloud('one').metadata, annotations: { a: 'b' } } });
  const writes = harness.kube.writes.length;
  await harness.converge();
  assert.equal(harness.kube.writes.length, writes, 'what is not in the credentials rolls nothing');

  harness.putSecret(cloud('two'));
  await harness.converge();
  const second = await podOf(harness);
  const revision = (template: Awaited<ReturnType<typeof podOf>>) =>
    template?.metadata?.annotations?.[CREDENTIALS_ANNOTATION] ?? '';
  assert.match(revision(first), /^[0-9a-f]{16}$/);
  assert.notEqual(revision(second), revision(first));

  harness.apply({ storage: { s3: { bucket: 'images', region: 'eu-central-1' } } });
  await harness.converge();
  assert.equal((await podOf(harness))?.spec?.containers[0]?.env, undefined);
  assert.equal(await harness.kube.find(secrets, { ...KEY, name: 'reg-credentials' }), undefined);
});

test('what somebody adds to the credentials reaches no pod and rolls none', async () => {
  const harness = registryHarness();
  harness.putSecret(cloud('one'));
  harness.apply(onS3);
  await harness.converge();
  const before = await podOf(harness);
  const key = { ...KEY, name: 'reg-credentials' };
  harness.kube.put(secrets, { metadata: key, data: { NODE_OPTIONS: 'LS1pbXBvcnQ9L3g=' } }, 'somebody');
  await harness.converge();
  assert.deepEqual(await podOf(harness), before);
  assert.deepEqual(credentialsIn(await harness.kube.find(secrets, key))?.names, [
    'REGISTRY_STORAGE_S3_ACCESSKEY',
    'REGISTRY_STORAGE_S3_SECRETKEY',
  ]);
});

test('a process that dies at any write rolls the pods for new credentials once', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; ; nth++) {
      const harness = registryHarness();
      harness.putSecret(cloud('one'));
      harness.apply(onS3);
      await harness.converge();
      harness.putSecret(cloud('two'));
      const died = await harness.convergeThroughCrash(nth, when);
      assert.ok(
        harness.kube.writes.filter((write) => write === 'apply Deployment team/reg').length <= (died ? 3 : 2),
      );
      const kept = await harness.kube.find(secrets, { ...KEY, name: 'reg-credentials' });
      assert.equal(
        (await podOf(harness))?.metadata?.annotations?.[CREDENTIALS_ANNOTATION],
        kept?.metadata.annotations?.[CREDENTIALS_ANNOTATION],
      );
      if (!died) break;
    }
  }
});

test('a Secret without the label is not used, and what runs goes on', async () => {
  const harness = registryHarness();
  harness.apply(onS3);
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'SecretNotFound');
  harness.putSecret(cloud('one', {}));
  await harness.converge();
  const { reason, message } = await harness.condition('Ready');
  assert.equal(reason, 'NotPermitted');
  assert.match(message, /kubectl label secret cloud stevedore\.dev\/use=credentials/);
  assert.equal(await podOf(harness), undefined);
  assert.equal(await harness.kube.find(secrets, { ...KEY, name: 'reg-credentials' }), undefined);
});

test('whether a bucket answers is what the servers say', async () => {
  const harness = registryHarness();
  harness.putSecret(cloud('one'));
  harness.apply(onS3);
  await harness.converge();
  assert.equal((await harness.condition('StorageReady')).reason, 'StatusUnknown');
  await harness.start();
  const says = async (storage: { problem?: string } | undefined) => {
    harness.setServer({
      version: '1',
      configHash: '',
      readOnly: { active: false },
      openUploads: 0,
      ...(storage !== undefined && { storage }),
    });
    await harness.converge();
    const { status, reason, message } = await harness.condition('StorageReady');
    return `${status} ${reason}: ${message}`;
  };
  assert.match(await says({}), /^True Reachable/);
  assert.match(await says({ problem: 'AccessDenied' }), /^False StorageFailing: .*AccessDenied/);
  assert.match(await says(undefined), /^Unknown StorageUnchecked/);
});

test('several replicas on an existing claim of one node are refused with the reason', async () => {
  const harness = registryHarness();
  harness.apply({ storage: { filesystem: { existingClaim: 'reg' } }, replicas: 2 });
  await harness.start();
  harness.kube.put(persistentVolumeClaims, {
    metadata: { ...KEY, labels: { 'stevedore.dev/use': 'credentials' } },
  });
  await harness.converge();
  const { reason, message } = await harness.condition('Ready');
  assert.equal(reason, 'ReplicasNotSupportedByStorage');
  assert.match(message, /claim reg can be mounted on one node at a time\. Write replicas 1/);
});
