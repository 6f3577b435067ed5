import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { createTestAuthority } from '../../support/test-authority.ts';
import { faultyProxy, type FaultyProxy } from '../../support/faulty-proxy.ts';
import { script } from '../cluster.ts';
import { run, type Outcome } from '../command.ts';
import { waitFor } from '../wait.ts';
import { startContainerd } from './containerd.ts';
import { startDocker } from './dockerd.ts';

/** A mirror as its clients see it, and the registry that it mirrors. */
export interface Mirrored {
  /** By which names of images begin, as the mirror knows the registry. */
  readonly host: string;
  /** Where the mirror answers. */
  readonly mirror: FaultyProxy;
  /** Where the registry itself answers. */
  readonly direct: FaultyProxy;
}

/** Programs that pull images, and verify what they get. */
export type ClientName = 'containerd' | 'containerd 1.x' | 'docker' | 'CRI-O' | 'skopeo' | 'crane';

export interface PullingClient {
  readonly name: ClientName;
  /** Pulls `repository:v1` as if never before. */
  pull(from: Mirrored, repository: string): Promise<Outcome>;
}

/** For the registry itself: no mirror may get it. */
const LOGIN = 'ann:correct horse';

/** Docker's own name for Docker Hub's registry. */
const HUB = 'registry-1.docker.io';

/** Each with what belongs to it; they end with the test. Needs root. */
export function startPullingClients(
  t: TestContext,
  folder: string,
  names: readonly ClientName[],
): Promise<readonly PullingClient[]> {
  const start = {
    containerd: () => containerdClient(t, '2.x'),
    'containerd 1.x': () => containerdClient(t, '1.x'),
    docker: () => dockerClient(t, folder),
    'CRI-O': () => registriesConfClient(folder),
    skopeo: () => skopeoClient(folder),
    crane: () => craneClient(folder),
  };
  return Promise.all(names.map(async (name) => ({ name, pull: await start[name]() })));
}

type Pull = PullingClient['pull'];

const newFolder = (folder: string): string => mkdtempSync(join(folder, 'pull-'));

/** By the name of the mirror, with the registry in the path. */
function skopeoClient(folder: string): Pull {
  return ({ host, mirror }, repository) =>
    run('skopeo', [
      'copy',
      '--preserve-digests',
      '--src-tls-verify=false',
      `docker://${mirror.host}/${host}/${repository}:v1`,
      `oci:${join(newFolder(folder), 'layout')}`,
    ]);
}

async function craneClient(folder: string): Promise<Pull> {
  const crane = (await script('tools', ['crane'])).trim();
  return ({ host, mirror }, repository) =>
    run(crane, [
      'pull',
      '--insecure',
      '--format=oci',
      `${mirror.host}/${host}/${repository}:v1`,
      join(newFolder(folder), 'layout'),
    ]);
}

/** By `hosts.toml`, with `ns`. */
async function containerdClient(t: TestContext, generation: '1.x' | '2.x'): Promise<Pull> {
  const containerd = await startContainerd(t, generation);
  return ({ host, mirror, direct }, repository) => {
    const place = join(containerd.certs, host);
    mkdirSync(place, { recursive: true });
    writeFileSync(
      join(place, 'hosts.toml'),
      `server = "${direct.url}"\n[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`,
    );
    return containerd.pull(`${host}/${repository}:v1`, LOGIN);
  };
}

/**
 * By `registry-mirrors`, without `ns`, and with a password for Docker Hub. It knows one mirror and one registry: behind either
 * address are those of the repository.
 */
async function dockerClient(t: TestContext, folder: string): Promise<Pull> {
  const places = new Map<string, Mirrored>();
  const placeOf = (path: string): Mirrored | undefined => {
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(path)?.[1];
    // Any says the same of /v2/.
    return places.get(repository ?? '') ?? places.values().next().value;
  };
  const mirror = await faultyProxy(t, (path) => placeOf(path)?.mirror.url ?? '');
  const direct = await faultyProxy(t, (path) => placeOf(path)?.direct.url ?? '');
  const hub = await standForHub(t, direct);
  const authority = join(folder, 'hub-ca.pem');
  writeFileSync(authority, hub.certificate);
  const docker = await startDocker(t, {
    environment: { HTTPS_PROXY: hub.proxy, SSL_CERT_FILE: authority },
  });
  docker.reconfigure({ 'registry-mirrors': [mirror.url], 'max-download-attempts': 2 });
  await waitFor('docker has read its settings', async () =>
    (await docker.docker('info', '--format', '{{.RegistryConfig.Mirrors}}')).includes(mirror.host),
  );
  const auths = { 'https://index.docker.io/v1/': { auth: btoa(LOGIN) } };
  mkdirSync(join(docker.folder, 'config'), { recursive: true });
  writeFileSync(join(docker.folder, 'config/config.json'), JSON.stringify({ auths }));
  return async (from, repository) => {
    places.set(repository, from);
    const outcome = await docker.attempt('pull', `${repository}:v1`);
    places.delete(repository);
    if (outcome.code === 0) await docker.docker('image', 'rm', `${repository}:v1`);
    return outcome;
  };
}

/** Docker Hub's registry over TLS, by a proxy that leads nowhere else. */
async function standForHub(t: TestContext, target: FaultyProxy) {
  const authority = await createTestAuthority();
  const { certificate, key } = await authority.issue([HUB]);
  const hub = createTlsServer({ cert: certificate, key }, (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    fetch(new URL(url, target.url), { method, headers: { accept: headers.accept ?? '*/*' } })
      .then(async (answer) => {
        const body = Buffer.from(await answer.arrayBuffer());
        outgoing.writeHead(answer.status, {
          ...Object.fromEntries(answer.headers),
          'content-length': body.length,
        });
        outgoing.end(body);
      })
      .catch(() => outgoing.destroy());
  });
  const proxy = createServer();
  for (const server of [hub, proxy]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.closeAllConnections());
    t.after(() => server.close());
  }
  const port = (server: typeof hub | typeof proxy) => (server.address() as AddressInfo).port; // they listen on TCP
  proxy.on('connect', (request, client) => {
    if (request.url !== `${HUB}:443`) {
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const through = connect(port(hub), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connected\r\n\r\n');
      through.pipe(client).pipe(through);
    });
    for (const end of [through, client])
      end.on('error', () => [through, client].forEach((one) => one.destroy()));
  });
  return { certificate: authority.certificate, proxy: `http://127.0.0.1:${port(proxy)}` };
}

/** skopeo's library, as CRI-O and podman have it, by `registries.conf`. */
function registriesConfClient(folder: string): Pull {
  return ({ host, mirror, direct }, repository) => {
    const place = newFolder(folder);
    const file = join(place, 'registries.conf');
    writeFileSync(
      file,
      `[[registry]]
prefix = "${host}"
location = "${direct.host}"
insecure = true
[[registry.mirror]]
location = "${mirror.host}/${host}"
insecure = true
`,
    );
    return run('skopeo', [
      `--registries-conf=${file}`,
      'copy',
      '--preserve-digests',
      `--src-creds=${LOGIN}`,
      `docker://${host}/${repository}:v1`,
      `oci:${join(place, 'layout')}`,
    ]);
  };
}
