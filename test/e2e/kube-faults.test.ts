import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Registry as MetricsRegistry } from 'prom-client';
import { Cache } from '../../src/kube/cache.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { createCredentials, loadKubeConfig } from '../../src/kube/credentials.ts';
import { createKubeMetrics } from '../../src/kube/metrics.ts';
import type { KubeObject, Stored } from '../../src/kube/object.ts';
import { listWatchSource, reflect } from '../../src/kube/reflector.ts';
import { configMaps, deployments, secrets, type ResourceType } from '../../src/kube/resources.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { operatorRules } from '../../src/operator/rbac.ts';
import { systemClock } from '../../src/process/clock.ts';
import { createLogger } from '../../src/process/logger.ts';
import { essence, type Essence } from '../integration/operator/essence.ts';
import { SYSTEM_NAMESPACE, clusterOfThisMachine, type Cluster } from './cluster.ts';
import {
  firstOfEach,
  startKubeFaultProxy,
  type KubeFaultProxy,
  type ProxiedRequest,
  type ProxyFaults,
} from './support/kube-fault-proxy.ts';
import { waitFor } from './wait.ts';

/**
 * The operator as a process of its own, with the rights of the chart and no more, on a real API server that does wrong:
 * the worst of what test/integration/operator/faults.test.ts has on the playground. No pod runs here (a quota forbids
 * it), so that what there is in the end depends on the operator alone.
 */
interface Case {
  readonly title: string;
  readonly faults: () => ProxyFaults;
  /** What ends the fault, when the operator has come as far as it can under it. */
  readonly mended?: { readonly forget: boolean };
  /** The operator is started anew when all is made. */
  readonly restarted?: boolean;
}

const isWrite = ({ verb, resource }: ProxiedRequest): boolean =>
  ['create', 'patch', 'delete'].includes(verb) && resource !== 'events';

/** True for every n-th time that it is asked. */
function every(n: number): () => boolean {
  let count = 0;
  return () => ++count % n === 0;
}

/** Those that fill the caches; the others are asked to be sure. */
const fillsCache = ({ query }: ProxiedRequest): boolean =>
  query.get('labelSelector')?.includes('stevedore.dev/registry=') !== true;

const cases: readonly Case[] = [
  {
    // Whoever gives up, or goes on as if it had written, leaves a Registry half made.
    title: 'each kind of write is a conflict the first time',
    faults() {
      const isFirst = firstOfEach();
      return { answer: (asked) => (isWrite(asked) && isFirst(asked) ? { code: 409 } : undefined) };
    },
  },
  {
    // After an outage of etcd: a cache that takes half a list for the whole has everything made anew.
    title: 'lists break off after a page, and watches begin where nobody remembers',
    restarted: true,
    faults() {
      const isFirst = firstOfEach();
      const goesOn = ({ verb, query }: ProxiedRequest) => verb === 'watch' || query.has('continue');
      return {
        pageSize: 1,
        answer: (asked) => (goesOn(asked) && isFirst(asked) ? { code: 410 } : undefined),
      };
    },
  },
  {
    // Who asks again at once makes an overload last.
    title: 'each kind of write is to come again in a second the first time',
    faults() {
      const isFirst = firstOfEach();
      const answer = { code: 429, retryAfterSeconds: 1 } as const;
      return { answer: (asked) => (isWrite(asked) && isFirst(asked) ? answer : undefined) };
    },
  },
  {
    // The error says that nothing was done, and is wrong every other time.
    title: 'requests fail with 500, and writes with 503 that were made',
    faults() {
      const [fails, lies] = [every(4), every(4)];
      return {
        answer: (asked) => (isWrite(asked) && fails() ? { code: 500 } : undefined),
        answerAfter: (asked) => (isWrite(asked) && lies() ? { code: 503 } : undefined),
      };
    },
  },
  {
    // Whoever makes keys or hashes again because the answer is missing has made two.
    title: 'the connection is cut after every second write',
    faults() {
      const hits = every(2);
      return { loseAnswer: (asked) => isWrite(asked) && hits() };
    },
  },
  {
    // Nothing tells that something is missing, and the cache stays wrong until it is listed anew.
    title: 'every second event is lost, until the API server forgets its past',
    mended: { forget: true },
    faults() {
      const hits = every(2);
      return { watchEvent: () => (hits() ? 'drop' : 'pass') };
    },
  },
  {
    // As behind a middlebox that forgot the connection: it looks healthy and says nothing.
    title: 'every watch falls silent at its third event, until it is cut',
    mended: { forget: false },
    faults() {
      const heard = new Map<string, number>();
      return {
        watchEvent({ resource }) {
          const count = (heard.get(resource) ?? 0) + 1;
          heard.set(resource, count);
          return count >= 3 ? 'stall' : 'pass';
        },
      };
    },
  },
  {
    // What the operator decides, it decides on what was two seconds ago.
    title: 'every event is two seconds late',
    faults: () => ({ watchEvent: () => ({ delayMs: 2000 }) }),
  },
  {
    // Half a list in valid JSON would be a cluster in which half is deleted.
    title: 'each list is cut in the middle the first time, and every event comes twice',
    restarted: true,
    faults() {
      const isFirst = firstOfEach();
      return { cutList: isFirst, watchEvent: () => 'repeat' };
    },
  },
  {
    // From a replica that lags: it starts in a world in which it has made nothing yet.
    title: 'lists are of before anything was made',
    restarted: true,
    faults() {
      const before = new Map<string, Buffer>();
      return {
        staleList(asked, list) {
          if (!fillsCache(asked)) return list;
          const old = before.get(asked.resource + asked.query.toString()) ?? list;
          before.set(asked.resource + asked.query.toString(), old);
          return old;
        },
      };
    },
  },
];

const root = join(import.meta.dirname, '../..');
const ACCOUNT = 'operator-faults';
const log = createLogger({ level: 'error' });
const ended = new AbortController();
const following: Promise<void>[] = [];
const started: ChildProcess[] = [];
const proxies: KubeFaultProxy[] = [];
let cluster: Cluster;
let client: KubeClient;
let folder: string;
let account: string;
let replicas: string | undefined;

before(async () => {
  cluster = await clusterOfThisMachine();
  folder = await mkdtemp(join(tmpdir(), 'stevedore-faults-'));
  // The operator of the cluster, where one is installed, would do the work in our place.
  replicas = await cluster.field('deployment/stevedore', '.spec.replicas', SYSTEM_NAMESPACE);
  if (replicas !== undefined) await scale('0');
  await cluster.kubectl(['apply', '--server-side', '--filename', join(root, 'crds')]);
  const definitions = ['registries', 'registrymirrors', 'registrygcs'].map(
    (kind) => `crd/${kind}.stevedore.dev`,
  );
  await cluster.kubectl(['wait', '--for=condition=Established', ...definitions]);
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: ACCOUNT } });
  await cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: ACCOUNT } }, ACCOUNT);
  const rights = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: ACCOUNT } };
  await cluster.apply({ ...rights, kind: 'ClusterRole', rules: operatorRules });
  const leases = {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'patch'],
  };
  const forLeases = { name: `${ACCOUNT}-leases` };
  await cluster.apply({ ...rights, kind: 'ClusterRole', metadata: forLeases, rules: [leases] });
  await cluster.apply({ ...rights, kind: 'ClusterRoleBinding', ...bound(ACCOUNT) });
  const token = await cluster.kubectl(['create', 'token', ACCOUNT, `--namespace=${ACCOUNT}`]);
  const config = loadKubeConfig(cluster.kubeconfig);
  config.users = [{ name: ACCOUNT, token: token.trim() }];
  config.contexts = config.contexts.map((context) => ({ ...context, user: ACCOUNT }));
  account = join(folder, 'account');
  await writeFile(account, config.exportConfig(), { mode: 0o600 });
  const transport = createTransport({
    credentials: createCredentials({ load: () => loadKubeConfig(cluster.kubeconfig), clock: systemClock }),
    clock: systemClock,
    metrics: createKubeMetrics(new MetricsRegistry()),
    userAgent: 'kube-faults-test',
  });
  ended.signal.addEventListener('abort', () => void transport.close());
  client = createKubeClient({ transport, fieldManager: 'kube-faults-test' });
});

after(async () => {
  // Of a test that failed.
  for (const operator of started) operator.kill('SIGKILL');
  for (const proxy of proxies) await proxy.close();
  ended.abort();
  await Promise.all(following);
  await cluster.tryKubectl([
    'delete',
    `clusterrole/${ACCOUNT}`,
    `clusterrole/${ACCOUNT}-leases`,
    `clusterrolebinding/${ACCOUNT}`,
  ]);
  await cluster.tryKubectl(['delete', 'namespace', '--selector=stevedore.test/faults', '--wait=false']);
  await cluster.tryKubectl(['delete', 'namespace', ACCOUNT, '--wait=false']);
  if (replicas !== undefined) await scale(replicas);
  await rm(folder, { recursive: true });
});

function scale(count: string): Promise<string> {
  return cluster.kubectl([
    'scale',
    'deployment/stevedore',
    `--replicas=${count}`,
    `--namespace=${SYSTEM_NAMESPACE}`,
  ]);
}

/** What a binding of a ClusterRole to the operator's account says. */
function bound(role: string) {
  return {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: ACCOUNT }],
  };
}

const REGISTRY = {
  apiVersion: 'stevedore.dev/v1alpha1',
  kind: 'Registry',
  metadata: { name: 'reg' },
  spec: {
    storage: { filesystem: { size: '1Gi' } },
    auth: {
      htpasswd: {
        users: [
          { name: 'alice', passwordSecretRef: { name: 'alice' } },
          { name: 'ci', generate: true, groups: ['robots'] },
        ],
      },
      access: [{ repositories: ['**'], groups: ['robots'], actions: ['Pull', 'Push'] }],
    },
    networkPolicy: {},
  },
};

/** A namespace with alice's password, without pods, in which an operator may have a lease. */
async function newNamespace(name: string): Promise<void> {
  const labels = { 'stevedore.test/faults': '' };
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'no-pods' } };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'alice' } };
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'leases' },
  };
  const items = [
    { ...quota, spec: { hard: { pods: '0' } } },
    {
      ...secret,
      metadata: { name: 'alice', labels: { 'stevedore.dev/use': 'credentials' } },
      stringData: { password: 'correct horse' },
    },
    { ...binding, ...bound(`${ACCOUNT}-leases`) },
  ];
  await cluster.apply({ apiVersion: 'v1', kind: 'List', items }, name);
}

/** The operator for one namespace, until it is told to stop; what it found wrong with itself fails the test. */
async function live(namespace: string, kubeconfig: string): Promise<{ stop(): Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'src/main.ts'),
      'operator',
      '--image=example.test/stevedore:1',
      `--namespace=${namespace}`,
      `--leader-election-namespace=${namespace}`,
      `--kubeconfig=${kubeconfig}`,
      '--health-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  started.push(child);
  const lines: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => lines.push(chunk));
  const text = (): string => Buffer.concat(lines).toString();
  await waitFor('the operator to lead', async () => {
    assert.equal(child.exitCode, null, text());
    return text().includes('elected as leader');
  });
  return {
    async stop() {
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0, text());
      assert.ok(!text().includes('"panic":true'), text());
    },
  };
}

/** Every value that something had in the namespace which must not change for nothing. */
function rememberValues(namespace: string): ReadonlyMap<string, Set<string>> {
  const values = new Map<string, Set<string>>();
  function follow<T extends KubeObject>(
    type: ResourceType<T>,
    valuesOf: (object: Stored<T>) => object,
  ): void {
    const target = new Cache(type, { log });
    target.onChange(({ type: change, object }) => {
      if (change === 'deleted') return;
      for (const [key, value] of Object.entries<unknown>({ ...valuesOf(object) })) {
        const name = `${type.kind} ${object.metadata.name} ${key}`;
        values.set(name, (values.get(name) ?? new Set()).add(JSON.stringify(value)));
      }
    });
    const source = listWatchSource(client, type, { namespace });
    const tools = { clock: systemClock, random: Math.random, log };
    following.push(reflect({ resource: type.plural, source, target, ...tools }, ended.signal));
  }
  follow(secrets, ({ data = {} }) => data);
  follow(configMaps, ({ data = {} }) => data);
  follow(deployments, ({ spec }) => ({ template: spec?.template }));
  return values;
}

/** No write for longer than the operator waits after a first failure. */
async function quiet(proxy: KubeFaultProxy): Promise<void> {
  for (let count = -1; count !== proxy.writes.length;) {
    count = proxy.writes.length;
    await delay(1500);
  }
}

/** What there is when the operator has come as far as it can without pods. */
async function end(namespace: string, isEnd: (found: Essence) => void): Promise<void> {
  await waitFor(
    `the end of ${namespace}`,
    async () => {
      isEnd(await essence(client, namespace));
      return true;
    },
    { timeout: 60_000, interval: 500 },
  );
}

async function proxyOf(namespace: string, faults: ProxyFaults) {
  const kubeconfig = join(folder, namespace);
  const proxy = await startKubeFaultProxy({ upstream: account, kubeconfig, faults });
  proxies.push(proxy);
  return { proxy, kubeconfig };
}

/** As it ends when nothing goes wrong. */
let expected: Promise<Essence> | undefined;

async function undisturbed(): Promise<Essence> {
  const namespace = `faults-${process.pid}-none`;
  await newNamespace(namespace);
  const { proxy, kubeconfig } = await proxyOf(namespace, {});
  const operator = await live(namespace, kubeconfig);
  await cluster.apply(REGISTRY, namespace);
  await end(namespace, (found) => {
    const status = JSON.stringify(found['Registry <namespace>/reg']);
    assert.match(status, /exceeded quota/);
    assert.match(status, /StatusUnknown/);
  });
  await quiet(proxy);
  await operator.stop();
  return essence(client, namespace);
}

describe('on a real API server the end is the same when', { concurrency: 4 }, () => {
  for (const [index, { title, faults, mended, restarted = false }] of cases.entries()) {
    test(title, async () => {
      expected ??= undisturbed();
      const namespace = `faults-${process.pid}-${index}`;
      await newNamespace(namespace);
      const values = rememberValues(namespace);
      const { proxy, kubeconfig } = await proxyOf(namespace, faults());
      let operator = await live(namespace, kubeconfig);
      await cluster.apply(REGISTRY, namespace);
      if (mended !== undefined) {
        await quiet(proxy);
        proxy.mend(mended);
      }
      const wanted = await expected;
      const isEnd = (found: Essence): void => assert.deepEqual(found, wanted);
      await end(namespace, isEnd);
      if (restarted) {
        await operator.stop();
        operator = await live(namespace, kubeconfig);
      }
      await quiet(proxy);
      isEnd(await essence(client, namespace));
      await operator.stop();
      assert.ok(proxy.hits > 3, `only ${proxy.hits} faults`);
      const changed = [...values].filter(([, { size }]) => size !== 1).map(([name]) => name);
      assert.deepEqual(changed, [], 'what was made twice');
    });
  }
});
