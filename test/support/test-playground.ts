import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { createKubeMetrics } from '../../src/kube/metrics.ts';
import type { KubeObject, Stored } from '../../src/kube/object.ts';
import type { ResourceType } from '../../src/kube/resources.ts';
import { createTokenCredentials } from '../../src/kube/token-credentials.ts';
import { createTransport, type Transport } from '../../src/kube/transport.ts';
import type { Program } from '../../src/playground/node/container-process.ts';
import { startPlayground } from '../../src/playground/playground.ts';
import { systemClock } from '../../src/process/clock.ts';
import { logSink, type LogRecord } from './log-sink.ts';
import { waitFor } from './wait-for.ts';

const root = join(import.meta.dirname, '../..');

export const TEST_IMAGE = 'localhost/stevedore:test';
export const NAMESPACE = 'default';
const thisProgram: Program = {
  node: process.execPath,
  main: join(root, 'src/main.ts'),
  folder: root,
  preload: join(root, 'src/playground/node/inside-pod.ts'),
};

/** API server, controllers and a node in this process, without the operator; and an administrator of it. */
export interface TestPlayground {
  readonly client: KubeClient;
  readonly folder: string;
  readonly records: readonly LogRecord[];
  /** What `kubectl logs` shows. Throws ApiError when there is nothing to show. */
  logs(pod: string, query?: Readonly<Record<string, string>>): Promise<string>;
  /** Waits until an object is so, and gives it. */
  until<T extends KubeObject>(
    type: ResourceType<T>,
    name: string,
    condition: (object: Stored<T>) => boolean,
  ): Promise<Stored<T>>;
  untilGone<T extends KubeObject>(type: ResourceType<T>, name: string): Promise<void>;
  /** Once more is no harm; it ends with the test at the latest. */
  stop(): Promise<void>;
}

/** Starts a playground; the `folder` of an earlier one goes on where that ended. */
export async function startTestPlayground(t: TestContext, folder?: string): Promise<TestPlayground> {
  const own = folder ?? (await mkdtemp(join(tmpdir(), 'stevedore-playground-')));
  if (folder === undefined) t.after(() => rm(own, { recursive: true }));
  const { log, records } = logSink();
  const running = await startPlayground({
    folder: own,
    program: thisProgram,
    image: TEST_IMAGE,
    version: '0.0.0',
    clock: systemClock,
    random: Math.random,
    log,
    metrics: new Registry(),
  });
  const transport = await transportFor(running.kubeconfig);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= transport.close().then(() => running.stop()));
  t.after(stop);
  const client = createKubeClient({ transport, fieldManager: 'test' });
  const find = <T extends KubeObject>(type: ResourceType<T>, name: string): Promise<Stored<T> | undefined> =>
    client.find(type, type.namespaced ? { namespace: NAMESPACE, name } : { name });
  return {
    client,
    folder: own,
    records,
    stop,
    async logs(pod, query = {}) {
      const path = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/log`;
      const body = await transport.open({ method: 'GET', path, query: new URLSearchParams(query) });
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    },
    async until(type, name, condition) {
      for (let seen = await find(type, name); ; seen = await find(type, name)) {
        if (seen !== undefined && condition(seen)) return seen;
        await waitFor(
          async () => (await find(type, name))?.metadata.resourceVersion !== seen?.metadata.resourceVersion,
        );
      }
    },
    untilGone: (type, name) => waitFor(async () => (await find(type, name)) === undefined),
  };
}

interface WrittenConfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
  ];
  readonly users: readonly [{ readonly user: { readonly token: string } }];
}

async function transportFor(kubeconfig: string): Promise<Transport> {
  // The playground writes it as JSON, in this shape.
  const { clusters, users } = JSON.parse(await readFile(kubeconfig, 'utf8')) as WrittenConfig;
  const { server, 'certificate-authority-data': authority } = clusters[0].cluster;
  return createTransport({
    credentials: createTokenCredentials({
      server,
      authority: Buffer.from(authority, 'base64').toString(),
      token: users[0].user.token,
    }),
    clock: systemClock,
    metrics: createKubeMetrics(new Registry()),
    userAgent: 'test',
  });
}
