import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  NODE_PLAN_KEY,
  nodePlanHash,
  parseNodePlan,
  type NodePlan,
} from '../../../src/contract/node-plan.ts';
import type { NodeReport, NodeReportEntry } from '../../../src/contract/node-report.ts';
import { ApiError } from '../../../src/kube/api-error.ts';
import { configMaps, nodes, pods, secrets } from '../../../src/kube/resources.ts';
import { registryMirrors } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { KEY, mirrorHarness } from './mirror-harness.ts';
import { registryHarness } from './registry-harness.ts';
import { passwordSecret, readyPod, user } from './resource-builders.ts';

type Harness = ReturnType<typeof mirrorHarness> | ReturnType<typeof registryHarness>;

const PLAN = { namespace: 'stevedore-system', name: 'stevedore-node-plan' };
const FINALIZER = 'stevedore.dev/nodes';
const permitted = { nodeAccessNamespaces: ['team'] };

function addNode(harness: Harness, name: string, labels: Readonly<Record<string, string>> = {}): void {
  harness.kube.put(nodes, { metadata: { name, labels } });
}

/** An agent that runs, at the address that is its node's name. */
function addAgent(harness: Harness, node: string): void {
  const labels = { 'app.kubernetes.io/component': 'node-agent' };
  const metadata = { namespace: 'stevedore-system', name: `agent-${node}`, labels };
  harness.kube.put(pods, { metadata, status: { ...readyPod.status, podIP: node } });
}

async function planText(harness: Harness): Promise<string | undefined> {
  return dataText(await harness.kube.find(secrets, PLAN), NODE_PLAN_KEY);
}

async function plan(harness: Harness): Promise<NodePlan> {
  return parseNodePlan((await planText(harness)) ?? '');
}

async function report(
  harness: Harness,
  node: string,
  ...entries: readonly (Partial<NodeReportEntry> & { readonly id: string })[]
): Promise<void> {
  const whole: NodeReport = {
    node,
    planHash: nodePlanHash((await planText(harness)) ?? ''),
    entries: entries.map((entry) => ({
      host: 'docker.io',
      runtime: 'Containerd',
      state: 'Applied',
      ...entry,
    })),
  };
  harness.nodeReports.set(node, whole);
}

async function mirrorOnNodes(spec: object = {}, ...names: readonly string[]) {
  const harness = mirrorHarness(permitted);
  for (const name of names) {
    addNode(harness, name);
    addAgent(harness, name);
  }
  harness.apply({ nodes: { enabled: true }, ...spec });
  await harness.start();
  const { uid: id = '' } = (await harness.mirror()).metadata;
  return { harness, id };
}

const reasonOf = async (harness: ReturnType<typeof mirrorHarness>) =>
  (await harness.conditions()).find((condition) => condition.startsWith('NodesReady='));
const finalizers = async (harness: ReturnType<typeof mirrorHarness>) =>
  (await harness.kube.find(registryMirrors, KEY))?.metadata.finalizers ?? [];

test('nodes are told of a mirror by the address of its Service, with what verifies it', async () => {
  const upstreams = [
    { host: 'docker.io' },
    { host: 'quay.io', url: 'https://inner.example.com' },
    { host: 'own.example.com:5000', url: 'http://own.example.com:5000' },
    { host: 'ghcr.io' },
  ];
  const { harness, id } = await mirrorOnNodes({
    upstreams,
    nodes: {
      enabled: true,
      registries: ['docker.io', 'quay.io', 'own.example.com:5000'],
      runtimes: ['Docker'],
    },
  });
  const ca = (await harness.kube.find(configMaps, { ...KEY, name: 'reg-mirror-ca' }))?.data?.['ca.crt'];
  const common = { endpoint: 'https://10.96.0.20:5000', capabilities: ['pull', 'resolve'] };
  assert.deepEqual((await plan(harness)).entries, [
    {
      id,
      kind: 'RegistryMirror',
      namespace: 'team',
      name: 'reg',
      nodes: 'all',
      runtimes: ['Docker'],
      hosts: [
        { host: 'docker.io', ...common },
        // What is for the mirror alone is none of the nodes' business.
        { host: 'quay.io', ...common },
        { host: 'own.example.com:5000', server: 'http://own.example.com:5000', ...common },
      ],
      ca,
      trust: [],
    },
  ]);
  assert.deepEqual(await finalizers(harness), [FINALIZER]);
});

test('nodes that a selector finds are named, and pull as the user that the spec names', async () => {
  const harness = mirrorHarness(permitted);
  addNode(harness, 'b', { disk: 'fast' });
  addNode(harness, 'a', { disk: 'fast', zone: 'one' });
  addNode(harness, 'c', { disk: 'slow' });
  harness.kube.put(secrets, passwordSecret('robot', { password: 'one\n' }));
  const auth = { htpasswd: { users: [user('robot'), { name: 'made', generate: true }] } };
  const selector = { disk: 'fast' };
  harness.apply({ auth, nodes: { enabled: true, user: 'robot', selector } });
  await harness.start();
  const headerOf = async () => (await plan(harness)).entries[0]?.hosts[0]?.header;
  assert.deepEqual((await plan(harness)).entries[0]?.nodes, ['a', 'b']);
  assert.deepEqual(await headerOf(), { authorization: `Basic ${btoa('robot:one')}` });
  harness.apply({ auth, nodes: { enabled: true, user: 'made', selector } });
  await harness.converge();
  const made = await harness.kube.find(secrets, { ...KEY, name: 'reg-mirror-user-made' });
  const credentials = btoa(`made:${dataText(made, 'password') ?? ''}`);
  assert.deepEqual(await headerOf(), { authorization: `Basic ${credentials}` });
  // Without its password nodes would be asked, and answer with those of pods.
  harness.kube.remove(secrets, { ...KEY, name: 'robot' });
  harness.apply({ auth, nodes: { enabled: true, user: 'robot', selector } });
  await harness.converge();
  assert.deepEqual((await plan(harness)).entries, []);
});

test('nodes trust a Registry by the name that images have', async () => {
  const harness = registryHarness(permitted);
  harness.apply({ hostname: 'images.example.com:5000', nodeTrust: { enabled: true } });
  await harness.converge();
  const ca = (await harness.kube.find(configMaps, { ...KEY, name: 'reg-ca' }))?.data?.['ca.crt'];
  const [entry] = (await plan(harness)).entries;
  assert.deepEqual(entry?.trust, [{ host: 'images.example.com:5000', ca }]);
  assert.deepEqual(entry?.hosts, []);
  assert.deepEqual(entry?.runtimes, ['Containerd', 'Docker']);
});

test('a namespace that is not listed changes nothing', async () => {
  const harness = mirrorHarness({ nodeAccessNamespaces: ['other'] });
  addNode(harness, 'a');
  addAgent(harness, 'a');
  harness.apply({ nodes: { enabled: true } });
  await harness.start();
  assert.equal(await planText(harness), undefined);
  assert.deepEqual(await finalizers(harness), []);
  assert.equal(await reasonOf(harness), 'NodesReady=False NotPermitted');
  assert.match(await harness.message('NodesReady'), /add the namespace to the value nodeAccess\.namespaces/);
  assert.ok((await harness.conditions()).includes('Ready=True Available'));
});

const states = [
  ['Applied', 'NodesReady=True NodesConfigured', { configured: 2, conflicting: 0 }],
  ['Waiting', 'NodesReady=False NodesPending', { configured: 1, conflicting: 0 }],
  ['Unreachable', 'NodesReady=False NodeMirrorUnreachable', { configured: 1, conflicting: 0 }],
  ['Conflict', 'NodesReady=False NodeConflict', { configured: 1, conflicting: 1 }],
  ['NotEffective', 'NodesReady=False NodeNotEffective', { configured: 1, conflicting: 0 }],
  ['Failed', 'NodesReady=False NodeFailed', { configured: 1, conflicting: 0 }],
] as const;

for (const [state, condition, counts] of states) {
  test(`an agent that says ${state} makes it ${condition}`, async () => {
    const { harness, id } = await mirrorOnNodes({}, 'a', 'b');
    assert.equal(await reasonOf(harness), 'NodesReady=False NodesPending');
    await report(harness, 'a', { id });
    await report(harness, 'b', { id, state, message: 'what to do' });
    await harness.converge();
    assert.equal(await reasonOf(harness), condition);
    assert.deepEqual((await harness.mirror()).status?.nodes, counts);
    if (state !== 'Applied')
      assert.match(await harness.message('NodesReady'), /b: docker\.io for Containerd: what to do/);
  });
}

test('who opts out is rid of the condition when the last agent has taken everything back', async () => {
  const { harness, id } = await mirrorOnNodes({}, 'a', 'b');
  await report(harness, 'a', { id });
  await report(harness, 'b', { id });
  harness.apply();
  await harness.converge();
  assert.deepEqual((await plan(harness)).entries, []);
  assert.equal(await reasonOf(harness), 'NodesReady=False NodesPending');
  assert.match(await harness.message('NodesReady'), /take back what is written on a, b/);
  await report(harness, 'a');
  harness.nodeReports.delete('b');
  await harness.converge();
  assert.deepEqual(await finalizers(harness), [FINALIZER]);
  await report(harness, 'b');
  await harness.converge();
  assert.deepEqual(await finalizers(harness), []);
  assert.equal(await reasonOf(harness), undefined);
});

test('a mirror that is deleted goes when nothing of it is left on nodes', async () => {
  const { harness, id } = await mirrorOnNodes({}, 'a');
  await report(harness, 'a', { id });
  const deletionTimestamp = new Date(harness.clock.now()).toISOString();
  harness.kube.put(registryMirrors, { metadata: { ...KEY, deletionTimestamp } }, 'deleter');
  assert.equal((await harness.reconcile()).kind, 'waiting');
  assert.deepEqual((await plan(harness)).entries, []);
  assert.deepEqual(await finalizers(harness), [FINALIZER]);
  await report(harness, 'a');
  assert.equal((await harness.reconcile()).kind, 'done');
  assert.deepEqual(await finalizers(harness), []);
});

test('a node that does not answer holds up no deletion for ever', async () => {
  const { harness } = await mirrorOnNodes({}, 'a');
  const deletionTimestamp = new Date(harness.clock.now()).toISOString();
  harness.kube.put(registryMirrors, { metadata: { ...KEY, deletionTimestamp } }, 'deleter');
  assert.equal((await harness.reconcile()).kind, 'waiting');
  await harness.clock.advance(121_000);
  assert.equal((await harness.reconcile()).kind, 'done');
  assert.deepEqual(await finalizers(harness), []);
});

test('an operator without rights to the plan serves the mirror all the same, and lets it go', async () => {
  const harness = mirrorHarness(permitted);
  addNode(harness, 'a');
  harness.kube.refuse = (write) =>
    write === 'apply Secret stevedore-system/stevedore-node-plan'
      ? new ApiError({ status: 403, reason: 'Forbidden', message: 'no', retryAfterMs: undefined })
      : undefined;
  harness.apply({ nodes: { enabled: true } });
  await harness.start();
  assert.ok((await harness.conditions()).includes('Ready=True Available'));
  assert.equal(await reasonOf(harness), 'NodesReady=False NodesPending');
  const deletionTimestamp = new Date(harness.clock.now()).toISOString();
  harness.kube.put(registryMirrors, { metadata: { ...KEY, deletionTimestamp } }, 'deleter');
  await harness.clock.advance(121_000);
  assert.equal((await harness.reconcile()).kind, 'done');
});

test('of two that want the same host the older comes first in the plan', async () => {
  const harness = mirrorHarness(permitted);
  harness.apply({ nodes: { enabled: true } });
  await harness.start();
  const young = { ...KEY, name: 'aaa' };
  harness.kube.put(registryMirrors, {
    metadata: young,
    spec: {
      upstreams: [{ host: 'docker.io' }],
      storage: { filesystem: { size: '1Gi' } },
      nodes: { enabled: true },
    },
  });
  await harness.converge(young);
  await harness.allocate('aaa-mirror', '10.96.0.21');
  await harness.converge(young);
  assert.deepEqual(
    (await plan(harness)).entries.map(({ name }) => name),
    ['reg', 'aaa'],
  );
});
