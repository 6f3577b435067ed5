import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Registry as MetricsRegistry } from 'prom-client';
import { createKubeClient } from '../../src/kube/client.ts';
import { createCredentials, loadKubeConfig } from '../../src/kube/credentials.ts';
import { createKubeMetrics } from '../../src/kube/metrics.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  apiVersionOf,
  configMaps,
  namespaces,
  persistentVolumeClaims,
  pods,
  resourceType,
  secrets,
  type ResourceType,
} from '../../src/kube/resources.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { systemClock } from '../../src/process/clock.ts';
import { TEAM_NAMESPACE } from './cluster.ts';
import { plainImages } from './image-client.ts';
import type { Stage } from './stage.ts';
import { waitFor } from './wait.ts';

const root = join(import.meta.dirname, '../..');

/** `stevedore playground` as a process of its own, with its state in `folder`. */
export interface PlaygroundProcess {
  readonly stage: Stage;
  readonly pid: number;
  /** What it printed so far. */
  output(): string;
  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>;
}

const ours = (plural: string, kind: string) =>
  resourceType<KubeObject>({ group: 'stevedore.dev', version: 'v1alpha1', plural, kind, namespaced: true });
const types: readonly ResourceType<KubeObject>[] = [
  ours('registries', 'Registry'),
  ours('registrymirrors', 'RegistryMirror'),
  ours('registrygcs', 'RegistryGC'),
  secrets,
  configMaps,
  persistentVolumeClaims,
];

/** Starts a playground and waits until the operator works. It ends when this process does, however that ends. */
export async function startPlaygroundProcess(folder: string): Promise<PlaygroundProcess> {
  const preload = pathToFileURL(join(root, 'src/playground/node/inside-pod.ts'));
  preload.searchParams.set('place', JSON.stringify({ address: '127.0.0.1', mounts: [], untouched: [] }));
  const args = ['--import', preload.href, join(root, 'src/main.ts'), 'playground', '--state', folder];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    detached: true,
  });
  // By the options above.
  assert.ok(child.stdout !== null);
  let output = '';
  const { promise: works, resolve, reject } = Promise.withResolvers<void>();
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.includes('The operator works')) resolve();
  });
  const exited = once(child, 'exit');
  void exited.then(() => reject(new Error(`the playground ended: ${output}`)));
  await works;
  return {
    stage: await playgroundStage(folder),
    pid: child.pid ?? 0,
    output: () => output,
    async stop() {
      child.kill('SIGINT');
      // The code is a number, or null after a signal.
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
}

async function playgroundStage(folder: string): Promise<Stage> {
  const config = join(folder, 'kubeconfig');
  const client = createKubeClient({
    transport: createTransport({
      credentials: createCredentials({ load: () => loadKubeConfig(config), clock: systemClock }),
      clock: systemClock,
      metrics: createKubeMetrics(new MetricsRegistry()),
      userAgent: 'main-job',
    }),
    fieldManager: 'main-job',
  });
  const namespace = TEAM_NAMESPACE;
  await client.apply(namespaces, { metadata: { name: namespace } });
  const find = async (resource: string): Promise<unknown> => {
    const [kind = '', name = ''] = resource.split('/');
    return client.find(typeOf(kind), { namespace, name });
  };
  const field = async (resource: string, path: string): Promise<string | undefined> => {
    const found = at(await find(resource), path);
    return found === undefined || typeof found === 'string' ? found : JSON.stringify(found);
  };
  return {
    volumes: join(folder, 'volumes'),
    nodePort: await freeNodePort(),
    async apply(object) {
      const type = typeOf(object.kind);
      if (apiVersionOf(type) !== object.apiVersion)
        throw new Error(`no ${object.kind} of ${object.apiVersion}`);
      await client.apply(type, { ...object, metadata: { ...object.metadata, namespace } });
    },
    async patch(resource, change) {
      const [kind = '', name = ''] = resource.split('/');
      await client.patch(typeOf(kind), { namespace, name }, { ...change });
    },
    async ready(resource) {
      await waitFor(`${resource} is ready`, async () => {
        const conditions = at(await find(resource), '.status.conditions');
        return (
          Array.isArray(conditions) &&
          conditions.some(
            (condition) => at(condition, '.type') === 'Ready' && at(condition, '.status') === 'True',
          )
        );
      });
    },
    field,
    async servers() {
      const labelSelector = 'app.kubernetes.io/component=registry';
      const { items } = await client.listAll(pods, { namespace, labelSelector });
      return items
        .map(({ metadata, status }) => `${metadata.uid} ${status?.containerStatuses?.[0]?.restartCount}`)
        .join('\n');
    },
    images: plainImages,
  };
}

function typeOf(kind: string): ResourceType<KubeObject> {
  const type = types.find((known) => known.kind.toLowerCase() === kind.toLowerCase());
  if (type === undefined) throw new Error(`the main job has no ${kind}`);
  return type;
}

/** What a simple JSONPath such as `.data.ca\.crt` leads to. */
function at(value: unknown, path: string): unknown {
  const names = path.match(/(?:[^.\\]|\\.)+/g) ?? [];
  return names
    .map((name) => name.replaceAll('\\', ''))
    .reduce<unknown>(
      (found, name) =>
        typeof found === 'object' && found !== null ? new Map(Object.entries(found)).get(name) : undefined,
      value,
    );
}

/** One of Kubernetes' range that nobody listens on. */
async function freeNodePort(): Promise<number> {
  for (;;) {
    const port = 30_000 + Math.floor(Math.random() * 2768);
    const server = createServer();
    const bound = await new Promise<AddressInfo | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      // A server on TCP has an address of this kind.
      server.listen(port, '127.0.0.1', () => resolve(server.address() as AddressInfo));
    });
    if (bound === undefined) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
