import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { createEventRecorder } from '../kube/event-recorder.ts';
import { createKubeMetrics } from '../kube/metrics.ts';
import {
  customResourceDefinitions,
  leases,
  namespaces,
  serviceAccounts,
  type CustomResourceDefinition,
} from '../kube/resources.ts';
import { createTokenCredentials } from '../kube/token-credentials.ts';
import { createTransport } from '../kube/transport.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import type { GrantedRule } from './api-server/http/authorize.ts';
import { startApiServer, type ApiServer, type ApiServerOptions } from './api-server/http/server.ts';
import { createIdentity, kubeconfig, portIn } from './api-server/identity.ts';
import { runControllers } from './controllers/controllers.ts';
import { ContainerProcess, type Program } from './node/container-process.ts';
import { startNode, type PlaygroundNode } from './node/node.ts';
import { claimsFolder } from './node/pod-worker.ts';
import { podLogsOf } from './pod-logs.ts';
import { openStateFolder, replaceFile } from './state-folder.ts';

export interface PlaygroundOptions {
  /** Everything that it keeps. */
  readonly folder: string;
  /** Of the API server; the one of the last time, or any free one, where absent. */
  readonly port?: number | undefined;
  /** This program, which pods run, and the name of the image that it stands for. */
  readonly program: Program;
  readonly image: string;
  readonly version: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** API server, controllers and a node, in this process. */
export interface Playground {
  readonly url: string;
  /** The file with which a client is the administrator. */
  readonly kubeconfig: string;
  /** Everything that it keeps, in the form in which the kernel knows the path. */
  readonly folder: string;
  readonly client: KubeClient;
  /** Lets the operator in with these rights and runs it as a process of its own, until `stop`. Resolves when it works. */
  runOperator(options: OperatorOptions): Promise<void>;
  /** Ends all that it started; the state stays. */
  stop(): Promise<void>;
}

interface OperatorOptions {
  readonly namespace: string;
  /** Of the lease in that namespace, which it holds while it works. */
  readonly lease: string;
  /** Of its ServiceAccount. */
  readonly account: string;
  readonly rules: readonly GrantedRule[];
  /** CustomResourceDefinitions that are to be there. */
  readonly definitions: readonly { readonly metadata: { readonly name: string }; readonly spec: object }[];
}

const NODE_NAME = 'node-1';
const LOOK_MS = 50;
const OPERATOR_GRACE_MS = 5_000;
const OPERATOR_RESTART_MS = 1_000;

/** Starts a playground. @throws {FolderInUseError} when another has the folder */
export async function startPlayground(options: PlaygroundOptions): Promise<Playground> {
  const { clock, random, log, program, image, version } = options;
  const state = await openStateFolder(options.folder);
  await using started = new AsyncDisposableStack();
  started.defer(() => state.release());

  let node: PlaygroundNode | undefined;
  // Made anew each time: who has the kubeconfig needs nothing of an earlier one.
  const { authority, token, tls } = await createIdentity(clock.now());
  const config = join(state.path, 'kubeconfig');
  const lastPort = portIn(await readFile(config, 'utf8').catch(() => ''));
  const server = await listen(options.port, lastPort, {
    path: join(state.path, 'objects.log'),
    tls,
    users: [{ name: 'admin', token, rules: 'all' }],
    clock,
    random,
    log,
    podLogs: podLogsOf(() => node),
  });
  started.defer(() => server.close());
  const { url } = server;
  await replaceFile(config, kubeconfig({ url, authority, token }));

  const metrics = createKubeMetrics(options.metrics);
  const credentials = createTokenCredentials({ server: url, authority, token });
  const userAgent = `stevedore/${version}`;
  const transport = createTransport({ credentials, clock, metrics, userAgent });
  started.defer(() => transport.close());
  const client = createKubeClient({ transport, fieldManager: 'stevedore-playground' });
  const controller = 'stevedore.dev/playground';
  const events = createEventRecorder({ client, controller, instance: NODE_NAME, clock, random, log });
  const tools = { client, events, clock, random, log, metrics };

  const stopping = new AbortController();
  const controllers = runControllers({ ...tools, volumes: claimsFolder(state.path) }, stopping.signal);
  started.defer(async () => {
    stopping.abort();
    await controllers;
  });
  const place = { program, image, version, folder: state.path, name: NODE_NAME };
  const running = (node = startNode({ ...tools, ...place }));
  started.defer(() => running.stop());
  await running.ready;

  const parts = started.move();
  return {
    url,
    kubeconfig: config,
    folder: state.path,
    client,
    async runOperator({ namespace, lease, account, rules, definitions }) {
      for (const { metadata, spec } of definitions) {
        // The program's own kinds; the API server checks them like any other.
        await client.apply(customResourceDefinitions, {
          metadata,
          spec: spec as CustomResourceDefinition['spec'],
        });
      }
      await client.apply(namespaces, { metadata: { name: namespace } });
      await client.apply(serviceAccounts, { metadata: { namespace, name: account } });
      // Who held it has ended with the last playground, perhaps without giving it back.
      await client.delete(leases, { namespace, name: lease });
      const user = { name: `system:serviceaccount:${namespace}:${account}`, token: randomToken(), rules };
      server.admit(user);
      const file = join(state.path, 'operator.kubeconfig');
      await replaceFile(file, kubeconfig({ url, authority, token: user.token, namespace }));
      const args = [
        'operator',
        `--image=${image}`,
        `--leader-election-namespace=${namespace}`,
        `--kubeconfig=${file}`,
        '--health-address=127.0.0.1:0',
      ];
      parts.use(keepRunning(options, state.path, args));
      while ((await client.find(leases, { namespace, name: lease }))?.spec.holderIdentity === undefined) {
        await clock.sleep(LOOK_MS, stopping.signal);
      }
    },
    stop: () => parts.disposeAsync(),
  };
}

/** On the port that is asked for, the one of the last time, or any that is free. */
async function listen(
  port: number | undefined,
  lastPort: number,
  options: Omit<ApiServerOptions, 'port'>,
): Promise<ApiServer> {
  try {
    return await startApiServer({ ...options, port: port ?? lastPort });
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    if (!isTaken || port !== undefined) throw error;
    return startApiServer({ ...options, port: 0 });
  }
}

/** Runs the operator, and again when it ends, until it is disposed of. */
function keepRunning(
  { program, clock, log }: PlaygroundOptions,
  folder: string,
  args: readonly string[],
): AsyncDisposable {
  const stopping = new AbortController();
  let current: ContainerProcess | undefined;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const place = { address: '127.0.0.1', mounts: [], untouched: [] };
      const output = join(folder, 'operator.log');
      current = new ContainerProcess({ program, place, folder, args, environment: {}, log: output, clock });
      const { exitCode } = await current.exited;
      if (stopping.signal.aborted) return;
      log.warn({ exitCode }, 'the operator ended and is started again');
      await clock.sleep(OPERATOR_RESTART_MS, stopping.signal).catch(() => undefined);
    }
  }
  const ended = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await current?.stop(OPERATOR_GRACE_MS);
      await ended;
    },
  };
}

function randomToken(): string {
  return randomBytes(24).toString('base64url');
}
