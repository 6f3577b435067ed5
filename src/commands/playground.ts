import { accessSync, appendFileSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import { customResourceDefinition } from '../api/crd.ts';
import { GROUP } from '../api/names.ts';
import { resources } from '../api/resources.ts';
import { createKubeClient } from '../kube/client.ts';
import { createEventRecorder } from '../kube/event-recorder.ts';
import { createKubeMetrics } from '../kube/metrics.ts';
import { createTransport } from '../kube/transport.ts';
import { operatorRules } from '../operator/rbac.ts';
import type { Program } from '../playground/node/container-process.ts';
import { startNode } from '../playground/node/node.ts';
import { startPlayground, type PlaygroundOptions } from '../playground/playground.ts';
import { FolderInUseError } from '../playground/state-folder.ts';
import { systemClock } from '../process/clock.ts';
import { createLogger } from '../process/logger.ts';
import { aborted } from './aborted.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { OPERATOR_LEASE } from './operator.ts';

const SYSTEM_NAMESPACE = 'stevedore-system';
const IMAGE = `localhost/stevedore:${packageFile.version}`;

export const playground: Command = {
  summary: 'Run Kubernetes as far as the operator needs it, and the operator, on this machine, without root.',
  usage: '',
  options: {
    state: {
      type: 'string',
      value: 'FOLDER',
      description: 'Where everything is kept (default: $XDG_STATE_HOME/stevedore/playground).',
    },
    port: {
      type: 'string',
      value: 'NUMBER',
      description: 'Of the API server (default: the one of the last time, or any that is free).',
    },
    kubeconfig: {
      type: 'string',
      value: 'FILE',
      description: 'Start a node alone, which joins the cluster of this kubeconfig.',
    },
    'node-name': {
      type: 'string',
      value: 'NAME',
      description: 'Of the node that joins a cluster (default: the name of this machine).',
    },
    image: {
      type: 'string',
      value: 'IMAGE',
      default: IMAGE,
      description: `The image whose pods run this program (default ${IMAGE}).`,
    },
  },
  run,
};

/** What the chart's leader-election.yaml allows. */
const leaderElectionRules = [
  {
    namespace: SYSTEM_NAMESPACE,
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'update', 'patch'],
  },
  {
    namespace: SYSTEM_NAMESPACE,
    apiGroups: ['events.k8s.io'],
    resources: ['events'],
    verbs: ['create', 'patch'],
  },
];

interface Settings {
  readonly folder: string;
  readonly port: number | undefined;
  readonly image: string;
  /** Of the cluster that a node joins. */
  readonly kubeconfig: string | undefined;
  readonly nodeName: string;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const { stdout, stderr, signal } = invocation;
  const settings = readSettings(invocation);
  const program = thisProgram();
  if (!existsSync(program.preload)) {
    stderr.write(
      'stevedore playground: this is a bundle of the program; a playground runs from a checkout\n',
    );
    return 1;
  }
  try {
    mkdirSync(settings.folder, { recursive: true, mode: 0o700 });
    accessSync(settings.folder, constants.W_OK);
  } catch (error) {
    stderr.write(`stevedore playground: the state folder cannot be written: ${messageOf(error)}\n`);
    return 1;
  }
  const logFile = join(settings.folder, 'playground.log');
  const log = createLogger({
    level: 'info',
    destination: { write: (line) => appendFileSync(logFile, line) },
  });
  const shared = {
    program,
    image: settings.image,
    version: packageFile.version,
    folder: settings.folder,
    clock: systemClock,
    random: Math.random,
    log,
    metrics: new Registry(),
  };
  const began = performance.now();
  const tell = (what: string): void => {
    stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}\n`);
  };
  try {
    await using running =
      settings.kubeconfig === undefined
        ? await startAll(shared, settings.port, tell)
        : await joinCluster(shared, settings.kubeconfig, settings.nodeName, tell, signal);
    stdout.write(running.howTo);
    await aborted(signal);
    stdout.write('\nStopping.\n');
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    if (!(error instanceof FolderInUseError) && !isTakenPort(error)) throw error;
    stderr.write(`stevedore playground: ${error.message}\n`);
    return 1;
  }
}

type Shared = Omit<PlaygroundOptions, 'port'>;
type Tell = (what: string) => void;

async function startAll(shared: Shared, port: number | undefined, tell: Tell) {
  const running = await startPlayground({ ...shared, port });
  try {
    tell(`API server, controllers and node at ${running.url}`);
    await running.runOperator({
      namespace: SYSTEM_NAMESPACE,
      account: 'stevedore',
      lease: OPERATOR_LEASE,
      rules: [...operatorRules, ...leaderElectionRules],
      definitions: resources.map((resource) => customResourceDefinition(resource)),
    });
    tell('The operator works');
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { howTo: howTo(running.folder, running.kubeconfig), [Symbol.asyncDispose]: () => running.stop() };
}

/** @throws {UsageError} when the kubeconfig cannot be used; the signal's reason when it is aborted before the node is there */
async function joinCluster(
  shared: Shared,
  kubeconfig: string,
  name: string,
  tell: Tell,
  signal: AbortSignal,
) {
  // Only here, since it takes longer to load than a playground to start.
  const { createCredentials, loadKubeConfig } = await import('../kube/credentials.ts');
  const { clock, random, log, version } = shared;
  try {
    loadKubeConfig(kubeconfig);
  } catch (error) {
    throw new UsageError(`--kubeconfig: ${messageOf(error)}`);
  }
  const metrics = createKubeMetrics(shared.metrics);
  const credentials = createCredentials({ load: () => loadKubeConfig(kubeconfig), clock });
  const transport = createTransport({ credentials, clock, metrics, userAgent: `stevedore/${version}` });
  const client = createKubeClient({ transport, fieldManager: 'stevedore-playground' });
  const controller = `${GROUP}/playground`;
  const events = createEventRecorder({ client, controller, instance: name, clock, random, log });
  const node = startNode({ ...shared, client, events, metrics, name });
  tell(`Joining the cluster of ${kubeconfig}; the log is in ${shared.folder}`);
  await Promise.race([node.ready, aborted(signal)]);
  if (signal.aborted) {
    await node.stop();
    await transport.close();
    signal.throwIfAborted();
  }
  tell(`The node ${name} has joined and runs pods of the image ${shared.image}`);
  return {
    howTo: `State, volumes and logs are in ${shared.folder}. Ctrl-C ends the node's processes; its object stays.\n`,
    async [Symbol.asyncDispose]() {
      await node.stop();
      await transport.close();
    },
  };
}

function readSettings({ values, positionals, environment }: Invocation): Settings {
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0]}'`);
  const state = environment['XDG_STATE_HOME'] || join(environment['HOME'] ?? homedir(), '.local/state');
  const port = values['port'] === undefined ? undefined : Number(values['port']);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new UsageError(`--port: '${String(values['port'])}' is not a number from 0 to 65535`);
  }
  if (port !== undefined && values['kubeconfig'] !== undefined) {
    throw new UsageError("--port is of the playground's own API server; with --kubeconfig there is none");
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    folder: text('state') ?? join(state, 'stevedore/playground'),
    port,
    image: text('image') ?? IMAGE,
    kubeconfig: text('kubeconfig'),
    nodeName: text('node-name') ?? hostname().toLowerCase(),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isTakenPort(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/** The checkout that this file lies in. */
function thisProgram(): Program {
  const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
  return {
    node: process.execPath,
    main: path('../main.ts'),
    folder: path('../..').replace(/\/$/, ''),
    preload: path('../playground/node/inside-pod.ts'),
  };
}

function howTo(folder: string, kubeconfig: string): string {
  return `
In another terminal, a registry with two users on port 30500 of this machine:

  export KUBECONFIG=${kubeconfig}
  kubectl apply -f examples/registry-with-users.yaml
  kubectl patch registry team --type=merge -p '{"spec":{"hostname":"localhost:30500"}}'
  kubectl wait registry/team --for=condition=Ready
  kubectl get configmap team-ca -o jsonpath='{.data.ca\\.crt}' > ca.crt

Images, by any client:

  docker login -u alice -p change-me localhost:30500
  docker tag app localhost:30500/app
  docker push localhost:30500/app
  skopeo copy --dest-cert-dir=. --dest-creds=alice:change-me docker-daemon:app:latest docker://localhost:30500/app
  SSL_CERT_FILE=ca.crt crane auth login localhost:30500 -u alice -p change-me
  SSL_CERT_FILE=ca.crt crane push app.tar localhost:30500/app

  With another name than localhost, which must lead to 127.0.0.1, docker wants the authority too:
  sudo install -D ca.crt /etc/docker/certs.d/NAME:30500/ca.crt

Then:

  kubectl logs -f deployment/team
  kubectl apply -f examples/registry-gc.yaml
  kubectl annotate registrygc nightly ${GROUP}/run-at="$(date)" --overwrite
  kubectl get registries,registrymirrors,pods

State, volumes and logs are in ${folder}. Ctrl-C stops everything; the next start goes on with it.
`;
}
