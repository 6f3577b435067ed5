import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  SYSTEM_NAMESPACE,
  TEAM_NAMESPACE,
  addNode,
  assertNothingForbidden,
  connect,
  operatorPod,
  type Cluster,
} from './cluster.ts';
import { craneImages, plainImages, type ImageClient } from './image-client.ts';
import { compareLayouts, writeImageLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import { ask, pathOf, type RegistryPlace, type User } from './registry-client.ts';
import { createBucket } from './s3-bucket.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps, type Step } from './step.ts';
import { startCuttableProxy } from './support/cuttable-proxy.ts';
import { whileClientsLoop, type Clients } from './support/looping-clients.ts';
import { waitFor } from './wait.ts';

const PORT = 30512;
/** Of node-1. */
const ADDRESS = '10.244.255.1';
const NAMESPACE = `--namespace=${TEAM_NAMESPACE}`;
const ALICE: User = { name: 'alice', password: 'correct horse' };

interface Store {
  readonly bucket: string;
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

const resources = ({ bucket, endpoint, accessKey, secretKey }: Store) => ({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    secret('alice', { password: ALICE.password }),
    secret('bucket', { accesskey: accessKey, secretkey: secretKey }),
    {
      apiVersion: 'stevedore.dev/v1alpha1',
      kind: 'Registry',
      metadata: { name: 'spread' },
      spec: {
        hostname: `${ADDRESS}:${PORT}`,
        replicas: 2,
        storage: {
          s3: { bucket, endpoint, region: 'us-east-1', credentialsSecretRef: { name: 'bucket' } },
        },
        // The gateway is on this machine alone.
        config: { storage: { redirect: { disable: true } } },
        service: { type: 'NodePort', nodePort: PORT },
        auth: { htpasswd: { users: [{ name: ALICE.name, passwordSecretRef: { name: 'alice' } }] } },
      },
    },
  ],
});

const secret = (name: string, stringData: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: { 'stevedore.dev/use': 'credentials' } },
  stringData,
});

test('two replicas on a bucket lose no request whatever becomes of one of them', async (t) => {
  const cluster = await connect();
  const folder = mkdtempSync(join(tmpdir(), 'on-bucket-'));
  const { config } = await createBucket();
  const gateway = await startCuttableProxy(new URL(String(config['regionendpoint'])), ADDRESS);
  const node = await addNode(cluster);
  t.after(async () => {
    await cluster.kubectl(['delete', 'registries,secrets', '--all', NAMESPACE, '--wait']);
    await node.remove();
    await gateway.close();
    rmSync(folder, { recursive: true });
  });
  const store = {
    bucket: String(config['bucket']),
    endpoint: `http://${ADDRESS}:${gateway.port}`,
    accessKey: String(config['accesskey']),
    secretKey: String(config['secretkey']),
  };
  await testSteps(t, changes(cluster, folder, node.name, store));
});

function changes(cluster: Cluster, folder: string, second: string, store: Store): readonly Step[] {
  let place: RegistryPlace;
  let clients: Clients;
  const nodesOfPods = async (): Promise<readonly string[]> => {
    const nodes = await cluster.kubectl([
      'get',
      'pods',
      NAMESPACE,
      '--selector=app.kubernetes.io/component=registry,app.kubernetes.io/instance=spread',
      '--output=jsonpath={range .items[*]}{.spec.nodeName}{"\\n"}{end}',
    ]);
    return nodes.trim().split('\n').toSorted();
  };
  const rolledOut = () =>
    cluster.kubectl(['rollout', 'status', 'deployment/spread', NAMESPACE, '--timeout=100s']);
  const whileBusy = (work: () => Promise<void>) => whileClientsLoop(cluster, clients, work);

  return [
    step('Two replicas are on two nodes', async () => {
      await cluster.apply(resources(store));
      place = await readyRegistry(kubernetesStage(cluster), 'spread', {
        name: ADDRESS,
        address: ADDRESS,
        port: PORT,
      });
      await rolledOut();
      assert.deepEqual(await nodesOfPods(), ['node-1', second].toSorted());
      const plain = plainImages(place, 'loop/plain');
      await waitFor('alice may push', async () => {
        const { folder: image } = await writeImageLayout(join(folder, 'first'), 1, 1000);
        await plain.push(ALICE, image, 'first');
        return true;
      });
      clients = {
        // Each request by a connection of its own, and none is tried again.
        'images pushed and pulled': roundTrips(plain, join(folder, 'plain')),
        'by crane': roundTrips(craneImages(place, 'loop/crane', folder), join(folder, 'crane')),
        'manifests pulled': async () => {
          const answer = await ask(place, 'GET', '/v2/loop/plain/manifests/first', { user: ALICE });
          assert.equal(answer.status, 200, answer.body);
        },
        'uploads begun and cancelled': async () => {
          const begun = await ask(place, 'POST', '/v2/loop/plain/blobs/uploads/', { user: ALICE });
          assert.equal(begun.status, 202, begun.body);
          const ended = await ask(place, 'DELETE', pathOf(begun.headers.location), { user: ALICE });
          assert.equal(ended.status, 204, ended.body);
        },
      };
      return (await nodesOfPods()).join(', ');
    }),

    step('A node is drained', () =>
      whileBusy(async () => {
        await cluster.kubectl([
          'drain',
          second,
          '--ignore-daemonsets',
          '--delete-emptydir-data',
          '--timeout=100s',
        ]);
        await rolledOut();
        assert.deepEqual(await nodesOfPods(), ['node-1', 'node-1']);
        await cluster.kubectl(['uncordon', second]);
      }),
    ),

    step('A change rolls the pods', () =>
      whileBusy(async () => {
        const change = { spec: { log: { fields: { rollout: 'second' } } } };
        await cluster.kubectl([
          'patch',
          'registry/spread',
          NAMESPACE,
          '--type=merge',
          `--patch=${JSON.stringify(change)}`,
        ]);
        await waitFor(
          'a new template',
          async () => (await cluster.field('deployment/spread', '.metadata.generation')) !== '1',
        );
        await rolledOut();
        await waitFor('the old pods are gone', async () => (await nodesOfPods()).length === 2);
        assert.deepEqual(await nodesOfPods(), ['node-1', second].toSorted());
      }),
    ),

    step('The operator is lost', () =>
      whileBusy(async () => {
        const pod = await operatorPod(cluster);
        await cluster.kubectl([
          'delete',
          pod,
          `--namespace=${SYSTEM_NAMESPACE}`,
          '--grace-period=0',
          '--force',
        ]);
        await waitFor('another one', async () => (await operatorPod(cluster)) !== pod);
      }),
    ),

    step('The operator has lacked no right', async () => {
      await assertNothingForbidden(cluster);
      return 'no request of the operator was refused';
    }),
  ];
}

/** Pushes an image that no other round has, pulls it, and compares all bytes. */
function roundTrips(images: ImageClient, folder: string): () => Promise<void> {
  let rounds = 0;
  return async () => {
    const tag = `round-${++rounds}`;
    const pushed = join(folder, tag);
    const pulled = join(folder, `${tag}-pulled`);
    const { size } = await writeImageLayout(pushed, 2, 100_000);
    await images.push(ALICE, pushed, tag);
    await images.pull(ALICE, tag, pulled);
    assert.equal(await compareLayouts(pushed, pulled), size);
    for (const layout of [pushed, pulled]) rmSync(layout, { recursive: true });
  };
}
