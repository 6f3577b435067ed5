import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageClient } from './image-client.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import {
  ask,
  openRequest,
  pathOf,
  servedCertificate,
  type OpenRequest,
  type RegistryPlace,
  type User,
} from './registry-client.ts';
import type { Stage } from './stage.ts';
import { step, type Step } from './step.ts';
import { waitFor } from './wait.ts';

const NAME = 'registry.example.com';
const ANOTHER_NAME = 'images.example.com';
const REPOSITORY = 'team/app';
const MEBIBYTE = 1024 * 1024;
const alice: User = { name: 'alice', password: 'correct horse' };
const bob: User = { name: 'bob', password: 'battery staple' };

const userFromSecret = ({ name }: User) => ({ name, passwordSecretRef: { name: 'users', key: name } });
const registry = (nodePort: number) => ({
  apiVersion: 'stevedore.dev/v1alpha1',
  kind: 'Registry',
  metadata: { name: 'team' },
  spec: {
    hostname: `${NAME}:${nodePort}`,
    storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
    tls: { ipAddresses: ['127.0.0.1'] },
    service: { type: 'NodePort', nodePort },
    auth: { htpasswd: { users: [userFromSecret(alice)] } },
  },
});
const users = (passwords: readonly User[]) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'users', labels: { 'stevedore.dev/use': 'credentials' } },
  stringData: Object.fromEntries(passwords.map(({ name, password }) => [name, password])),
});
const collection = {
  apiVersion: 'stevedore.dev/v1alpha1',
  kind: 'RegistryGC',
  metadata: { name: 'now' },
  spec: { registryRef: { name: 'team' }, minimumAge: '0s', trashGrace: '0s' },
};

/** The main job, from a Registry to its collected garbage, on a cluster where the operator runs. `folder` is for files, and is empty. */
export function mainJob(stage: Stage, folder: string): readonly Step[] {
  const { nodePort: port } = stage;
  // What a step finds and later ones need; each is there when the steps before have passed.
  let place: RegistryPlace;
  let images: ImageClient;
  let serverPod: string;
  let big: ImageLayout;
  let upload: { readonly request: OpenRequest; readonly location: string; readonly first: Buffer };
  let bytesBefore: number;

  const assertNoRestart = async () =>
    assert.equal(await stage.servers(), serverPod, 'the pod is another one');
  const startUpload = () => ask(place, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`, { user: alice });

  return [
    step('Apply a Registry with one user, and wait until it is ready', async () => {
      await stage.apply(users([alice]));
      await stage.apply(registry(port));
      place = await readyRegistry(stage, 'team', { name: NAME, address: '127.0.0.1', port });
      const url = await stage.field('registry/team', '.status.url');
      assert.equal(url, `https://${NAME}:${port}`);
      images = stage.images(place, REPOSITORY, folder);
      serverPod = await stage.servers();
      return `Ready at ${url}`;
    }),

    step('Push an image of 4 layers over TLS as alice', async () => {
      big = await writeImageLayout(join(folder, 'pushed'), 4, 14 * MEBIBYTE);
      const start = performance.now();
      await images.push(alice, big.folder, 'v1');
      const seconds = (performance.now() - start) / 1000;
      assert.equal(await images.digest(alice, 'v1'), big.digest);
      return `${mebibytes(big.size)} in ${seconds.toFixed(1)} s, digest ${big.digest.slice(0, 19)}…`;
    }),

    step('Pull it back and compare every byte', async () => {
      await images.pull(alice, 'v1', join(folder, 'pulled'));
      const same = await compareLayouts(big.folder, join(folder, 'pulled'));
      assert.equal(same, big.size);
      return `${same} bytes in ${big.layers.length + 2} blobs are the same`;
    }),

    step('A wrong password is refused', async () => {
      const wrong = { ...alice, password: 'wrong' };
      const answer = await ask(place, 'GET', '/v2/', { user: wrong });
      assert.equal(answer.status, 401, answer.body);
      assert.match(answer.headers['www-authenticate'] ?? '', /^Basic realm=/);
      await assert.rejects(images.digest(wrong, 'v1'), /401|UNAUTHORIZED/);
      return `401 ${answer.headers['www-authenticate']}`;
    }),

    step('Add the user bob by a Secret, and let him in without a restart', async () => {
      assert.equal((await ask(place, 'GET', '/v2/', { user: bob })).status, 401);
      await stage.apply(users([alice, bob]));
      await stage.patch('registry/team', {
        spec: { auth: { htpasswd: { users: [userFromSecret(alice), userFromSecret(bob)] } } },
      });
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
      await stage.patch('registry/team', { spec: { tls: { dnsNames: [ANOTHER_NAME] } } });
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
      await images.push(bob, small.folder, 'v2');
      await images.remove(alice, big.digest);
      const answer = await ask(place, 'GET', `/v2/${REPOSITORY}/manifests/${big.digest}`, { user: alice });
      assert.equal(answer.status, 404, answer.body);
      assert.deepEqual(await images.tags(alice), ['v2']);
      bytesBefore = await volumeBytes(stage);
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
      await stage.apply(collection);
      await waitFor('the run drains', async () => {
        const phase = await stage.field('registrygc/now', '.status.phase');
        const result = await stage.field('registrygc/now', '.status.lastRun.result');
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
        () => stage.field('registrygc/now', '.status.lastRun.result'),
        { timeout: 120_000 },
      );
      const message = await stage.field('registrygc/now', '.status.lastRun.message');
      assert.equal(result, 'Succeeded', message ?? 'without a message');
      const reclaimed = Number(await stage.field('registrygc/now', '.status.lastRun.bytesReclaimed'));
      assert.ok(reclaimed >= big.size - MEBIBYTE, `only ${reclaimed} bytes were reclaimed`);
      const after = await volumeBytes(stage);
      assert.ok(
        bytesBefore - after > big.size - 3 * MEBIBYTE,
        `the volume had ${bytesBefore} and has ${after} bytes`,
      );
      for (const layer of big.layers) {
        const gone = await ask(place, 'HEAD', `/v2/${REPOSITORY}/blobs/${layer}`, { user: alice });
        assert.equal(gone.status, 404);
      }
      const held = await stage.field('registrygc/now', '.status.lastRun.readOnlySeconds');
      return `${mebibytes(reclaimed)} reclaimed, the volume has ${mebibytes(after)}; writes were held for ${held} s`;
    }),

    step('Writes work again, and what was kept is whole', async () => {
      const start = performance.now();
      await images.push(alice, big.folder, 'v3');
      const seconds = (performance.now() - start) / 1000;
      await images.pull(bob, 'v2', join(folder, 'kept'));
      await compareLayouts(join(folder, 'small'), join(folder, 'kept'));
      await images.pull(bob, 'v3', join(folder, 'again'));
      await compareLayouts(big.folder, join(folder, 'again'));
      await assertNoRestart();
      return `pushed anew in ${seconds.toFixed(1)} s; both images are whole; the pod is still the first one`;
    }),
  ];
}

const mebibytes = (bytes: number) => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
const sha256 = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** What the files on the volume of the Registry add up to. The node is this machine, and its volumes are folders. */
async function volumeBytes(stage: Stage): Promise<number> {
  const volume = await stage.field('persistentvolumeclaim/team', '.spec.volumeName');
  assert.ok(volume !== undefined, 'the claim has no volume');
  const folder = join(stage.volumes, volume);
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
