import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TEAM_NAMESPACE, volumeFolder, type Cluster } from './cluster.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import {
  ask,
  crane,
  openRequest,
  pathOf,
  servedCertificate,
  type OpenRequest,
  type RegistryPlace,
  type User,
} from './registry-client.ts';
import { step, type Step } from './step.ts';
import { waitFor } from './wait.ts';

const NAME = 'registry.example.com';
const PORT = 30500;
const ANOTHER_NAME = 'images.example.com';
const REPOSITORY = 'team/app';
const MEBIBYTE = 1024 * 1024;
const alice: User = { name: 'alice', password: 'correct horse' };
const bob: User = { name: 'bob', password: 'battery staple' };

const registry = `
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: team}
spec:
  hostname: ${NAME}:${PORT}
  storage: {filesystem: {size: 1Gi, deletionPolicy: Delete}}
  tls: {ipAddresses: [127.0.0.1]}
  service: {type: NodePort, nodePort: ${PORT}}
  auth: {htpasswd: {users: [{name: alice, passwordSecretRef: {name: users, key: alice}}]}}
`;
const users = (passwords: readonly User[]) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'users', labels: { 'stevedore.dev/use': 'credentials' } },
  stringData: Object.fromEntries(passwords.map(({ name, password }) => [name, password])),
});
const collection = `
apiVersion: stevedore.dev/v1alpha1
kind: RegistryGC
metadata: {name: now}
spec: {registryRef: {name: team}, minimumAge: 0s, trashGrace: 0s}
`;

/** The main job, from a Registry to its collected garbage, on a cluster where the operator runs. `folder` is for files, and is empty. */
export function mainJob(cluster: Cluster, folder: string): readonly Step[] {
  // What a step finds and later ones need; each is there when the steps before have passed.
  let place: RegistryPlace;
  let serverPod: string;
  let big: ImageLayout;
  let upload: { readonly request: OpenRequest; readonly location: string; readonly first: Buffer };
  let bytesBefore: number;

  /** The pod that serves, with how often its container was started anew: another value is a restart. */
  const podOfRegistry = () =>
    cluster.kubectl([
      'get',
      'pods',
      `--namespace=${TEAM_NAMESPACE}`,
      '--selector=app.kubernetes.io/component=registry',
      '--output=jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
    ]);
  const assertNoRestart = async () =>
    assert.equal(await podOfRegistry(), serverPod, 'the pod is another one');
  const reference = (tagOrDigest: string) =>
    `${NAME}:${PORT}/${REPOSITORY}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`;
  const craneAs = async (user: User, ...args: string[]) => {
    const outcome = await crane(place, folder, user, args);
    assert.equal(outcome.code, 0, `crane ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout.trim();
  };
  const startUpload = () => ask(place, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`, { user: alice });

  return [
    step('Apply a Registry with one user, and wait until it is ready', async () => {
      await cluster.apply(users([alice]));
      await cluster.apply(registry);
      place = await readyRegistry(cluster, 'team', { name: NAME, address: '127.0.0.1', port: PORT });
      const url = await cluster.field('registry/team', '.status.url');
      assert.equal(url, `https://${NAME}:${PORT}`);
      serverPod = await podOfRegistry();
      return `Ready at ${url}`;
    }),

    step('Push an image of 4 layers over TLS as alice', async () => {
      big = await writeImageLayout(join(folder, 'pushed'), 4, 14 * MEBIBYTE);
      const start = performance.now();
      await craneAs(alice, 'push', big.folder, reference('v1'));
      const seconds = (performance.now() - start) / 1000;
      assert.equal(await craneAs(alice, 'digest', reference('v1')), big.digest);
      return `${mebibytes(big.size)} in ${seconds.toFixed(1)} s, digest ${big.digest.slice(0, 19)}…`;
    }),

    step('Pull it back and compare every byte', async () => {
      await craneAs(alice, 'pull', '--format=oci', reference('v1'), join(folder, 'pulled'));
      const same = await compareLayouts(big.folder, join(folder, 'pulled'));
      assert.equal(same, big.size);
      return `${same} bytes in ${big.layers.length + 2} blobs are the same`;
    }),

    step('A wrong password is refused', async () => {
      const wrong = { ...alice, password: 'wrong' };
      const answer = await ask(place, 'GET', '/v2/', { user: wrong });
      assert.equal(answer.status, 401, answer.body);
      assert.match(answer.headers['www-authenticate'] ?? '', /^Basic realm=/);
      const outcome = await crane(place, folder, wrong, ['digest', reference('v1')]);
      assert.notEqual(outcome.code, 0);
      assert.match(outcome.stderr, /UNAUTHORIZED|401/);
      return `401 ${answer.headers['www-authenticate']}; crane: ${lastLine(outcome.stderr)}`;
    }),

    step('Add the user bob by a Secret, and let him in without a restart', async () => {
      assert.equal((await ask(place, 'GET', '/v2/', { user: bob })).status, 401);
      await cluster.apply(users([alice, bob]));
      await patch(cluster, [
        { op: 'add', path: '/spec/auth/htpasswd/users/-', value: userFromSecret('bob') },
      ]);
      const start = performance.now();
      await waitFor(
        'bob is let in',
        async () => (await ask(place, 'GET', '/v2/', { user: bob })).status === 200,
      );
      const seconds = (performance.now() - start) / 1000;
      assert.equal((await ask(place, 'GET', '/v2/', { user: alice })).status, 200);
      await assertNoRestart();
      return `bob is in after ${seconds.toFixed(1)} s, in the same pod`;
    }),

    step(`Add ${ANOTHER_NAME} to the certificate, and have it served without a restart`, async () => {
      await assert.rejects(servedCertificate(place, ANOTHER_NAME), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      const before = await servedCertificate(place, NAME);
      await patch(cluster, [{ op: 'add', path: '/spec/tls/dnsNames', value: [ANOTHER_NAME] }]);
      const start = performance.now();
      const now = await waitFor('the new certificate', () => servedCertificate(place, ANOTHER_NAME));
      const seconds = (performance.now() - start) / 1000;
      assert.notEqual(now.serialNumber, before.serialNumber);
      assert.match(now.subjectaltname ?? '', new RegExp(`DNS:${ANOTHER_NAME}`));
      assert.equal((await servedCertificate(place, NAME)).serialNumber, now.serialNumber);
      await assertNoRestart();
      return `serial ${now.serialNumber.slice(0, 8)}… after ${seconds.toFixed(1)} s, trusted by the same ca.crt, in the same pod`;
    }),

    step('Delete the image by its digest, and push another one', async () => {
      const small = await writeImageLayout(join(folder, 'small'), 2, MEBIBYTE);
      await craneAs(bob, 'push', small.folder, reference('v2'));
      await craneAs(alice, 'delete', reference(big.digest));
      const answer = await ask(place, 'GET', `/v2/${REPOSITORY}/manifests/${big.digest}`, { user: alice });
      assert.equal(answer.status, 404, answer.body);
      const tags = await craneAs(alice, 'ls', `${NAME}:${PORT}/${REPOSITORY}`);
      assert.deepEqual(tags.split('\n'), ['v2']);
      bytesBefore = await volumeBytes(cluster);
      assert.ok(bytesBefore > big.size, `the volume holds ${bytesBefore} bytes`);
      return `GET says 404; its layers are still on the volume: ${mebibytes(bytesBefore)}`;
    }),

    step('Collect garbage while an upload is in progress: the run waits for it', async () => {
      const opened = await startUpload();
      assert.equal(opened.status, 202, opened.body);
      const first = randomBytes(MEBIBYTE);
      const location = pathOf(opened.headers.location);
      const request = openRequest(place, 'PATCH', location, {
        user: alice,
        headers: { 'content-type': 'application/octet-stream' },
      });
      await request.send(first);
      upload = { request, location, first };
      await cluster.apply(collection);
      await waitFor('the run drains', async () => {
        const phase = await cluster.field('registrygc/now', '.status.phase');
        const result = await cluster.field('registrygc/now', '.status.lastRun.result');
        return phase === 'Draining' && result === undefined;
      });
      return 'RegistryGC now is Draining; 1 MiB of the upload has been sent';
    }),

    step('A second client is held for 15 s, and then told why', async () => {
      const start = performance.now();
      const answer = await startUpload();
      const seconds = (performance.now() - start) / 1000;
      assert.equal(answer.status, 503, answer.body);
      assert.ok(seconds > 13 && seconds < 20, `answered after ${seconds} s`);
      assert.ok(Number(answer.headers['retry-after']) > 0, 'there is no Retry-After');
      assert.match(answer.body, /UNAVAILABLE/);
      const pull = await ask(place, 'GET', `/v2/${REPOSITORY}/manifests/v2`, { user: alice });
      assert.equal(pull.status, 200, 'reads go on');
      return `503 after ${seconds.toFixed(1)} s, Retry-After ${answer.headers['retry-after']}: ${answer.body.trim()}`;
    }),

    step('The upload finishes, the run ends, and the bytes are back', async () => {
      const second = randomBytes(MEBIBYTE);
      const sent = await upload.request.finish(second);
      assert.equal(sent.status, 202, sent.body);
      const digest = sha256(Buffer.concat([upload.first, second]));
      const location = pathOf(sent.headers.location);
      const separator = location.includes('?') ? '&' : '?';
      const put = await ask(place, 'PUT', `${location}${separator}digest=${digest}`, { user: alice });
      assert.equal(put.status, 201, put.body);
      const result = await waitFor(
        'the run ends',
        () => cluster.field('registrygc/now', '.status.lastRun.result'),
        { timeout: 120_000 },
      );
      const message = await cluster.field('registrygc/now', '.status.lastRun.message');
      assert.equal(result, 'Succeeded', message ?? 'without a message');
      const reclaimed = Number(await cluster.field('registrygc/now', '.status.lastRun.bytesReclaimed'));
      assert.ok(reclaimed >= big.size - MEBIBYTE, `only ${reclaimed} bytes were reclaimed`);
      const after = await volumeBytes(cluster);
      assert.ok(
        bytesBefore - after > big.size - 3 * MEBIBYTE,
        `the volume had ${bytesBefore} and has ${after} bytes`,
      );
      for (const layer of big.layers) {
        const gone = await ask(place, 'HEAD', `/v2/${REPOSITORY}/blobs/${layer}`, { user: alice });
        assert.equal(gone.status, 404);
      }
      const held = await cluster.field('registrygc/now', '.status.lastRun.readOnlySeconds');
      return `${mebibytes(reclaimed)} reclaimed, the volume has ${mebibytes(after)}; writes were held for ${held} s`;
    }),

    step('Writes work again, and what was kept is whole', async () => {
      const start = performance.now();
      await craneAs(alice, 'push', big.folder, reference('v3'));
      const seconds = (performance.now() - start) / 1000;
      await craneAs(bob, 'pull', '--format=oci', reference('v2'), join(folder, 'kept'));
      await compareLayouts(join(folder, 'small'), join(folder, 'kept'));
      await craneAs(bob, 'pull', '--format=oci', reference('v3'), join(folder, 'again'));
      await compareLayouts(big.folder, join(folder, 'again'));
      await assertNoRestart();
      return `pushed anew in ${seconds.toFixed(1)} s; both images are whole; the pod is still the first one`;
    }),
  ];
}

const userFromSecret = (name: string) => ({ name, passwordSecretRef: { name: 'users', key: name } });
const mebibytes = (bytes: number) => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
const sha256 = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`;
const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';

async function patch(cluster: Cluster, operations: readonly object[]): Promise<void> {
  const change = JSON.stringify(operations);
  await cluster.kubectl([
    'patch',
    'registry/team',
    `--namespace=${TEAM_NAMESPACE}`,
    '--type=json',
    `--patch=${change}`,
  ]);
}

/** What the files on the volume of the Registry add up to. */
async function volumeBytes(cluster: Cluster): Promise<number> {
  const folder = await volumeFolder(cluster, 'team');
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // A file may go while we look: the server rewrites its announcements.
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
