import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadKubeConfig } from '../../src/kube/credentials.ts';
import { operatorRules } from '../../src/operator/rbac.ts';
import { SYSTEM_NAMESPACE, clusterOfThisMachine, type Cluster } from './cluster.ts';
import { startWriteCountingProxy, type WriteCountingProxy } from './support/write-counting-proxy.ts';
import { waitFor } from './wait.ts';

/**
 * The operator as a process of its own, with the rights of the chart and no more, on a real API server. No pod runs
 * here (a quota forbids it), so that only the operator and Kubernetes' own controllers change anything; what needs
 * pods is in main-job.test.ts.
 */
const root = join(import.meta.dirname, '../..');
const ACCOUNT = 'operator-test';
let cluster: Cluster;
let proxy: WriteCountingProxy;
let folder: string;
let replicas: string | undefined;
let namespaces = 0;
const started: ChildProcess[] = [];

before(async () => {
  cluster = await clusterOfThisMachine();
  folder = await mkdtemp(join(tmpdir(), 'stevedore-operator-'));
  // The operator of the cluster, where one is installed, would do the work in our place.
  replicas = await cluster.field('deployment/stevedore', '.spec.replicas', SYSTEM_NAMESPACE);
  if (replicas !== undefined) await scale('0');
  await cluster.kubectl(['apply', '--server-side', '--filename', join(root, 'crds')]);
  await cluster.kubectl([
    'wait',
    '--for=condition=Established',
    'crd/registries.stevedore.dev',
    'crd/registrymirrors.stevedore.dev',
    'crd/registrygcs.stevedore.dev',
  ]);
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: ACCOUNT } });
  await cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: ACCOUNT } }, ACCOUNT);
  const leases = {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'patch'],
  };
  for (const [kind, rules] of [
    ['ClusterRole', operatorRules],
    ['Role', [leases]],
  ] as const) {
    const metadata = { name: ACCOUNT };
    await cluster.apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind, metadata, rules }, ACCOUNT);
    await cluster.apply(
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: `${kind}Binding`,
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: ACCOUNT },
        subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: ACCOUNT }],
      },
      ACCOUNT,
    );
  }
  proxy = await startWriteCountingProxy({
    upstream: await kubeconfigOfAccount(),
    kubeconfig: join(folder, 'through-proxy'),
  });
});

afterEach(() => {
  // Of a test that failed: it would hold the lease.
  for (const operator of started.splice(0)) operator.kill('SIGKILL');
});

after(async () => {
  await proxy?.close();
  await cluster.tryKubectl(['delete', `clusterrole/${ACCOUNT}`, `clusterrolebinding/${ACCOUNT}`]);
  await cluster.tryKubectl(['delete', 'namespace', '--selector=stevedore.test/operator', '--wait=false']);
  await cluster.tryKubectl(['delete', 'namespace', ACCOUNT, '--wait=false']);
  if (replicas !== undefined) await scale(replicas);
  await rm(folder, { recursive: true });
});

function scale(replicas: string): Promise<string> {
  return cluster.kubectl([
    'scale',
    'deployment/stevedore',
    `--replicas=${replicas}`,
    `--namespace=${SYSTEM_NAMESPACE}`,
  ]);
}

/** How to reach the API server as the operator's account, which has nothing but the operator's own list of rights. */
async function kubeconfigOfAccount(): Promise<string> {
  const token = await cluster.kubectl(['create', 'token', ACCOUNT, `--namespace=${ACCOUNT}`]);
  const config = loadKubeConfig(cluster.kubeconfig);
  config.users = [{ name: ACCOUNT, token: token.trim() }];
  config.contexts = config.contexts.map((context) => ({ ...context, user: ACCOUNT }));
  const file = join(folder, 'account');
  await writeFile(file, config.exportConfig(), { mode: 0o600 });
  return file;
}

/** A namespace of its own, with alice's password and without pods. */
async function newNamespace(): Promise<string> {
  const name = `operator-test-${process.pid}-${++namespaces}`;
  const labels = { 'stevedore.test/operator': '' };
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await cluster.apply(
    {
      apiVersion: 'v1',
      kind: 'List',
      items: [
        {
          apiVersion: 'v1',
          kind: 'ResourceQuota',
          metadata: { name: 'no-pods' },
          spec: { hard: { pods: '0' } },
        },
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'alice', labels: { 'stevedore.dev/use': 'credentials' } },
          stringData: { password: 'correct horse' },
        },
      ],
    },
    name,
  );
  return name;
}

interface Running {
  readonly process: ChildProcess;
  readonly log: () => string;
}

/** The operator for one namespace, through the proxy; returns when it works. */
async function startOperator(namespace: string): Promise<Running> {
  // One that was killed holds the lease for 15 s more.
  await cluster.tryKubectl(['delete', 'lease/operator.stevedore.dev', `--namespace=${ACCOUNT}`]);
  const child = spawn(
    process.execPath,
    [
      join(root, 'src/main.ts'),
      'operator',
      '--image=example.test/stevedore:1',
      `--namespace=${namespace}`,
      `--leader-election-namespace=${ACCOUNT}`,
      `--kubeconfig=${join(folder, 'through-proxy')}`,
      '--health-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  started.push(child);
  const lines: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => lines.push(chunk));
  const log = (): string => Buffer.concat(lines).toString();
  await waitFor('the operator to lead', async () => {
    assert.equal(child.exitCode, null, log());
    return log().includes('elected as leader');
  });
  return { process: child, log };
}

async function stopOperator({ process: child, log }: Running): Promise<void> {
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, log());
}

const registry = (spec: object = {}) => ({
  apiVersion: 'stevedore.dev/v1alpha1',
  kind: 'Registry',
  metadata: { name: 'reg' },
  spec: {
    storage: { filesystem: { size: '1Gi' } },
    auth: { htpasswd: { users: [{ name: 'alice', passwordSecretRef: { name: 'alice' } }] } },
    ...spec,
  },
});

const CHILD_KINDS = 'services,configmaps,secrets,persistentvolumeclaims,deployments,jobs';

interface Thing {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly ownerReferences?: readonly { readonly uid: string }[];
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
}

async function list(kinds: string, namespace: string, selector = ''): Promise<readonly Thing[]> {
  const text = await cluster.kubectl([
    'get',
    kinds,
    `--namespace=${namespace}`,
    `--selector=${selector}`,
    '--output=json',
  ]);
  // As the API server prints it.
  return (JSON.parse(text) as { readonly items: readonly Thing[] }).items;
}

const children = (namespace: string) =>
  list(CHILD_KINDS, namespace, 'app.kubernetes.io/managed-by=stevedore');

const names = (things: readonly Thing[]) =>
  things.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted();

const ALL_CHILDREN = [
  'ConfigMap reg-access',
  'ConfigMap reg-ca',
  'ConfigMap reg-config',
  'Deployment reg',
  'PersistentVolumeClaim reg',
  'Secret reg-ca',
  'Secret reg-htpasswd',
  'Secret reg-tls',
  'Service reg',
];

/** Until the operator has come as far as it can without pods: the quota's refusal is in the condition. */
async function converged(namespace: string): Promise<void> {
  await waitFor(`the Registry of ${namespace} to say that no pod can be made`, async () => {
    const message = await cluster.field(
      'registry/reg',
      '.status.conditions[?(@.type=="Ready")].message',
      namespace,
    );
    const users = await cluster.field(
      'registry/reg',
      '.status.conditions[?(@.type=="UsersReady")].reason',
      namespace,
    );
    return message?.includes('exceeded quota') === true && users === 'StatusUnknown';
  });
}

/** No write for long enough that whatever was under way has ended; returns how many there had been. */
async function quiet(): Promise<number> {
  let count = -1;
  while (count !== proxy.writes.length) {
    count = proxy.writes.length;
    await delay(500);
  }
  return count;
}

/** What must be the same whenever and however often the operator was started: all but what is random or the server's. */
function essence(things: readonly Thing[], registryUid: string) {
  return things
    .map(({ kind, metadata, type, data }) => ({
      object: `${kind} ${metadata.name}`,
      type,
      owned: metadata.ownerReferences?.map(({ uid }) => uid === registryUid),
      data: kind === 'ConfigMap' && metadata.name === 'reg-config' ? data : Object.keys(data ?? {}),
      // Random content makes another fingerprint.
      fingerprint: /-(ca|tls|htpasswd)$/.test(metadata.name)
        ? undefined
        : metadata.annotations?.['stevedore.dev/applied'] !== undefined,
    }))
    .toSorted((a, b) => a.object.localeCompare(b.object));
}

const uidOf = async (namespace: string): Promise<string> =>
  (await cluster.field('registry/reg', '.metadata.uid', namespace)) ?? '';

test('a Registry gets its children with the rights of the chart, and an idle operator writes nothing', async () => {
  const namespace = await newNamespace();
  const operator = await startOperator(namespace);
  await cluster.apply(registry(), namespace);
  await converged(namespace);
  assert.deepEqual(names(await children(namespace)), ALL_CHILDREN);

  const writes = await quiet();
  const versions = async () =>
    [...(await children(namespace)), ...(await list('registries', namespace))].map(
      ({ metadata }) => metadata.resourceVersion,
    );
  const before = await versions();
  // A touch makes it look again.
  await cluster.kubectl(['annotate', 'registry/reg', 'touched=yes', `--namespace=${namespace}`]);
  await quiet();
  await cluster.kubectl(['annotate', 'registry/reg', 'touched-', `--namespace=${namespace}`]);
  assert.equal(await quiet(), writes, proxy.writes.slice(writes).join('\n'));
  assert.deepEqual((await versions()).slice(0, -1), before.slice(0, -1));
  await stopOperator(operator);
  const log = operator.log();
  assert.ok(!/"level":"(error|warn)"/.test(log), log);
});

test('an operator that starts finds nothing to write', async () => {
  const namespace = await newNamespace();
  const first = await startOperator(namespace);
  await cluster.apply(registry(), namespace);
  await converged(namespace);
  const writes = await quiet();
  await stopOperator(first);
  const second = await startOperator(namespace);
  assert.equal(await quiet(), writes, proxy.writes.slice(writes).join('\n'));
  await stopOperator(second);
});

test('a Registry made anew finds its authority and its claim', async () => {
  const namespace = await newNamespace();
  const operator = await startOperator(namespace);
  await cluster.apply(registry(), namespace);
  await converged(namespace);
  const before = await children(namespace);
  await cluster.kubectl(['delete', 'registry/reg', `--namespace=${namespace}`]);
  // At once, while Kubernetes still deletes the children of the old one.
  await cluster.apply(registry(), namespace);
  await converged(namespace);
  await waitFor('all children of the new Registry', async () => {
    const uid = await uidOf(namespace);
    const owners = (await children(namespace)).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
    return owners.length === ALL_CHILDREN.length - 2 && owners.every((owner) => owner.uid === uid);
  });
  const after = await children(namespace);
  for (const kept of ['Secret reg-ca', 'PersistentVolumeClaim reg']) {
    const find = (things: readonly Thing[]) =>
      things.find(({ kind, metadata }) => `${kind} ${metadata.name}` === kept);
    assert.equal(find(after)?.metadata.uid, find(before)?.metadata.uid, kept);
    assert.deepEqual(find(after)?.data, find(before)?.data, kept);
  }
  await stopOperator(operator);
});

test('with deletionPolicy Delete nothing stays', async () => {
  const namespace = await newNamespace();
  const operator = await startOperator(namespace);
  await cluster.apply(registry(), namespace);
  await converged(namespace);
  await cluster.apply(
    registry({ storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } } }),
    namespace,
  );
  await waitFor('the claim and the authority to have an owner', async () =>
    (await children(namespace)).every(({ metadata }) => metadata.ownerReferences?.length === 1),
  );
  await cluster.kubectl(['delete', 'registry/reg', `--namespace=${namespace}`]);
  await waitFor('everything to be gone', async () => (await children(namespace)).length === 0);
  await stopOperator(operator);
});

test('what somebody changes in a child is put back', async () => {
  const namespace = await newNamespace();
  const operator = await startOperator(namespace);
  await cluster.apply(registry({ service: { annotations: { 'example.com/pool': 'inner' } } }), namespace);
  await converged(namespace);
  const patch = { spec: { type: 'ClusterIP', selector: { 'app.kubernetes.io/instance': 'another' } } };
  await cluster.kubectl([
    'patch',
    'service/reg',
    `--namespace=${namespace}`,
    '--type=merge',
    `--patch=${JSON.stringify(patch)}`,
  ]);
  await waitFor(
    'the selector to be back',
    async () =>
      (await cluster.field('service/reg', '.spec.selector', namespace))?.includes('another') === false,
  );
  await cluster.kubectl(['delete', 'configmap/reg-config', `--namespace=${namespace}`]);
  await waitFor('the configuration to be back', () =>
    cluster.field('configmap/reg-config', '.data', namespace),
  );
  // A field that the spec no longer has is taken back, too.
  await cluster.apply(registry(), namespace);
  await waitFor(
    'the annotation to be gone',
    async () =>
      (await cluster.field('service/reg', '.metadata.annotations', namespace))?.includes('pool') === false,
  );
  await stopOperator(operator);
});

test('a Registry comes to the same end wherever the operator is killed', async () => {
  const undisturbed = await newNamespace();
  const operator = await startOperator(undisturbed);
  const begun = proxy.writes.length;
  await cluster.apply(registry(), undisturbed);
  await converged(undisturbed);
  const total = (await quiet()) - begun;
  const expected = essence(await children(undisturbed), await uidOf(undisturbed));
  await stopOperator(operator);
  assert.ok(total >= 9, `only ${total} writes`);

  // After the n-th is before the next: what the API server has is the same.
  for (let nth = 1; nth <= total; nth++) {
    const namespace = await newNamespace();
    const { process: child } = await startOperator(namespace);
    const death = proxy.trap({ nth, when: 'after', process: child });
    await cluster.apply(registry(), namespace);
    // Writes of the status may be fewer than the last time; then it dies at rest.
    const write = await Promise.race([
      death,
      converged(namespace)
        .then(quiet)
        .then(() => 'the last write'),
    ]);
    child.kill('SIGKILL');
    // Replaces a trap that nothing sprang, so that it does not wait for the next operator.
    void proxy.trap({ nth: Infinity, when: 'after', process: child });
    const authority = await cluster.field('secret/reg-ca', '.metadata.uid', namespace);
    const next = await startOperator(namespace);
    await converged(namespace);
    await quiet();
    const things = await children(namespace);
    assert.deepEqual(essence(things, await uidOf(namespace)), expected, `killed after ${write}`);
    if (authority !== undefined) {
      assert.equal(await cluster.field('secret/reg-ca', '.metadata.uid', namespace), authority);
    }
    await stopOperator(next);
  }
});

test('wrong use is told with exit code 2', async () => {
  for (const [args, message] of [
    [[], /--image is missing/],
    [['--image=x', '--leader-election-namespace=y', '--kubeconfig=/nowhere'], /nowhere/],
    [['--image=x', '--leader-election-namespace=y', '--health-address=z'], /HOST:PORT/],
  ] as const) {
    const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'operator', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const text: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => text.push(chunk));
    const [code] = await once(child, 'close');
    assert.equal(code, 2);
    assert.match(Buffer.concat(text).toString(), message);
  }
});
