import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Registry, collectDefaultMetrics } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import { FIELD_MANAGER, GROUP } from '../api/names.ts';
import { createKubeClient } from '../kube/client.ts';
import { createCredentials, loadKubeConfig } from '../kube/credentials.ts';
import { Elector } from '../kube/elector.ts';
import { createEventRecorder } from '../kube/event-recorder.ts';
import { cachesSynced, startHealthListener } from '../kube/health-listener.ts';
import { createLeaseStore } from '../kube/lease-store.ts';
import { createKubeMetrics } from '../kube/metrics.ts';
import { createTransport } from '../kube/transport.ts';
import { createOperator } from '../operator/controllers.ts';
import { readNodeReport, rememberReports } from '../operator/read-node-report.ts';
import { registerFleetMetrics } from '../operator/fleet-metrics.ts';
import { readServerStatus } from '../operator/server-status.ts';
import { systemClock } from '../process/clock.ts';
import { createLogger, type LogLevel } from '../process/logger.ts';
import { aborted } from './aborted.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { closeAtOnce, readListenAddress, type ListenAddress } from './listen-address.ts';
import { logLevelOption, readLogLevel } from './log-level-option.ts';

export const OPERATOR_LEASE = `operator.${GROUP}`;

export const operator: Command = {
  summary: 'Run the controllers that make registries of Registry and RegistryGC resources.',
  usage: '',
  options: {
    image: {
      type: 'string',
      value: 'IMAGE',
      description: "The image of the registries' pods: the one this program comes from.",
    },
    namespace: {
      type: 'string',
      value: 'NAME',
      description: 'Work for this namespace alone (default: all).',
    },
    'leader-election-namespace': {
      type: 'string',
      value: 'NAME',
      description: 'Where the lease is, by which one operator at a time works.',
    },
    'upgrades-at-once': {
      type: 'string',
      value: 'NUMBER',
      default: '1',
      description: 'How many registries get another image at a time (default 1).',
    },
    'share-from-namespaces': {
      type: 'string',
      value: 'NAMES',
      description:
        'Namespaces, with commas between them, whose registries may put trust bundles and pull secrets into others.',
    },
    'shared-authority-namespaces': {
      type: 'string',
      value: 'NAMES',
      description:
        'Namespaces, with commas between them, whose registries may have certificates of one shared authority; * for all.',
    },
    'node-access-namespaces': {
      type: 'string',
      value: 'NAMES',
      description:
        'Namespaces, with commas between them, whose mirrors and registries may have something written on nodes.',
    },
    'allow-image-override': {
      type: 'boolean',
      description: 'Let a Registry choose the image of its pods.',
    },
    kubeconfig: {
      type: 'string',
      value: 'FILE',
      description: "How to reach the API server (default: $KUBECONFIG, or the pod's own account).",
    },
    'health-address': {
      type: 'string',
      value: 'HOST:PORT',
      default: ':8081',
      description: 'Where /healthz, /readyz and /metrics are (default :8081).',
    },
    'log-level': logLevelOption,
  },
  run,
};

interface Settings {
  readonly image: string;
  readonly namespace: string | undefined;
  readonly leaseNamespace: string;
  readonly upgradesAtOnce: number;
  readonly allowImageOverride: boolean;
  readonly shareFromNamespaces: readonly string[];
  readonly sharedAuthorityNamespaces: readonly string[];
  readonly nodeAccessNamespaces: readonly string[];
  readonly kubeconfig: string | undefined;
  readonly health: ListenAddress;
  readonly logLevel: LogLevel;
  /** Of this process, for events and the lease. */
  readonly instance: string;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const settings = readSettings(invocation);
  const access = () => loadKubeConfig(settings.kubeconfig);
  try {
    access();
  } catch (error) {
    invocation.stderr.write(
      `stevedore operator: ${error instanceof Error ? error.message : 'no kubeconfig'}\n`,
    );
    return 2;
  }
  const log = createLogger({ level: settings.logLevel });
  const prometheus = new Registry();
  collectDefaultMetrics({ register: prometheus });
  const metrics = createKubeMetrics(prometheus);
  const tools = { clock: systemClock, random: Math.random, log, metrics };
  const transport = createTransport({
    ...tools,
    credentials: createCredentials({ load: access, clock: systemClock }),
    userAgent: `stevedore/${packageFile.version}`,
  });
  const client = createKubeClient({ transport, fieldManager: FIELD_MANAGER });
  const events = createEventRecorder({
    ...tools,
    client,
    controller: `${GROUP}/operator`,
    instance: settings.instance,
  });
  const { image, namespace, allowImageOverride, upgradesAtOnce } = settings;
  const { shareFromNamespaces, sharedAuthorityNamespaces, nodeAccessNamespaces } = settings;
  const controllers = createOperator({
    ...tools,
    client,
    events,
    readServerStatus,
    readNodeReport: rememberReports(readNodeReport, systemClock),
    image,
    namespace,
    allowImageOverride,
    shareFromNamespaces,
    sharedAuthorityNamespaces,
    nodeAccessNamespaces,
    upgradesAtOnce,
    // The lease is where the operator is.
    operatorNamespace: settings.leaseNamespace,
  });

  registerFleetMetrics(prometheus, controllers.world);
  const watching = new AbortController();
  const holding = new AbortController();
  let work: Promise<void> = Promise.resolve();
  const elector = new Elector({
    ...tools,
    name: OPERATOR_LEASE,
    identity: `${settings.instance}_${randomUUID()}`,
    store: createLeaseStore(client, { namespace: settings.leaseNamespace, name: OPERATOR_LEASE }),
    onElected: () => {
      work = controllers.work(invocation.signal);
    },
    // Another operator may work from now on, and a write of ours that is under way can't be called back.
    onLost: () => process.exit(1),
  });
  const health = await startHealthListener({
    ...settings.health,
    ready: [cachesSynced(Object.values(controllers.world))],
    metrics: prometheus,
  });
  const { version } = packageFile;
  log.info({ version, image, namespace: namespace ?? 'all' }, 'operator started');

  const watch = controllers.watch(watching.signal);
  const election = elector.run(holding.signal);
  await aborted(invocation.signal);
  // Intake has stopped with the signal. The lease goes last, so that nobody else works while we still do.
  log.info({}, 'stopping');
  await work;
  await events.flush();
  watching.abort();
  await watch;
  holding.abort();
  await election;
  await closeAtOnce(health);
  await transport.close();
  log.info({}, 'stopped');
  return 0;
}

function readSettings(invocation: Invocation): Settings {
  const { values, positionals, environment } = invocation;
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0]}'`);
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const required = (name: string): string => {
    const value = text(name);
    if (value === undefined) throw new UsageError(`--${name} is missing`);
    return value;
  };
  return {
    image: required('image'),
    namespace: text('namespace'),
    leaseNamespace: required('leader-election-namespace'),
    upgradesAtOnce: readCount('upgrades-at-once', required('upgrades-at-once')),
    allowImageOverride: values['allow-image-override'] === true,
    // In one namespace alone there are no rights in others.
    shareFromNamespaces:
      text('namespace') === undefined ? (text('share-from-namespaces')?.split(',') ?? []) : [],
    nodeAccessNamespaces:
      text('namespace') === undefined ? (text('node-access-namespaces')?.split(',') ?? []) : [],
    sharedAuthorityNamespaces: text('shared-authority-namespaces')?.split(',') ?? [],
    kubeconfig: text('kubeconfig') ?? environment['KUBECONFIG'],
    health: readListenAddress('health-address', required('health-address')),
    logLevel: readLogLevel(invocation),
    instance: environment['POD_NAME'] ?? hostname(),
  };
}

/** A whole number from 1. */
function readCount(option: string, text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new UsageError(`--${option}: '${text}' is not a whole number from 1`);
  return Number(text);
}
