import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEAM_NAMESPACE, assertNothingForbidden, connect, volumeFolder, type Cluster } from './cluster.ts';
import { succeed } from './command.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { compareLayouts, writeImageLayout, writeProgramLayout, type ImageLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import { ask, crane, servedCertificate, type RegistryPlace, type User } from './registry-client.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps } from './step.ts';
import { waitFor } from './wait.ts';

const PORT = 30510;
/** Of node-1. */
const ADDRESS = '10.244.255.1';
/** As containerd asks for it: by the node port. At a loopback address it would try without TLS. */
const HOST = `${ADDRESS}:${PORT}`;
const ALICE: User = { name: 'alice', password: 'correct horse' };
const BOB: User = { name: 'bob', password: 'battery staple' };
const CAROL: User = { name: 'carol', password: 'tr0ub4dor&3' };

const registry = `
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: kept}
spec:
  hostname: ${HOST}
  storage: {filesystem: {size: 1Gi}}
  service: {type: NodePort, nodePort: ${PORT}}
  auth:
    htpasswd:
      users:
        - {name: alice, passwordSecretRef: {name: alice}}
        - {name: bob, passwordSecretRef: {name: bob}}
        - {name: carol, passwordSecretRef: {name: carol}}
`;

const secret = ({ name, password }: User, labels: object) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels },
  stringData: { password },
});
const PERMITTED = { 'stevedore.dev/use': 'credentials' };

test('a Registry in daily life', async (t) => {
  const cluster = await connect();
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  t.after(async () => {
    await cluster.kubectl(['delete', 'pods', '--all', '--namespace', TEAM_NAMESPACE, '--grace-period=1']);
    await cluster.kubectl([
      'delete',
      'registries,secrets,persistentvolumeclaims',
      '--all',
      '--namespace',
      TEAM_NAMESPACE,
    ]);
    rmSync(folder, { recursive: true });
  });
  await testSteps(t, daysOf(t, cluster, folder));
});

function daysOf(t: Parameters<typeof serveWithDistribution>[0], cluster: Cluster, folder: string) {
  let place: RegistryPlace;
  let image: ImageLayout;
  let pod: string;
  const craneAs = async (user: User, ...args: readonly string[]) => {
    const outcome = await crane(place, folder, user, args);
    assert.equal(outcome.code, 0, `crane ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout.trim();
  };
  const login = async (user: User) => (await ask(place, 'GET', '/v2/', { user })).status;
  const condition = (type: string, field: string) =>
    cluster.field('registry/kept', `.status.conditions[?(@.type=="${type}")].${field}`);
  const waitForUsers = (reason: string) =>
    waitFor(`UsersReady ${reason}`, async () => (await condition('UsersReady', 'reason')) === reason);
  const podOfRegistry = async () => {
    const uid = await cluster.kubectl([
      'get',
      'pods',
      `--namespace=${TEAM_NAMESPACE}`,
      '--selector=app.kubernetes.io/component=registry,app.kubernetes.io/instance=kept',
      '--output=jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}',
    ]);
    return uid;
  };
  const waitUntilReady = () =>
    readyRegistry(kubernetesStage(cluster), 'kept', { name: ADDRESS, address: ADDRESS, port: PORT });

  return [
    step(
      'Of three users one can log in, and a condition says what the Secrets of the others lack',
      async () => {
        await cluster.apply(secret(ALICE, PERMITTED));
        await cluster.apply(secret(BOB, {}));
        await cluster.apply(registry);
        place = await waitUntilReady();
        pod = await podOfRegistry();
        await waitForUsers('NotPermitted');
        const message = String(await condition('UsersReady', 'message'));
        assert.match(message, /bob: .*kubectl label secret bob stevedore\.dev\/use=credentials/);
        assert.match(
          message,
          /carol: There is no Secret carol\. Make it, with the password under the key password/,
        );
        assert.ok(!message.includes(BOB.password));
        assert.deepEqual([await login(ALICE), await login(BOB), await login(CAROL)], [200, 401, 401]);
        return message;
      },
    ),

    step(
      'It heals by itself and without a restart: the Secret is labelled, the other one is made',
      async () => {
        const label = ['label', 'secret', 'bob', 'stevedore.dev/use=credentials'];
        await cluster.kubectl([...label, `--namespace=${TEAM_NAMESPACE}`]);
        await waitForUsers('SecretNotFound');
        await cluster.apply(secret(CAROL, PERMITTED));
        await waitForUsers('InForce');
        assert.deepEqual([await login(ALICE), await login(BOB), await login(CAROL)], [200, 200, 200]);
        assert.equal(await cluster.field('registry/kept', '.status.users.count'), '3');
        assert.equal(await podOfRegistry(), pod);
        return 'all three are in, in the same pod';
      },
    ),

    step('A node pulls a pod’s image from it, once it has the CA and the pod a pull Secret', async () => {
      image = await writeProgramLayout(join(folder, 'program'), join(cluster.bin, 'pause'));
      await craneAs(ALICE, 'push', image.folder, `${HOST}/team/program:v1`);
      const pullSecret = [
        'create',
        'secret',
        'docker-registry',
        'pull',
        `--docker-server=${HOST}`,
        `--namespace=${TEAM_NAMESPACE}`,
      ];
      await cluster.kubectl([
        ...pullSecret,
        `--docker-username=${ALICE.name}`,
        `--docker-password=${ALICE.password}`,
      ]);

      await cluster.apply(podOf('without-ca', ['pull']));
      await waitFor('x509', async () =>
        /x509: certificate signed by unknown authority/.test(await eventsOf(cluster, 'without-ca')),
      );

      const certificates = join(cluster.state, 'node-1/certs.d', HOST);
      mkdirSync(certificates, { recursive: true });
      writeFileSync(join(certificates, 'ca.crt'), place.authority);
      writeFileSync(
        join(certificates, 'hosts.toml'),
        `server = "https://${HOST}"\n[host."https://${HOST}"]\n  ca = "ca.crt"\n`,
      );
      await cluster.apply(podOf('without-secret', []));
      await cluster.apply(podOf('pulls', ['pull']));
      const start = performance.now();
      await cluster.kubectl([
        'wait',
        'pod/pulls',
        '--for=condition=Ready',
        `--namespace=${TEAM_NAMESPACE}`,
        '--timeout=60s',
      ]);
      const seconds = (performance.now() - start) / 1000;
      await waitFor('the pod without a Secret is refused', async () =>
        /401|authorization failed|unauthorized/i.test(await eventsOf(cluster, 'without-secret')),
      );
      const pulled = await cluster.field('pod/pulls', '.status.containerStatuses[0].imageID');
      assert.ok(pulled?.endsWith(image.digest), `it runs ${pulled}`);
      return `x509 without the CA, refused without the Secret, and else it runs ${pulled?.slice(0, 60)}… after ${seconds.toFixed(1)} s`;
    }),

    step('containerd pushes an image as well', async () => {
      const socket = [
        '--address',
        join(cluster.state, 'node-1/containerd.sock'),
        '--namespace',
        'k8s.io',
        'images',
      ];
      const access = [
        '--hosts-dir',
        join(cluster.state, 'node-1/certs.d'),
        '--user',
        `${ALICE.name}:${ALICE.password}`,
      ];
      await succeed('ctr', [
        ...socket,
        'push',
        ...access,
        `${HOST}/team/pushed:v1`,
        `${HOST}/team/program:v1`,
      ]);
      assert.equal(await craneAs(ALICE, 'digest', `${HOST}/team/pushed:v1`), image.digest);
      return image.digest;
    }),

    step('kubectl get and describe tell a stranger what there is', async () => {
      const table = await cluster.kubectl(['get', 'registry', `--namespace=${TEAM_NAMESPACE}`]);
      const [head = '', row = ''] = table.split('\n');
      assert.match(head, /^NAME +READY +URL +CERTIFICATE +READ-ONLY +AGE$/);
      assert.match(row, new RegExp(`^kept +True +https://${HOST} +\\d{4}-\\d\\d-\\d\\dT\\S+ +false +\\S+$`));
      const wide = await cluster.kubectl([
        'get',
        'reg',
        'kept',
        '--output=wide',
        `--namespace=${TEAM_NAMESPACE}`,
      ]);
      assert.match(wide, /Available/);
      const description = await cluster.kubectl([
        'describe',
        'registry',
        'kept',
        `--namespace=${TEAM_NAMESPACE}`,
      ]);
      for (const expected of [
        /Normal +Available/,
        /Warning +SecretNotFound/,
        /Warning +NotPermitted/,
        /Normal +InForce/,
        /Normal +Bound/,
      ]) {
        assert.match(description, expected);
      }
      const help = await cluster.kubectl(['explain', 'registry.spec.storage.filesystem.deletionPolicy']);
      assert.match(help, /Retain/);
      return row.trim();
    }),

    step(
      'It is deleted and made again: the ca.crt of yesterday still fits, the images are there',
      async () => {
        const before = await servedCertificate(place, 'kept.team.svc');
        await cluster.kubectl(['delete', 'registry', 'kept', `--namespace=${TEAM_NAMESPACE}`, '--wait']);
        await waitFor('the pod is gone', async () => (await podOfRegistry()).trim() === '');
        assert.equal(
          await cluster.field('persistentvolumeclaim/kept', '.status.phase'),
          'Bound',
          'the volume stays',
        );
        const start = performance.now();
        await cluster.apply(registry);
        const now = await waitUntilReady();
        const seconds = (performance.now() - start) / 1000;
        assert.equal(now.authority, place.authority);
        const after = await waitFor('the certificate', () => servedCertificate(place, 'kept.team.svc'));
        await craneAs(BOB, 'pull', '--format=oci', `${HOST}/team/program:v1`, join(folder, 'program-again'));
        assert.equal(await compareLayouts(image.folder, join(folder, 'program-again')), image.size);
        pod = await podOfRegistry();
        return `Ready again after ${seconds.toFixed(1)} s; certificate ${before.serialNumber.slice(0, 8)}… then, ${after.serialNumber.slice(0, 8)}… now`;
      },
    ),

    step(
      "Debian's docker-registry serves the volume, and what it pushes there the Registry serves",
      async () => {
        const [debian] = distributions;
        assert.ok(debian);
        const volume = await volumeFolder(cluster, 'kept');
        const { uid, gid } = statSync(join(volume, 'docker/registry/v2'));
        // As the user of the pods, who may not enter the folders above the volume: so it starts in there.
        chmodSync(folder, 0o755);
        const theirs = await serveWithDistribution(t, debian, {
          config: join(folder, 'debian.yml'),
          storage: '.',
          process: { uid, gid, cwd: volume },
        });
        const { host } = new URL(theirs.url);
        await craneAs(ALICE, 'pull', '--format=oci', `${host}/team/program:v1`, join(folder, 'by-debian'));
        assert.equal(await compareLayouts(image.folder, join(folder, 'by-debian')), image.size);
        assert.deepEqual(await theirs.catalog(), ['team/program', 'team/pushed']);

        const other = await writeImageLayout(join(folder, 'other'), 2, 1_000_000);
        for (const repository of ['team/program', 'debian/app']) {
          await craneAs(ALICE, 'push', other.folder, `${host}/${repository}:v2`);
          const target = join(folder, `of-debian-${repository.replace('/', '-')}`);
          await craneAs(ALICE, 'pull', '--format=oci', `${HOST}/${repository}:v2`, target);
          assert.equal(await compareLayouts(other.folder, target), other.size);
        }
        await craneAs(ALICE, 'push', image.folder, `${HOST}/debian/app:v3`);
        assert.equal(await craneAs(ALICE, 'digest', `${host}/debian/app:v3`), image.digest);
        assert.equal(await podOfRegistry(), pod);
        return `both serve ${(await theirs.catalog()).join(', ')}`;
      },
    ),

    step('The operator has lacked no right', async () => {
      await assertNothingForbidden(cluster);
      return 'no request of the operator was refused';
    }),
  ];
}

/** A pod that runs the program, as the restricted level wants it. */
function podOf(name: string, pullSecrets: readonly string[]) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      imagePullSecrets: pullSecrets.map((secretName) => ({ name: secretName })),
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'program',
          image: `${HOST}/team/program:v1`,
          imagePullPolicy: 'Always',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

function eventsOf(cluster: Cluster, pod: string): Promise<string> {
  return cluster.kubectl([
    'get',
    'events',
    `--namespace=${TEAM_NAMESPACE}`,
    `--field-selector=involvedObject.name=${pod}`,
    '--output=jsonpath={.items[*].message}',
  ]);
}
