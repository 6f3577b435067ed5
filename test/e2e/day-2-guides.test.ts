import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { script } from './cluster.ts';
import { writeImageLayout } from './image-layout.ts';
import { startPlaygroundProcess } from './playground-stage.ts';
import { Place, readGuide } from './support/guide.ts';

/* Runs what the guides for every day after the first tell to do, on a playground. */

const PASSWORD = 'correct-horse';

const registry = (name: string, port: number) => `
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: ${name}}
spec:
  hostname: localhost:${port}
  storage: {filesystem: {size: 1Gi}}
  service: {type: NodePort, nodePort: ${port}}
  auth: {htpasswd: {users: [{name: alice, passwordSecretRef: {name: users}}, {name: robot, generate: true}]}}
`;

async function prepare(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'day-2-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(() => playground.stop());
  const programs = /bin=(\S+)/.exec(await script('kube', ['paths']))?.[1] ?? '';
  const port = playground.stage.nodePort;
  const place = new Place(
    t,
    {
      KUBECONFIG: join(folder, 'state/kubeconfig'),
      HOST: `localhost:${port}`,
      PASSWORD,
      OLD: `localhost:${port}`,
    },
    programs,
  );
  await place.run(`
    kubectl create secret generic users --from-literal=password=${PASSWORD}
    kubectl label secret users stevedore.dev/use=credentials
    kubectl apply --filename=- <<'YAML'
${registry('team', port)}
YAML
    kubectl wait registry/team --for=condition=Ready --timeout=120s`);
  return { place, folder, port };
}

test('certificates, upgrade, sizing, backup and restore, as their guides tell', async (t) => {
  const { place, folder } = await prepare(t);

  const [trust, names, wrong, ...others] = readGuide('certificates').blocks;
  assert.equal(others.length, 0);
  await place.run(trust);
  await place.run(names);
  assert.match(await place.run(wrong), /^Registry default\/team/);

  const [status, queue, ...more] = readGuide('upgrade').blocks;
  assert.equal(more.length, 0);
  assert.match(await place.run(status), /Everything is as it should be/);
  assert.match(await place.run(queue), /team +True/);

  const { folder: image, digest } = await writeImageLayout(join(folder, 'image'), 2, 100_000);
  const copy = `stevedore copy --dst-ca=ca.crt --dst-creds=alice:${PASSWORD} oci:${image} "$HOST/app:v1"`;
  await place.run(copy);
  const authority = readFileSync(join(place.folder, 'ca.crt'), 'utf8');

  const [backup, restore, ...rest] = readGuide('backup-and-restore').blocks;
  assert.equal(rest.length, 0);
  const generated = `kubectl get secret team-user-robot --output=jsonpath='{.data.password}'`;
  const password = await place.run(generated);
  await place.run(backup);
  // All but the volume is lost.
  await place.run('kubectl delete registry team --wait && kubectl delete secrets --all');
  // The playground does not describe the kind List.
  await place.run(restore?.replace('kubectl apply', 'kubectl apply --validate=false'));
  await place.run(trust);
  assert.equal(readFileSync(join(place.folder, 'ca.crt'), 'utf8'), authority);
  assert.equal(await place.run(generated), password);
  const pulled = await place.run(
    `stevedore copy --src-ca=ca.crt --src-creds=alice:${PASSWORD} "$HOST/app:v1" oci:pulled`,
  );
  assert.match(pulled, new RegExp(digest));

  const [resources, runs, ...left] = readGuide('sizing').blocks;
  assert.equal(left.length, 0);
  await place.run(resources);
  await place.run(runs);
});

test('to other storage, as the guide tells', async (t) => {
  const { place, folder } = await prepare(t);
  const fresh = await startServe(t);
  await place.run(`kubectl get configmap team-ca --output=jsonpath='{.data.ca\\.crt}' > ca.crt`);
  const { folder: image } = await writeImageLayout(join(folder, 'image'), 2, 100_000);
  await place.run(
    `stevedore copy --dst-ca=ca.crt --dst-creds=alice:${PASSWORD} oci:${image} "$OLD/team/app:v1"`,
  );
  const [copy, last, ...others] = readGuide('move-storage').blocks;
  assert.equal(others.length, 0);
  // The new one stands in for a Registry: plain HTTP, which loopback allows, and no users.
  const to = (block = '') => block.replaceAll('"$NEW"', fresh.address);
  assert.match(await place.run(to(copy)), /1 copied/);
  assert.match(await place.run(to(last)), /1 unchanged/);
});

test('without the internet, as the guide tells', async (t) => {
  const outside = await startServe(t);
  const inside = await startServe(t);
  const place = new Place(t, {
    IMAGE: `${outside.address}/stevedore`,
    OUTSIDE: outside.address,
    INSIDE: inside.address,
  });
  const { folder: image } = await writeImageLayout(join(place.folder, 'image'), 2, 100_000);
  await place.run(`stevedore copy oci:${image} ${outside.address}/stevedore:0.1.0`);
  const [write, read, everything, ...others] = readGuide('air-gap').blocks;
  assert.equal(others.length, 0);
  for (const block of [write, read]) assert.match(await place.run(block), /1 copied/);
  assert.match(await place.run(everything), /1 copied[^]*1 image/);
});
