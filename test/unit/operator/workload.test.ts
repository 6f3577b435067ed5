import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deployments, podDisruptionBudgets, serviceAccounts } from '../../../src/kube/resources.ts';
import { desiredCollectionJob } from '../../../src/operator/desired-collection-job.ts';
import { desiredDeployment } from '../../../src/operator/desired-deployment.ts';
import { parseConfig } from '../../../src/contract/config/config.ts';
import { childLabels } from '../../../src/operator/child-names.ts';
import { configFlaw } from '../../../src/operator/config-overrides.ts';
import { configFile } from '../../../src/operator/desired-config.ts';
import { credentialsOf, credentialUses } from '../../../src/operator/credentials.ts';
import {
  REVISION_ANNOTATION,
  UPGRADED_ANNOTATION,
  UpgradeQueue,
  upgradeMark,
} from '../../../src/operator/upgrade-queue.ts';
import { collection, deployment, passwordSecret, registry } from './resource-builders.ts';
import { KEY, registryHarness } from './registry-harness.ts';

const podTemplate = {
  labels: { team: 'images', 'app.kubernetes.io/component': 'mine' },
  annotations: { 'example.com/scrape': 'no' },
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'images', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { nodeAffinity: {} },
  topologySpreadConstraints: [{ topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }],
  priorityClassName: 'high',
  serviceAccountName: 'images',
  imagePullSecrets: [{ name: 'pull' }],
  env: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
  trustedCAs: { name: 'cas' },
};
const templated = registry({ spec: { storage: { gcs: { bucket: 'images' } }, replicas: 2, podTemplate } });
const inputs = { image: 'i', reach: 'everywhere', credentials: { names: ['A'], revision: 'r' } } as const;

/** What both kinds of pods have of the template. */
const common = {
  nodeSelector: podTemplate.nodeSelector,
  tolerations: podTemplate.tolerations,
  affinity: podTemplate.affinity,
  priorityClassName: 'high',
  serviceAccountName: 'images',
  imagePullSecrets: [{ name: 'pull' }],
  automountServiceAccountToken: false,
  enableServiceLinks: false,
};

test('the pods are as podTemplate says, and restricted whatever it says', () => {
  const { spec } = desiredDeployment(templated, inputs);
  assert.equal(spec?.replicas, 2);
  const { metadata, spec: pod } = spec.template;
  assert.partialDeepStrictEqual(pod, common);
  assert.equal(metadata?.labels?.['team'], 'images');
  assert.equal(metadata.labels['app.kubernetes.io/component'], 'registry', 'labels of the operator stay');
  assert.equal(metadata.annotations?.['example.com/scrape'], 'no');
  assert.equal(pod?.securityContext?.runAsNonRoot, true);
  assert.partialDeepStrictEqual(pod.topologySpreadConstraints, [
    { topologyKey: 'rack', maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' },
  ]);
  const [container] = pod.containers;
  assert.deepEqual(
    container?.env?.map(({ name }) => name),
    ['A', 'HTTPS_PROXY', 'SSL_CERT_DIR'],
  );
  const folder = container.env.find(({ name }) => name === 'SSL_CERT_DIR')?.value;
  const mount = container.volumeMounts?.find(({ mountPath }) => mountPath === folder);
  assert.deepEqual(pod.volumes?.find(({ name }) => name === mount?.name)?.configMap, { name: 'cas' });
});

test('the collector has the same credentials, proxies, identity and place as the server, and no volume on a bucket', () => {
  const job = desiredCollectionJob(
    collection(),
    templated,
    { name: 'run' },
    { ...inputs, besideServer: false },
  );
  const pod = job.spec?.template;
  assert.partialDeepStrictEqual(pod?.spec, common);
  assert.equal(pod?.metadata?.labels?.['team'], 'images');
  const [container] = pod.spec?.containers ?? [];
  assert.deepEqual(
    container?.env?.map(({ name }) => name),
    ['NODE_OPTIONS', 'A', 'HTTPS_PROXY', 'SSL_CERT_DIR'],
  );
  assert.ok(!container.volumeMounts?.some(({ name }) => name === 'data'));
});

test('an image of its own needs the leave of who installed the operator', async () => {
  const spec = { podTemplate: { image: 'example.test/fork:1' } };
  const refusing = registryHarness();
  refusing.apply(spec);
  await refusing.converge();
  const { reason, message } = await refusing.condition('Ready');
  assert.equal(reason, 'NotPermitted');
  assert.match(message, /allowImageOverride/);
  assert.equal(await refusing.kube.find(deployments, KEY), undefined);

  const allowing = registryHarness({ allowImageOverride: true });
  allowing.apply(spec);
  await allowing.converge();
  const made = await allowing.kube.find(deployments, KEY);
  assert.equal(made?.spec?.template.spec?.containers[0]?.image, 'example.test/fork:1');
});

test('a ServiceAccount is used where its owner allows it', async () => {
  const harness = registryHarness();
  harness.apply({ podTemplate: { serviceAccountName: 'images' } });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'ServiceAccountNotFound');
  const metadata = { ...KEY, name: 'images' };
  harness.kube.put(serviceAccounts, { metadata });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'NotPermitted');
  assert.equal(await harness.kube.find(deployments, KEY), undefined);
  harness.kube.put(serviceAccounts, {
    metadata: { ...metadata, labels: { 'stevedore.dev/use': 'credentials' } },
  });
  await harness.converge();
  assert.ok(await harness.kube.find(deployments, KEY));
});

test('a budget protects several replicas, and goes with them', async () => {
  const harness = registryHarness();
  const storage = { gcs: { bucket: 'images' } };
  const budget = () => harness.kube.find(podDisruptionBudgets, KEY);
  harness.apply({ storage, replicas: 2 });
  await harness.converge();
  assert.deepEqual((await budget())?.spec?.maxUnavailable, 1);
  harness.apply({ storage, replicas: 1 });
  await harness.converge();
  assert.equal(await budget(), undefined);
});

test('a registry of no replicas is stopped and says so', async () => {
  const harness = registryHarness();
  harness.apply({ replicas: 0 });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'ScaledToZero');
  const { status } = await harness.registry();
  assert.equal(
    status?.selector,
    'app.kubernetes.io/name=stevedore,app.kubernetes.io/instance=reg,app.kubernetes.io/component=registry',
  );
});

const serving = {
  observedGeneration: 1,
  replicas: 1,
  updatedReplicas: 1,
  readyReplicas: 1,
  availableReplicas: 1,
};

function running(name: string, image: string, options: { upgraded?: boolean; status?: object } = {}) {
  const base = deployment({ ...serving, ...options.status });
  const annotations: Readonly<Record<string, string>> =
    options.upgraded === true ? { [UPGRADED_ANNOTATION]: image } : {};
  return {
    ...base,
    metadata: { ...base.metadata, name, annotations, labels: childLabels(registry({ name })) },
    spec: {
      replicas: 1,
      selector: {},
      template: { spec: { containers: [{ name: 'registry', image }] } },
    },
  };
}

function among(...all: readonly ReturnType<typeof running>[]) {
  return {
    list: () => all,
    get: ({ name }: { readonly name: string }) => all.find(({ metadata }) => metadata.name === name),
  };
}

const of = (name: string) => ({ namespace: 'team', name });
const away = { availableReplicas: 0 };
const to = (image: string, pods = 'some', generation = 1) => ({ image, pods, generation });

test('registries get a new image one after the other', () => {
  const queue = new UpgradeQueue(1);
  const before = among(running('a', '1'), running('b', '1'));
  assert.equal(queue.admits(of('a'), to('2'), before), true);
  assert.equal(queue.admits(of('a'), to('2'), before), true, 'a place is kept');
  assert.equal(queue.admits(of('b'), to('2'), before), false, 'though the change is not seen yet');
  const during = among(running('a', '2', { upgraded: true, status: away }), running('b', '1'));
  assert.equal(queue.admits(of('b'), to('2'), during), false);
  const after = among(running('a', '2', { upgraded: true }), running('b', '1'));
  assert.equal(queue.admits(of('b'), to('2'), after), true);
});

test('another operator goes on with the queue as it finds it', () => {
  const during = among(running('a', '2', { upgraded: true, status: away }), running('b', '1'));
  assert.equal(new UpgradeQueue(1).admits(of('b'), to('2'), during), false);
  assert.equal(new UpgradeQueue(2).admits(of('b'), to('2'), during), true);
});

test('a registry that did not serve before waits for nobody, and nobody for it', () => {
  const broken = running('a', '1', { status: away });
  assert.equal(upgradeMark(broken, to('2')), undefined);
  const all = among(
    running('a', '2', { status: away }),
    running('b', '1'),
    running('c', '1', { status: away }),
  );
  const queue = new UpgradeQueue(1);
  assert.equal(queue.admits(of('b'), to('2'), all), true);
  assert.equal(queue.admits(of('c'), to('2'), all), true);
  assert.equal(queue.admits(of('new'), to('2'), all), true);
});

test('the mark of an upgrade stays until the registry serves again', () => {
  assert.equal(upgradeMark(undefined, to('2')), undefined);
  assert.equal(upgradeMark(running('a', '1'), to('2')), '2');
  assert.equal(upgradeMark(running('a', '2', { upgraded: true, status: away }), to('2')), '2');
  assert.equal(upgradeMark(running('a', '2', { upgraded: true }), to('2')), undefined);
  assert.equal(upgradeMark(running('a', '2', { upgraded: true }), to('3')), '3');
});

test('other pods of the same image are an upgrade, unless somebody changed the registry', () => {
  const made = (name: string, revision: string) => {
    const base = running(name, '1');
    const annotations = { [REVISION_ANNOTATION]: revision };
    return { ...base, metadata: { ...base.metadata, annotations } };
  };
  const queue = new UpgradeQueue(1);
  const all = among(made('a', '1-old'), made('b', '1-old'), made('c', '1-old'));
  assert.equal(queue.admits(of('a'), to('1', 'new'), all), true);
  assert.equal(queue.admits(of('b'), to('1', 'new'), all), false);
  assert.equal(queue.admits(of('c'), to('1', 'old'), all), true, 'nothing changes');
  assert.equal(queue.admits(of('b'), to('1', 'other', 2), all), true, 'somebody changed it');
  assert.equal(upgradeMark(made('a', '1-old'), to('1', 'new')), '1');
  assert.equal(upgradeMark(made('a', '1-old'), to('1', 'new', 2)), undefined);
  const after = among(made('a', '1-new'), made('b', '1-old'));
  assert.equal(queue.admits(of('b'), to('1', 'new'), after), true);
});

test('what an operator makes anew of the same image waits for its turn', async () => {
  const harness = registryHarness();
  harness.apply();
  await harness.converge();
  await harness.start();
  await harness.converge();
  const deployed = await harness.kube.find(deployments, KEY);
  const revision = deployed?.metadata.annotations?.[REVISION_ANNOTATION];
  assert.match(revision ?? '', /^1-[0-9a-f]{16}$/);
  // As an earlier operator made it.
  const annotations = { [REVISION_ANNOTATION]: '1-0000000000000000' };
  harness.kube.put(deployments, { metadata: { ...KEY, annotations } }, 'earlier');
  harness.kube.put(
    deployments,
    running('other', 'example.test/stevedore:1', { upgraded: true, status: away }),
    'other-operator',
  );
  const outcome = await harness.converge();
  assert.equal(outcome.kind === 'waiting' && outcome.reason, 'UpgradeQueued');
});

test('a registry that is deleted in its turn gives the place up', () => {
  const queue = new UpgradeQueue(1);
  assert.equal(queue.admits(of('a'), to('2'), among(running('a', '1'), running('b', '1'))), true);
  assert.equal(queue.admits(of('b'), to('2'), among(running('b', '1'))), true);
});

test('a registry whose turn comes to nothing gives the place up', async () => {
  const harness = registryHarness();
  harness.apply();
  await harness.converge();
  await harness.start();
  await harness.converge();
  harness.apply({ config: { log: { fromatter: 'text' } } });
  await harness.converge();
  harness.kube.put(deployments, running('other', 'example.test/stevedore:1'), 'other-operator');
  const queue = new UpgradeQueue(1);
  harness.upgradeTo('example.test/stevedore:2', queue);
  await harness.converge();
  assert.equal((await harness.condition('Stalled')).reason, 'InvalidConfig');
  const all = harness.world.deployments;
  assert.equal(queue.admits(of('other'), to('example.test/stevedore:2'), all), true);
});

test('while it is not its turn a registry goes on as it is, and is ready', async () => {
  const harness = registryHarness();
  harness.apply();
  await harness.converge();
  await harness.start();
  await harness.converge();
  const image = async () =>
    (await harness.kube.find(deployments, KEY))?.spec?.template.spec?.containers[0]?.image;
  harness.kube.put(
    deployments,
    running('other', 'example.test/stevedore:2', { upgraded: true, status: away }),
    'other-operator',
  );
  // Another Registry's Deployment is in the way of nothing that this one is asked to be.
  harness.apply({ delete: false });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).status, 'True');

  harness.upgradeTo('example.test/stevedore:2');
  const outcome = await harness.converge();
  assert.equal(outcome.kind === 'waiting' && outcome.reason, 'UpgradeQueued');
  assert.equal((await harness.condition('Ready')).status, 'True');
  assert.equal((await harness.condition('Reconciling')).reason, 'UpgradeQueued');
  assert.equal(await image(), 'example.test/stevedore:1');

  harness.apply({ delete: true });
  await harness.converge();
  assert.equal(await image(), 'example.test/stevedore:2', 'who changes a Registry does not wait');
});

const server = {
  cache: {
    blobDescriptor: 'Redis',
    redis: {
      addresses: ['redis:6379'],
      masterName: 'set',
      database: 3,
      tls: true,
      credentialsSecretRef: { name: 'redis' },
    },
  },
  health: { enabled: true, interval: '7s', threshold: 2 },
  maintenance: { uploadPurging: { enabled: true, age: '48h', interval: '6h', dryRun: true } },
  log: { level: 'warn', accessLog: false, fields: { cluster: 'a' } },
  notifications: [
    {
      name: 'my-hook.1',
      url: 'https://hooks.example.com/events?from=registry',
      timeout: '3s',
      threshold: 4,
      backoff: '5s',
      ignoredMediaTypes: ['application/octet-stream'],
      ignoredActions: ['pull'],
      secretRef: { name: 'hook' },
    },
    { name: 'plain', url: 'http://hooks/' },
  ],
  config: { log: { level: 'debug' }, tags: { maxtags: 50 }, http: { headers: { 'X-Team': ['images'] } } },
};

test('what a Registry says of its server is what the server reads', () => {
  const subject = registry({ spec: server });
  const data: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    redis: { username: 'me', password: 'p: w' },
    hook: { authorization: 'Bearer "x"', secret: 'c2lnbg==' },
  };
  const variables = credentialUses(subject).map((use) => {
    const found = credentialsOf(use, passwordSecret(use.secretName, data[use.secretName] ?? {}));
    assert.ok(found.problem === undefined);
    return found.variables;
  });
  const environment = Object.assign({}, ...variables) as Record<string, string>;
  const file = configFile(subject);
  assert.equal(configFlaw(server.config, file, environment), undefined);
  const { config } = parseConfig(file, environment);
  assert.partialDeepStrictEqual(config, {
    log: { level: 'debug', formatter: 'json', fields: { cluster: 'a' }, accesslog: { disabled: true } },
    storage: {
      cache: { blobdescriptor: 'redis' },
      maintenance: {
        uploadpurging: { enabled: true, age: 48 * 3_600_000, interval: 6 * 3_600_000, dryrun: true },
      },
    },
    redis: { addrs: ['redis:6379'], mastername: 'set', db: 3, username: 'me', password: 'p: w', tls: {} },
    health: { storagedriver: { enabled: true, interval: 7000, threshold: 2 } },
    http: { headers: { 'X-Content-Type-Options': ['nosniff'], 'X-Team': ['images'] } },
    tags: { maxtags: 50 },
    notifications: {
      endpoints: [
        {
          name: 'my-hook.1',
          url: 'https://hooks.example.com/events?from=registry',
          headers: { Authorization: ['Bearer "x"'] },
          timeout: 3000,
          threshold: 4,
          backoff: 5000,
          ignore: { mediatypes: ['application/octet-stream'], actions: ['pull'] },
        },
        { name: 'plain', url: 'http://hooks/', headers: {} },
      ],
    },
    stevedore: { notifications: { secrets: { 'my-hook.1': 'c2lnbg==' } } },
  });
});

const REFUSED: readonly (readonly [title: string, config: Record<string, unknown>, told: RegExp])[] = [
  ['a listener', { http: { addr: ':80' } }, /may not set http\.addr/],
  ['a debug listener', { http: { debug: { addr: ':80' } } }, /may not set http\.debug\.addr/],
  [
    'another place',
    { storage: { filesystem: { rootdirectory: '/etc' } } },
    /storage\.filesystem\.rootdirectory/,
  ],
  ['another bucket', { storage: { s3: { bucket: 'others' } } }, /storage\.s3\.bucket/],
  ['another endpoint', { storage: { s3: { regionendpoint: 'evil.example.com' } } }, /s3\.regionendpoint/],
  ['a key file', { middleware: { storage: [{ name: 'cloudfront' }] } }, /may not set middleware\.storage/],
  ['who may use it', { auth: { none: {} } }, /may not set auth\.none/],
  [
    'an outbox on the disk',
    { stevedore: { notifications: { outbox: '/x' } } },
    /stevedore\.notifications\.outbox/,
  ],
  ['an address to ask', { health: { http: [{ uri: 'http://10.0.0.1/' }] } }, /may not set health\.http/],
  [
    'a name of every object',
    JSON.parse('{"__proto__": {"log": 1}}') as Record<string, unknown>,
    /may not set __proto__\.log/,
  ],
  [
    'a misspelt option',
    { log: { fromatter: 'text' } },
    /log\.fromatter is not an option, did you mean formatter\?/,
  ],
  ['a wrong value', { tags: { maxtags: 'many' } }, /tags\.maxtags must be a whole number/],
];

for (const [title, config, told] of REFUSED) {
  test(`spec.config may not have ${title}`, () => {
    const subject = registry({ spec: { config } });
    assert.match(configFlaw(config, configFile(subject), {}) ?? '', told);
  });
}

test('a configuration that would not start leaves the pods as they are', async () => {
  const harness = registryHarness();
  harness.apply();
  await harness.converge();
  const before = await harness.kube.find(deployments, KEY);
  harness.apply({ config: { log: { fromatter: 'text' } } });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'InvalidConfig');
  assert.ok((await harness.conditions()).includes('Stalled=True InvalidConfig'));
  assert.deepEqual(await harness.kube.find(deployments, KEY), before);
});
