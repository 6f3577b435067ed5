import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import packageFile from '../../package.json' with { type: 'json' };
import { NODE_AGENT_PORT } from '../contract/node-report.ts';
import type { NodeRuntime } from '../contract/node-plan.ts';
import { NodeAgent } from '../node/agent.ts';
import type { CertsFolder } from '../node/certs-folder.ts';
import { containerdProblem } from '../node/containerd-config.ts';
import { codeOf, hostFiles } from '../node/host-files.ts';
import { MirrorWatch } from '../node/mirror-watch.ts';
import { probeMirror } from '../node/probe.ts';
import { readContainerdConfig } from '../node/read-containerd-config.ts';
import { startStatusListener } from '../node/status-listener.ts';
import { systemClock } from '../process/clock.ts';
import { createLogger, type LogLevel } from '../process/logger.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { closeAtOnce, listenAddressOf, readListenAddress, type ListenAddress } from './listen-address.ts';
import { logLevelOption, readLogLevel } from './log-level-option.ts';

export const nodeAgent: Command = {
  summary:
    'Write on one node which mirrors containerd and docker pull through, and which certificates they trust.',
  usage: '',
  options: {
    plan: {
      type: 'string',
      value: 'FILE',
      description: 'What the operator wants on the nodes; read again when it changes.',
    },
    node: {
      type: 'string',
      value: 'NAME',
      description: 'The name of this node (default: $NODE_NAME).',
    },
    'host-root': {
      type: 'string',
      value: 'FOLDER',
      default: '/',
      description: "Where the node's file system is (default /). The paths below are as the node has them.",
    },
    'containerd-certs': {
      type: 'string',
      value: 'FOLDER',
      description:
        'Where containerd looks registries up, as /etc/containerd/certs.d (default: leave it alone).',
    },
    'containerd-config': {
      type: 'string',
      value: 'FILE',
      default: '/etc/containerd/config.toml',
      description: 'Is read, to tell whether containerd looks there (default /etc/containerd/config.toml).',
    },
    'docker-certs': {
      type: 'string',
      value: 'FOLDER',
      description: 'Where docker looks registries up, as /etc/docker/certs.d (default: leave it alone).',
    },
    'status-address': {
      type: 'string',
      value: 'HOST:PORT',
      default: `:${NODE_AGENT_PORT}`,
      description: `Where /status, /healthz and /metrics are (default :${NODE_AGENT_PORT}).`,
    },
    'log-level': logLevelOption,
  },
  run,
};

interface Settings {
  readonly plan: string;
  readonly node: string;
  readonly hostRoot: string;
  readonly containerdConfig: string;
  /** On the node. */
  readonly certs: Readonly<Record<NodeRuntime, string | undefined>>;
  readonly status: ListenAddress;
  readonly logLevel: LogLevel;
}

/** A look may wait for a mirror or a disk; one that is this late hangs. */
const LATE_MS = 60_000;

async function run(invocation: Invocation): Promise<ExitCode> {
  const { plan, node, hostRoot, containerdConfig, certs, status, logLevel } = readSettings(invocation);
  const log = createLogger({ level: logLevel, fields: { node } });
  const mirrors = new MirrorWatch(probeMirror, systemClock);
  const agent = new NodeAgent({
    node,
    readPlan: () => readIfThere(plan),
    folders: (['Containerd', 'Docker'] as const).flatMap((runtime) =>
      folderOf(hostRoot, runtime, certs[runtime]),
    ),
    containerdProblem: async () => {
      const texts = await readContainerdConfig(hostFiles, hostRoot, containerdConfig);
      return containerdProblem(texts, certs.Containerd ?? '');
    },
    mirrors,
    clock: systemClock,
    log,
  });
  const listener = await startStatusListener(status, () => ({
    report: agent.report,
    problem:
      systemClock.monotonic() - agent.lookedAt > LATE_MS ? 'it has stopped to look at its node' : undefined,
    failedProbes: mirrors.failedProbes,
  }));
  const { port } = listenAddressOf(listener);
  log.info({ version: packageFile.version, ...certs, port }, 'node agent started');
  await agent.run(invocation.signal);
  await closeAtOnce(listener);
  log.info({}, 'stopped');
  return 0;
}

function folderOf(hostRoot: string, runtime: NodeRuntime, shown: string | undefined): CertsFolder[] {
  return shown === undefined ? [] : [{ files: hostFiles, path: join(hostRoot, shown), runtime, shown }];
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function readSettings(invocation: Invocation): Settings {
  const { values, positionals, environment } = invocation;
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0]}'`);
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const path = (name: string): string | undefined => {
    const value = text(name)?.replace(/(?<=.)\/+$/, '');
    if (value?.startsWith('/') === false) throw new UsageError(`--${name}: '${value}' is no absolute path`);
    return value;
  };
  const plan = text('plan');
  if (plan === undefined) throw new UsageError('--plan is missing');
  const certs = { Containerd: path('containerd-certs'), Docker: path('docker-certs') };
  if (certs.Containerd === undefined && certs.Docker === undefined) {
    throw new UsageError('there is nothing to do: give --containerd-certs or --docker-certs');
  }
  return {
    plan,
    node: text('node') ?? environment['NODE_NAME'] ?? hostname(),
    hostRoot: path('host-root') ?? '/',
    containerdConfig: path('containerd-config') ?? '',
    certs,
    status: readListenAddress('status-address', text('status-address') ?? ''),
    logLevel: readLogLevel(invocation),
  };
}
