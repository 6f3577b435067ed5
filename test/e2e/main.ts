/**
 * Brings the cluster up with the operator in it and runs the tests on it. `scripts/e2e` calls this when all it needs is there, and takes
 * the cluster down: `node test/e2e/main.ts e2e|full [FILE...]`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  SYSTEM_NAMESPACE,
  TEAM_NAMESPACE,
  clusterOfThisMachine,
  installChart,
  loadImage,
  startCluster,
} from './cluster.ts';
import { step, tell } from './step.ts';

const [mode, ...files] = process.argv.slice(2);
const root = join(import.meta.dirname, '../..');
const cluster = await clusterOfThisMachine();
let image: string;

/** Steps to a cluster with the operator in it. */
const preparation = [
  step('Bring up Kubernetes, with a node, on this machine', async () => {
    await startCluster(cluster);
    const version = await cluster.field('node/node-1', '.status.nodeInfo.kubeletVersion');
    const runtime = await cluster.field('node/node-1', '.status.nodeInfo.containerRuntimeVersion');
    if (version === undefined) throw new Error('the node has no kubelet');
    return `node-1 is Ready: kubelet ${version}, ${runtime}`;
  }),
  step('Build the image and load it into the node', async () => {
    image = await loadImage();
    return `containerd has ${image}`;
  }),
  step('Install the chart', async () => {
    const pod = await installChart(cluster, image);
    const kinds = await cluster.kubectl(['explain', 'registry', '--output=plaintext']);
    if (!kinds.includes('stevedore.dev')) throw new Error(`the API server does not know Registry: ${kinds}`);
    return `${pod} is ready, and kubectl explain knows Registry`;
  }),
];
/** What the cluster says about itself, for whoever reads a failure. */
async function diagnose(): Promise<void> {
  if (!existsSync(cluster.kubeconfig)) return;
  const looks = [
    ['get', 'pods,jobs,registries,registrymirrors,registrygcs', '--all-namespaces', '--output=wide'],
    ['get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp'],
    [
      'get',
      'registries,registrymirrors,registrygcs',
      '--namespace',
      TEAM_NAMESPACE,
      '--output=jsonpath-as-json={.items[*].status}',
    ],
    ['logs', '--namespace', SYSTEM_NAMESPACE, '--selector=app.kubernetes.io/component=operator', '--tail=60'],
    [
      'logs',
      '--namespace',
      TEAM_NAMESPACE,
      '--selector=app.kubernetes.io/part-of=stevedore',
      '--tail=60',
      '--prefix',
    ],
  ];
  for (const args of looks) {
    const { stdout, stderr } = await cluster.tryKubectl(args);
    process.stderr.write(`--- kubectl ${args.join(' ')}\n${stdout}${stderr}\n`);
  }
}

async function tests(): Promise<void> {
  await tell(preparation, (text) => process.stdout.write(text));
  const patterns = ['test/e2e/*.test.ts', ...(mode === 'full' ? ['test/e2e/full/*.test.ts'] : [])];
  const child = spawn(join(root, 'scripts/run-tests'), files.length > 0 ? files : patterns, {
    cwd: root,
    stdio: 'inherit',
    // They share the cluster, so one file at a time.
    env: { ...process.env, NODE_TEST_OPTIONS: '--test-concurrency=1' },
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error('a test failed');
}

try {
  await tests();
} catch (error) {
  await diagnose();
  console.error(error);
  process.exitCode = 1;
}
