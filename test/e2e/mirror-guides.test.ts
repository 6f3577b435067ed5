import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { faultyProxy } from '../support/faulty-proxy.ts';
import { pushImage } from '../support/push-image.ts';
import { startServe } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { script } from './cluster.ts';
import { run } from './command.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { tarWithOneFile } from './image-layout.ts';
import { startPlaygroundProcess } from './playground-stage.ts';
import { startContainerd } from './support/containerd.ts';
import { freePort } from './support/free-port.ts';
import { Place, readGuide } from './support/guide.ts';
import { startNodeAgent } from './support/node-agent-process.ts';
import { waitFor } from './wait.ts';

/* Runs what docs/guides/from-other-mirrors.md tells to do. */

const { blocks, files } = readGuide('from-other-mirrors');
const [check, serve, mark, move, make, rename, look, enable, hand, change, ...others] = blocks;
const LAYER = tarWithOneFile('file', Buffer.from('a layer'), 0o644);

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mirror-guide-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("the guide from docker distribution's proxy", async (t) => {
  assert.equal(others.length, 0);
  const [, distribution] = distributions;
  if (distribution === undefined) throw new Error('there is no distribution 3');
  const folder = newFolder(t);
  const registry = await startServe(t);
  const { digest } = await pushImage(registry.url, 'library/app', 'v1', [LAYER]);
  const upstream = await faultyProxy(t, registry.url);
  const address = `127.0.0.1:${await freePort()}`;
  const [config, storage] = [join(folder, 'config.yml'), join(folder, 'storage')];
  // Nothing leads to Docker Hub.
  const place = new Place(t, { CONFIG: config, STORAGE: storage, HTTPS_PROXY: upstream.url });
  const copy = (name: string) =>
    place.run(`rm -rf pulled && stevedore copy ${address}/${name}:v1 oci:pulled`);
  const serving = async (t: TestContext, name: string): Promise<void> => {
    const child = place.start(t, serve);
    await waitFor(
      'Stevedore answers',
      async () => (await run('curl', ['-sf', `http://${address}/v2/`])).code === 0,
    );
    assert.match(await copy(name), new RegExp(digest));
    child.kill('SIGTERM');
    await once(child, 'exit');
  };

  await t.test('their proxy keeps an image', async (t) => {
    const settings = { http: { addr: address }, proxy: { remoteurl: upstream.url } };
    await serveWithDistribution(t, distribution, { config, storage, settings });
    await copy('library/app');
    // By this file a folder of theirs is told from that of a registry.
    const state = join(storage, 'scheduler-state.json');
    await waitFor('it has written what it will delete', async () => existsSync(state));
  });
  await upstream.down();
  assert.match(await place.run(check), /remoteurl/);
  await serving(t, 'library/app');

  rmSync(join(storage, 'docker/registry/stevedore'), { recursive: true });
  rmSync(join(storage, 'scheduler-state.json'));
  await assert.rejects(place.run(serve), /pushed|mirror/);
  await place.run(mark);
  await serving(t, 'library/app');

  const sections = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: address },
  };
  const head = Object.entries(sections).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  writeFileSync(config, head.join('') + (files.get('upstreams.yaml') ?? ''));
  assert.match(await place.run(check), /docker\.io/);
  await place.run(move);
  await serving(t, 'docker.io/library/app');
});

test('the guide from Harbor, on a playground', async (t) => {
  const folder = newFolder(t);
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(() => playground.stop());
  const programs = /bin=(\S+)/.exec(await script('kube', ['paths']))?.[1] ?? '';
  const authority = join(folder, 'ca.crt');
  writeFileSync(authority, (await createTestAuthority()).certificate);
  const place = new Place(
    t,
    {
      KUBECONFIG: join(folder, 'state/kubeconfig'),
      HARBOR: 'harbor.example.com',
      ROBOT: 'robot$pull',
      ROBOT_PASSWORD: 'secret',
      COMPANY_CA: authority,
    },
    programs,
  );
  for (const [name, content] of files) writeFileSync(join(place.folder, name), content);
  await place.run(make);

  mkdirSync(join(place.folder, 'manifests'));
  const manifest = join(place.folder, 'manifests/pod.yaml');
  writeFileSync(manifest, 'image: harbor.example.com/hub-proxy/library/alpine:3\n');
  await place.run(rename);
  assert.equal(readFileSync(manifest, 'utf8'), 'image: docker.io/library/alpine:3\n');

  assert.match(await place.run(look), /registry\.example\.com\.hosts\.toml/);
  // A playground has no nodes to write on.
  await waitFor('NodesReady tells', async () => (await place.run(enable)).includes('NotPermitted'));
});

test('the guide from hosts.toml written by hand, by containerd', async (t) => {
  const REGISTRY = 'registry.example.com';
  const registry = await startServe(t);
  const image = (name: string) => `${REGISTRY}/team/${name}:v1`;
  // Their mirror has the registry in the path.
  await pushImage(registry.url, 'their/team/app', 'v1', [LAYER]);
  await pushImage(registry.url, 'team/app', 'v1', [LAYER]);
  const upstream = await faultyProxy(t, registry.url);
  const authority = await createTestAuthority();
  const mirror = await startServe(t, {
    tls: authority,
    environment: {
      REGISTRY_STEVEDORE_MIRROR: JSON.stringify({ upstreams: [{ host: REGISTRY, url: upstream.url }] }),
    },
  });
  const containerd = await startContainerd(t, '2.x');
  const certificate = join(newFolder(t), 'ca.crt');
  writeFileSync(certificate, authority.certificate);
  const place = new Place(t, { REGISTRY, MIRROR: mirror.url, MIRROR_CA: certificate });
  const onNode = (block = ''): Promise<string> =>
    place.run(block.replaceAll('/etc/containerd/certs.d', containerd.certs));
  const file = join(containerd.certs, REGISTRY, 'hosts.toml');
  const byHand = `server = "http://127.0.0.1:1"

[host."${registry.url}/v2/their"]
  capabilities = ["pull", "resolve"]
  override_path = true
  skip_verify = true
`;
  const writeByHand = (): void => {
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, byHand);
  };
  const assertPulls = async (through: 'theirs' | 'ours'): Promise<void> => {
    const asked = upstream.requests.length + mirror.records.length;
    const { code, stderr } = await containerd.pull(image('app'));
    assert.equal(code, 0, stderr);
    const isOurs = upstream.requests.length + mirror.records.length > asked;
    assert.equal(isOurs ? 'ours' : 'theirs', through);
  };

  writeByHand();
  await assertPulls('theirs');

  const agent = await startNodeAgent(t, [
    `--containerd-certs=${containerd.certs}`,
    `--containerd-config=${containerd.config}`,
  ]);
  const entry = {
    kind: 'RegistryMirror',
    namespace: 'team',
    name: 'images',
    id: 'mirror-uid',
    nodes: ['node-1'],
    runtimes: ['Containerd'],
    ca: authority.certificate,
    hosts: [{ host: REGISTRY, endpoint: mirror.url, capabilities: ['pull', 'resolve'] }],
    trust: [],
  };
  await agent.follow([entry]);
  await agent.reach('Conflict');
  assert.equal(readFileSync(file, 'utf8'), byHand);
  await assertPulls('theirs');
  await onNode(hand);
  await agent.reach('Applied');
  await assertPulls('ours');

  await agent.follow([]);
  await agent.reach();
  assert.ok(!existsSync(file));
  writeByHand();
  await onNode(change);
  assert.equal(
    readFileSync(file, 'utf8'),
    `server = "http://127.0.0.1:1"

[host."${mirror.url}"]
ca = "mirror-ca.pem"
  capabilities = ["pull", "resolve"]
`,
  );
  await assertPulls('ours');
});
