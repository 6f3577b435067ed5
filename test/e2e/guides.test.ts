import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import packageFile from '../../package.json' with { type: 'json' };
import { startServe } from '../support/serve-process.ts';
import { script } from './cluster.ts';
import { run } from './command.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { writeImageLayout } from './image-layout.ts';
import { freePort } from './support/free-port.ts';
import { Place, readGuide } from './support/guide.ts';
import { waitFor } from './wait.ts';

/*
 * Runs every command of docs/guides, in the order in which they stand there: each shell block in a shell of its own, with
 * the names that the guide speaks of in its environment.
 */

const root = join(import.meta.dirname, '../..');

const host = (url: string): string => new URL(url).host;

test('the guide from docker distribution', async (t) => {
  const [, distribution] = distributions;
  if (distribution === undefined) throw new Error('there is no distribution 3');
  const { blocks } = readGuide('from-distribution');
  const folder = mkdtempSync(join(tmpdir(), 'guide-storage-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'config.yml');
  const old = host(
    (await serveWithDistribution(t, distribution, { config, storage: join(folder, 'storage') })).url,
  );
  const other = `127.0.0.1:${await freePort()}`;
  const empty = host((await startServe(t)).url);
  const place = new Place(t, { CONFIG: config, OLD: old, NEW: other, EMPTY: empty });
  const { folder: image, digest } = await writeImageLayout(join(folder, 'image'), 2, 100_000);
  await place.run(`stevedore copy oci:${image} ${old}/team/app:v1`);

  const [check, serve, compare, collect, move, backup, ...others] = blocks;
  assert.equal(others.length, 0);
  assert.match(await place.run(check), /rootdirectory/);
  place.start(t, serve);
  await waitFor(
    'Stevedore answers',
    async () => (await run('curl', ['-sf', `http://${other}/v2/`])).code === 0,
  );
  assert.match(await place.run(compare), /^1 image: 0 copied, 1 unchanged, 0 failed/m);
  assert.match(await place.run(collect), /Succeeded/);
  assert.match(await place.run(move), /1 copied/);
  assert.match(
    await place.run(backup),
    new RegExp(`copied.*oci:backup.*${digest}[^]*unchanged.*team/app:v1`),
  );
});

test('the guide from Harbor, with a registry that asks for a login in its place', async (t) => {
  const { blocks } = readGuide('from-harbor');
  const harbor = await startServe(t, { users: { admin: 'Harbor12345' } });
  const other = host((await startServe(t)).url);
  const place = new Place(t, { HARBOR: harbor.address, HARBOR_PASSWORD: 'Harbor12345', NEW: other });
  const { folder: image } = await writeImageLayout(join(place.folder, 'image'), 2, 100_000);
  await place.run(
    `stevedore copy --dst-creds=admin:Harbor12345 oci:${image} ${harbor.address}/library/app:v1`,
  );

  const [everything, one, carried, ...others] = blocks;
  assert.equal(others.length, 0);
  assert.match(await place.run(everything), /1 copied/);
  assert.match(await place.run(one), /1 unchanged/);
  assert.match(await place.run(carried), /1 copied[^]*1 unchanged/);
});

/** What the chart of twuni makes, as far as the guide meets it; our server stands in for docker's image. */
const release = (image: string, config: string): readonly object[] => {
  const labels = { app: 'docker-registry', release: 'docker-registry' };
  const metadata = { name: 'docker-registry', labels };
  const volumes = [
    { name: 'data', persistentVolumeClaim: { claimName: 'docker-registry' } },
    { name: 'config', configMap: { name: 'docker-registry-config' } },
  ];
  const container = {
    name: 'docker-registry',
    image,
    args: ['serve', '/etc/docker/registry/config.yml'],
    volumeMounts: [
      { name: 'data', mountPath: '/var/lib/registry' },
      { name: 'config', mountPath: '/etc/docker/registry' },
    ],
  };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata,
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'docker-registry-config', labels },
      data: { 'config.yml': config },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'docker-registry-secret', labels },
      stringData: { htpasswd: '' },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'helm.sh/release.v1',
      metadata: {
        name: 'sh.helm.release.v1.docker-registry.v1',
        labels: { owner: 'helm', name: 'docker-registry' },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'http', port: 5000 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container], volumes } },
      },
    },
  ];
};

test('the guide from the twuni chart, on a playground', async (t) => {
  const { blocks, files } = readGuide('from-twuni-chart');
  const programs = /bin=(\S+)/.exec(await script('kube', ['paths']))?.[1] ?? '';
  const state = mkdtempSync(join(tmpdir(), 'guide-playground-'));
  const playground = spawn(join(root, 'bin/stevedore'), ['playground', `--state=${state}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    playground.kill('SIGINT');
    await once(playground, 'exit');
    rmSync(state, { recursive: true, force: true });
  });
  for await (const line of createInterface({ input: playground.stdout }))
    if (line.includes('The operator works')) break;
  playground.stdout.resume();
  const place = new Place(
    t,
    { KUBECONFIG: join(state, 'kubeconfig'), ALICE_PASSWORD: 'correct-horse' },
    programs,
  );
  for (const [name, content] of files) writeFileSync(join(place.folder, name), content);
  const config = JSON.stringify({
    version: 0.1,
    storage: { filesystem: { rootdirectory: '/var/lib/registry' } },
    http: { addr: ':5000' },
  });
  const items = release(`localhost/stevedore:${packageFile.version}`, config);
  writeFileSync(
    join(place.folder, 'release.yaml'),
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
  await place.run(
    'kubectl apply --validate=false --filename=release.yaml && kubectl wait deployment/docker-registry --for=condition=Available',
  );
  const podAddress = async (labels: string): Promise<string> =>
    `${(await place.run(`kubectl get pods --selector=${labels} --output=jsonpath='{.items[0].status.podIP}'`)).trim()}:5000`;
  const { folder: image, digest } = await writeImageLayout(join(place.folder, 'image'), 2, 100_000);
  const old = await podAddress('app=docker-registry');
  await place.run(`stevedore copy --dst-insecure oci:${image} ${old}/team/app:v1`);

  const [stop, users, permit, apply, forget, collect, ...others] = blocks;
  assert.equal(others.length, 0);
  for (const block of [stop, users, permit, apply]) await place.run(block);
  const pulled = async (): Promise<string> => {
    const address = await podAddress('app.kubernetes.io/component=registry');
    return place.run(
      `stevedore copy --src-insecure --src-creds=alice:correct-horse ${address}/team/app:v1 oci:pulled`,
    );
  };
  assert.match(await pulled(), new RegExp(digest));
  for (const block of [forget, collect]) await place.run(block);
  const left = await place.run(
    'kubectl get deployments,services,persistentvolumeclaims,secrets --output=name',
  );
  assert.match(left, /persistentvolumeclaim\/docker-registry/);
  assert.doesNotMatch(left, /deployment\.apps\/docker-registry|service\/docker-registry|sh\.helm/);
  assert.match(await pulled(), new RegExp(digest));
});
