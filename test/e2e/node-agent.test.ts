import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { succeed } from './command.ts';
import { plainImages } from './image-client.ts';
import { writeImageLayout } from './image-layout.ts';
import { CONTAINERDS, startContainerd, type Containerd } from './support/containerd.ts';
import { startDocker } from './support/dockerd.ts';
import { startNodeAgent } from './support/node-agent-process.ts';

/** Clients take any certificate of a loopback address, so that this machine gets another one for a while. RFC 2544. */
const ADDRESS = '198.18.77.1';
before(() => succeed('ip', ['address', 'replace', `${ADDRESS}/32`, 'dev', 'lo']));
after(() => succeed('ip', ['address', 'delete', `${ADDRESS}/32`, 'dev', 'lo']));

const NOBODY = { name: 'nobody', password: 'nothing' };

interface Registry {
  readonly host: string;
  readonly authority: TestAuthority;
  readonly server: ServeProcess;
}

/** A registry over TLS, with an image under each name. */
async function startRegistry(
  t: TestContext,
  images: readonly string[],
  users?: Readonly<Record<string, string>>,
): Promise<Registry> {
  const authority = await createTestAuthority();
  const server = await startServe(t, { tls: authority, host: ADDRESS, ...(users && { users }) });
  const [address = '', port] = server.address.split(':');
  const place = { name: address, address, port: Number(port), authority: authority.certificate };
  const folder = mkdtempSync(join(tmpdir(), 'layout-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of images) {
    const layout = await writeImageLayout(join(folder, name), 1, 10_000);
    await plainImages(place, name).push(NOBODY, layout.folder, 'v1');
  }
  return { host: server.address, authority, server };
}

async function stop({ server }: Registry): Promise<void> {
  server.process.kill('SIGKILL');
  await once(server.process, 'exit');
}

const entry = (change: object) => ({
  kind: 'RegistryMirror',
  namespace: 'team',
  name: 'cache',
  nodes: ['node-1'],
  runtimes: ['Containerd'],
  hosts: [],
  trust: [],
  ...change,
});

const mirrorOf = (upstream: string, mirror: Registry) =>
  entry({
    id: 'mirror-uid',
    ca: mirror.authority.certificate,
    hosts: [{ host: upstream, endpoint: `https://${mirror.host}`, capabilities: ['pull', 'resolve'] }],
  });

const trustOf = ({ host, authority }: Registry, change: object = {}) =>
  entry({ id: 'registry-uid', kind: 'Registry', trust: [{ host, ca: authority.certificate }], ...change });

const agentOf = (t: TestContext, containerd: Containerd) =>
  startNodeAgent(t, [`--containerd-certs=${containerd.certs}`, `--containerd-config=${containerd.config}`]);

async function assertPulls(containerd: Containerd, image: string): Promise<void> {
  const { code, stderr } = await containerd.pull(image);
  assert.equal(code, 0, stderr);
}

for (const generation of ['1.x', '2.x'] as const satisfies (keyof typeof CONTAINERDS)[]) {
  test(`containerd ${generation} pulls by what the agent writes, and directly when the mirror is gone`, async (t) => {
    const containerd = await startContainerd(t, generation);
    assert.ok(containerd.version.replace('v', '').startsWith(generation.slice(0, 1)), containerd.version);
    const [upstream, mirror] = await Promise.all([
      startRegistry(t, ['both', 'upstream-only']),
      startRegistry(t, ['both', 'mirror-only']),
    ]);
    const foreign = join(containerd.certs, 'somebody.example.com/hosts.toml');
    mkdirSync(join(foreign, '..'));
    writeFileSync(foreign, 'server = "https://somebody.example.com"\n');
    const agent = await agentOf(t, containerd);
    const image = (name: string) => `${upstream.host}/${name}:v1`;

    await t.test('nothing is trusted before', async () => {
      assert.notEqual((await containerd.pull(image('both'))).code, 0);
    });

    await t.test('a registry is trusted', async () => {
      await agent.follow([trustOf(upstream)]);
      await agent.reach('Applied');
      await assertPulls(containerd, image('both'));
    });

    await t.test('images come from the mirror, and what it lacks from the registry', async () => {
      await agent.follow([trustOf(upstream), mirrorOf(upstream.host, mirror)]);
      await agent.reach('Applied', 'Applied');
      await assertPulls(containerd, image('mirror-only'));
      await assertPulls(containerd, image('upstream-only'));
    });

    await t.test('a mirror that stops costs no pull, and is taken back', async () => {
      await stop(mirror);
      await assertPulls(containerd, image('both'));
      const { entries } = await agent.reach('Unreachable', 'Applied');
      assert.match(entries[0]?.message ?? '', /ECONNREFUSED/);
      assert.doesNotMatch(
        readFileSync(join(containerd.certs, upstream.host, 'hosts.toml'), 'utf8'),
        new RegExp(mirror.host),
      );
      await assertPulls(containerd, image('both'));
    });

    await t.test('a plan without them takes all back', async () => {
      await agent.follow([]);
      await agent.reach();
      assert.notEqual((await containerd.pull(image('both'))).code, 0);
      assert.equal(readFileSync(foreign, 'utf8'), 'server = "https://somebody.example.com"\n');
    });
  });
}

test('a mirror that asks for a password is written when the plan has it, and containerd sends it', async (t) => {
  const mirror = await startRegistry(t, ['app'], { [NOBODY.name]: NOBODY.password });
  // Nothing is there: what is pulled comes from the mirror.
  const upstream = 'upstream.invalid:5000';
  const host = { host: upstream, endpoint: `https://${mirror.host}`, capabilities: ['pull', 'resolve'] };
  const authorization = `Basic ${Buffer.from(`${NOBODY.name}:${NOBODY.password}`).toString('base64')}`;
  const plan = (change: object) => [
    entry({ id: 'mirror-uid', ca: mirror.authority.certificate, hosts: [{ ...host, ...change }] }),
  ];
  for (const generation of ['1.x', '2.x'] as const) {
    const containerd = await startContainerd(t, generation);
    const agent = await agentOf(t, containerd);
    await agent.follow(plan({}));
    const { entries } = await agent.reach('Waiting');
    assert.match(entries[0]?.message ?? '', /asks for a login/);
    await agent.follow(plan({ header: { authorization } }));
    await agent.reach('Applied');
    await assertPulls(containerd, `${upstream}/app:v1`);
  }
});

test('containerd 2.x takes no notice of several folders, and the agent says so; 1.x reads them', async (t) => {
  const registry = await startRegistry(t, ['app']);
  for (const [generation, isRead] of [
    ['2.x', false],
    ['1.x', true],
  ] as const) {
    const containerd = await startContainerd(t, generation, '/etc/docker/certs.d');
    const agent = await agentOf(t, containerd);
    await agent.follow([trustOf(registry)]);
    // What 1.x makes of it does not show in its configuration.
    const { entries } = await agent.reach('NotEffective');
    assert.match(entries[0]?.message ?? '', /2\.1 and later ignore a config_path of several folders/);
    assert.equal((await containerd.pull(`${registry.host}/app:v1`)).code === 0, isRead);
  }
});

test('an agent that ends leaves the files, and the next one goes on', async (t) => {
  const containerd = await startContainerd(t, '1.x');
  const registry = await startRegistry(t, ['app']);
  const first = await agentOf(t, containerd);
  await first.follow([trustOf(registry)]);
  await first.reach('Applied');
  await first.stop();
  await assertPulls(containerd, `${registry.host}/app:v1`);
  const second = await agentOf(t, containerd);
  assert.equal((await second.report()).planHash, undefined);
  await assertPulls(containerd, `${registry.host}/app:v1`);
  await second.follow([]);
  await second.reach();
  assert.notEqual((await containerd.pull(`${registry.host}/app:v1`)).code, 0);
});

test('docker pulls from a registry that the agent makes it trust', async (t) => {
  const registry = await startRegistry(t, ['app']);
  const docker = await startDocker(t, { authorities: {} });
  const certs = join(docker.folder, 'etc/certs.d');
  mkdirSync(certs, { recursive: true });
  const image = `${registry.host}/app:v1`;
  assert.notEqual((await docker.attempt('pull', image)).code, 0);
  const agent = await startNodeAgent(t, [`--docker-certs=${certs}`]);
  await agent.follow([trustOf(registry, { runtimes: ['Docker'] })]);
  await agent.reach('Applied');
  await docker.docker('pull', image);
});
