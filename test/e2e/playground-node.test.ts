import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { connect } from './cluster.ts';
import { waitFor } from './wait.ts';

const stevedore = join(import.meta.dirname, '../../bin/stevedore');
const NODE = 'playground';
const IMAGE = 'localhost/stevedore:here';

test('the node of the playground joins a real cluster and runs a pod there', async (t) => {
  const cluster = await connect();
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-node-'));
  const options = [`--kubeconfig=${cluster.kubeconfig}`, `--node-name=${NODE}`, `--image=${IMAGE}`];
  const node = spawn(stevedore, ['playground', `--state=${folder}`, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(node, 'exit');
  t.after(async () => {
    await cluster.tryKubectl(['delete', 'pods', '--all', '--namespace=default']);
    node.kill('SIGKILL');
    await exited;
    await cluster.tryKubectl(['delete', 'node', NODE]);
    await rm(folder, { recursive: true });
  });
  for await (const line of createInterface({ input: node.stdout })) if (line.includes('has joined')) break;

  const pod = (name: string, args: readonly string[]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: NODE,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [
        { name: 'main', image: IMAGE, args, volumeMounts: [{ name: 'config', mountPath: '/config' }] },
      ],
      volumes: [{ name: 'config', configMap: { name: 'config', optional: true } }],
    },
  });
  const phase = (name: string) => cluster.field(`pod/${name}`, '.status.phase', 'default');
  await cluster.apply(pod('once', ['htpasswd', '--cost=4', 'alice', 'secret']), 'default');
  await waitFor('the pod succeeds', async () => (await phase('once')) === 'Succeeded');
  assert.match((await cluster.field('pod/once', '.status.podIP', 'default')) ?? '', /^127\./);

  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: ':5000' },
  };
  const metadata = { name: 'config' };
  const data = { 'config.yml': JSON.stringify(config) };
  await cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, 'default');
  await cluster.apply(pod('lasting', ['serve', '/config/config.yml']), 'default');
  await waitFor('the server runs', async () => (await phase('lasting')) === 'Running');
  await cluster.kubectl(['delete', 'pod/lasting', '--namespace=default', '--timeout=60s']);

  node.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
});
