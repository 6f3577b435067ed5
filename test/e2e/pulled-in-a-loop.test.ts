import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SYSTEM_NAMESPACE, TEAM_NAMESPACE, connect, operatorPod, type Cluster } from './cluster.ts';
import { succeed } from './command.ts';
import { readyRegistry } from './ready-registry.ts';
import { ask, crane, pathOf, servedCertificate, type RegistryPlace, type User } from './registry-client.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps } from './step.ts';
import { waitFor } from './wait.ts';

const PORT = 30511;
/** Of node-1. */
const ADDRESS = '10.244.255.1';
const ALICE: User = { name: 'alice', password: 'correct horse' };
const BOB: User = { name: 'bob', password: 'battery staple' };
const API_STOPPED_MS = 120_000;
const CONTENT = Buffer.from('what is pulled again and again\n'.repeat(1000));

const names = ['looped.example.com', 'images.example.com', '*.wild.example.com'];
const foreign = ['other.example.com', 'deep.a.wild.example.com', 'wild.example.com', 'looped.svc'];

function registry(spec: object = {}, users: readonly User[] = [ALICE]) {
  return {
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'Registry',
    metadata: { name: 'looped' },
    spec: {
      hostname: `${ADDRESS}:${PORT}`,
      storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
      service: { type: 'NodePort', nodePort: PORT },
      auth: {
        htpasswd: { users: users.map(({ name }) => ({ name, passwordSecretRef: { name } })) },
      },
      ...spec,
    },
  };
}

const secret = ({ name, password }: User) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: { 'stevedore.dev/use': 'credentials' } },
  stringData: { password },
});

test('a client that pulls in a loop sees no change of what is around it', async (t) => {
  const cluster = await connect();
  t.after(() =>
    cluster.kubectl(['delete', 'registries,secrets', '--all', '--namespace', TEAM_NAMESPACE, '--wait']),
  );
  await testSteps(t, walks(cluster));
});

function walks(cluster: Cluster) {
  let place: RegistryPlace;
  let digest: string;
  let pods: string;
  const podsOfRegistry = () =>
    cluster.kubectl([
      'get',
      'pods',
      `--namespace=${TEAM_NAMESPACE}`,
      '--selector=app.kubernetes.io/component=registry,app.kubernetes.io/instance=looped',
      '--output=jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}',
    ]);
  const pull = async (): Promise<void> => {
    const { status, bytes } = await ask(place, 'GET', `/v2/loop/blobs/${digest}`, { user: ALICE });
    assert.equal(status, 200);
    assert.ok(bytes.equals(CONTENT));
  };
  /** Does something while the client pulls; tells how often it did, and throws what it met. */
  const whilePulling = async (work: () => Promise<void>): Promise<string> => {
    const failures: unknown[] = [];
    let pulls = 0;
    const ended = new AbortController();
    const client = (async () => {
      while (!ended.signal.aborted) {
        await pull().catch((error: unknown) => failures.push(error));
        pulls++;
      }
    })();
    await work().finally(() => ended.abort());
    await client;
    assert.deepEqual(failures, []);
    assert.equal(await podsOfRegistry(), pods);
    return `${pulls} pulls, none failed, in the same pod`;
  };
  const condition = (type: string) =>
    cluster.field('registry/looped', `.status.conditions[?(@.type=="${type}")].reason`);

  return [
    step('A registry has a blob', async () => {
      await cluster.apply(secret(ALICE));
      await cluster.apply(registry());
      place = await readyRegistry(kubernetesStage(cluster), 'looped', {
        name: ADDRESS,
        address: ADDRESS,
        port: PORT,
      });
      digest = `sha256:${createHash('sha256').update(CONTENT).digest('hex')}`;
      await waitFor('alice is let in', async () => {
        return (await ask(place, 'GET', '/v2/', { user: ALICE })).status === 200;
      });
      const begun = await ask(place, 'POST', '/v2/loop/blobs/uploads/', { user: ALICE });
      const path = pathOf(begun.headers.location);
      const put = `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`;
      const headers = { 'content-type': 'application/octet-stream' };
      assert.equal((await ask(place, 'PUT', put, { user: ALICE, headers, body: CONTENT })).status, 201);
      pods = await podsOfRegistry();
      return digest;
    }),

    step('A user is added and taken away', () =>
      whilePulling(async () => {
        await cluster.apply(secret(BOB));
        await cluster.apply(registry({}, [ALICE, BOB]));
        const login = async () => (await ask(place, 'GET', '/v2/', { user: BOB })).status;
        await waitFor('bob is let in', async () => (await login()) === 200);
        await cluster.apply(registry());
        await waitFor('bob is let in no longer', async () => (await login()) === 401);
      }),
    ),

    step('The certificate is exchanged for one with more names', () =>
      whilePulling(async () => {
        const before = await servedCertificate(place, 'looped.team.svc');
        await cluster.apply(registry({ tls: { dnsNames: names } }));
        await waitFor('another certificate', async () => {
          return (await servedCertificate(place, 'looped.team.svc')).serialNumber !== before.serialNumber;
        });
        await waitFor('the status says so', async () => (await condition('CertificateReady')) === 'Serving');
      }),
    ),

    step('OpenSSL takes the certificate by every name that it has, and by no other', async () => {
      const folder = cluster.state;
      const [authority, served] = [join(folder, 'looped-ca.crt'), join(folder, 'looped.crt')];
      const chain = await cluster.field('secret/looped-tls', '.data.tls\\.crt');
      writeFileSync(authority, place.authority);
      writeFileSync(served, Buffer.from(chain ?? '', 'base64'));
      const verify = (option: string, name: string) =>
        succeed('openssl', [
          'verify',
          '-x509_strict',
          '-purpose',
          'sslserver',
          '-CAfile',
          authority,
          option,
          name,
          served,
        ]);
      const clusterIP = await cluster.field('service/looped', '.spec.clusterIP');
      const services = ['looped', 'looped.team', 'looped.team.svc', 'looped.team.svc.cluster.local'];
      const good = [...names.filter((name) => !name.startsWith('*')), 'a.wild.example.com', ...services];
      for (const name of good) await verify('-verify_hostname', name);
      for (const address of [ADDRESS, String(clusterIP)]) await verify('-verify_ip', address);
      for (const name of foreign)
        await assert.rejects(verify('-verify_hostname', name), /hostname mismatch/i, name);
      await assert.rejects(verify('-verify_ip', '192.0.2.1'), /IP address mismatch/i);
      return `${good.length} names and 2 addresses; not ${foreign.join(', ')}, 192.0.2.1`;
    }),

    step('So does Go, as crane is written in it', async () => {
      const folder = join(cluster.state, 'looped-crane');
      const catalog = (name: string) =>
        crane({ ...place, name }, folder, ALICE, ['catalog', `${name}:${PORT}`]);
      const good = ['images.example.com', 'b.wild.example.com', 'looped.team.svc.cluster.local', ADDRESS];
      for (const name of good) {
        const { code, stderr } = await catalog(name);
        assert.equal(code, 0, `${name}: ${stderr}`);
      }
      for (const name of foreign) {
        const { code, stderr } = await catalog(name);
        assert.notEqual(code, 0);
        assert.match(stderr, /x509: certificate is valid for .*, not /, name);
      }
      return `by ${good.join(', ')}`;
    }),

    step('The operator is lost', () =>
      whilePulling(async () => {
        const pod = await operatorPod(cluster);
        await cluster.kubectl([
          'delete',
          pod,
          `--namespace=${SYSTEM_NAMESPACE}`,
          '--grace-period=1',
          '--wait',
        ]);
        await waitFor('another one', async () => (await operatorPod(cluster)) !== pod);
      }),
    ),

    step('The API server stands still for two minutes', () =>
      whilePulling(async () => {
        const [pid] = readFileSync(join(cluster.state, 'apiserver.pid'), 'utf8').split(' ');
        process.kill(-Number(pid), 'SIGSTOP');
        try {
          await delay(API_STOPPED_MS);
        } finally {
          process.kill(-Number(pid), 'SIGCONT');
        }
        await waitFor('a change has effect again', async () => {
          await cluster.apply(registry({ tls: { dnsNames: [...names, 'late.example.com'] } }));
          return cluster.field('registry/looped', '.status.conditions[?(@.type=="Ready")].status');
        });
        await waitFor('the new name is served', () => servedCertificate(place, 'late.example.com'));
      }),
    ),
  ];
}
