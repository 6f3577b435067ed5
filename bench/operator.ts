/**
 * Measures the operator: `node bench/operator.ts [registries]` (1,000). How long it takes to give so many Registries their
 * children and tell their status, at what share of the rate at which the API server takes writes at all, what it writes
 * when nothing changes, and its memory. The operator is as in the image: bundled, with the flags and the memory of the
 * chart. On a real API server and etcd of this machine (`scripts/kube`, other ports than the tests'), with no controllers
 * and no nodes. Exits with 1 when a goal is missed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { load } from 'js-yaml';
import { Registry as MetricsRegistry } from 'prom-client';
import { createKubeClient, type KubeClient } from '../src/kube/client.ts';
import { createCredentials, loadKubeConfig } from '../src/kube/credentials.ts';
import { WORKERS } from '../src/kube/controller.ts';
import { createKubeMetrics } from '../src/kube/metrics.ts';
import type { KubeObject } from '../src/kube/object.ts';
import {
  configMaps,
  customResourceDefinitions,
  deployments,
  namespaces,
  persistentVolumeClaims,
  secrets,
  services,
  type ResourceType,
} from '../src/kube/resources.ts';
import { createTransport, type Transport } from '../src/kube/transport.ts';
import { registries } from '../src/operator/resource-types.ts';
import { systemClock } from '../src/process/clock.ts';
import { terminationSignal } from '../src/process/signals.ts';
import { freePort } from '../test/e2e/support/free-port.ts';
import { processorSeconds } from './processor-time.ts';
import type { Figure } from './report.ts';

const NAMESPACE = 'bench';
const GOALS = { seconds: 240, share: 0.5, mebibytes: 256 };
const FLOOR_WRITES = 2000;
/** Longer than anything but the ten minutes between two looks. */
const IDLE_MS = 60_000;
const QUIET_MS = 5000;
/** The lease is renewed all the time. */
const LEASE_WRITES = Math.ceil(QUIET_MS / 2000) + 1;
const root = join(import.meta.dirname, '..');
const CHILDREN: readonly ResourceType<KubeObject>[] = [
  configMaps,
  secrets,
  services,
  persistentVolumeClaims,
  deployments,
];

interface Run {
  /** On a real disk. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Of Registries. */
  readonly count: number;
}

/** Brings an API server up and takes it down again. */
export async function measureOperator(options: Run): Promise<readonly Figure[]> {
  const environment = {
    ...process.env,
    STEVEDORE_KUBE_STATE: join(options.folder, 'kube'),
    KUBE_PORT: String(await freePort()),
    KUBE_ETCD_PORT: String(await freePort()),
  };
  const kube = (...args: readonly string[]) => run(join(root, 'scripts/kube'), args, environment);
  await run(process.execPath, [join(root, 'scripts/bundle.ts'), join(options.folder, 'app')]);
  try {
    await kube('up', 'api');
    return await measure(options, join(options.folder, 'kube/kubeconfig'));
  } finally {
    await kube('down');
  }
}

async function measure({ folder, signal, count }: Run, kubeconfig: string): Promise<readonly Figure[]> {
  const transport = connect(kubeconfig);
  const client = createKubeClient({ transport, fieldManager: 'bench' });
  for (const name of ['registries', 'registrymirrors', 'registrygcs']) {
    const text = await readFile(join(root, `crds/stevedore.dev_${name}.yaml`), 'utf8');
    // As it was generated.
    const definition = load(text) as Parameters<typeof client.create<KubeObject>>[1];
    await client.create<KubeObject>(customResourceDefinitions, definition);
  }
  await client.create(namespaces, { metadata: { name: NAMESPACE } });
  const floorBefore = await writeRate(client, 'before');
  await makeRegistries(client, count);

  const port = await freePort();
  const began = performance.now();
  const operator = startOperator(join(folder, 'app/main.js'), kubeconfig, port);
  const pid = operator.pid ?? 0;
  const exited = once(operator, 'exit');
  try {
    const died = exited.then(() => {
      throw new Error('the operator ended before it had done its work');
    });
    died.catch(() => undefined);
    const children = await Promise.race([timeOfChildren(transport, { signal, count }), died]);
    await quiet(port, signal);
    const seconds = (performance.now() - began - QUIET_MS) / 1000;
    const writes = await writesOf(port);
    const work = processorSeconds(pid);
    const before = await versions(client);
    await delay(IDLE_MS, undefined, { signal });
    const after = await versions(client);
    const idle = [...after].filter(([key, version]) => before.get(key) !== version).length;
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const mebibytes = Number(peak) / 1024;
    operator.kill('SIGTERM');
    await exited;

    const floor = (floorBefore + (await writeRate(client, 'after'))) / 2;
    const rate = writes / seconds;
    const share = rate / floor;
    return [
      {
        what: `${count} Registries have their children`,
        figure: `${children.toFixed(1)} s`,
        goal: `${GOALS.seconds} s`,
        met: children <= GOALS.seconds,
      },
      { what: '… and their status', figure: `${seconds.toFixed(1)} s`, goal: '', met: true },
      {
        what: `${writes} writes`,
        figure: `${rate.toFixed(0)}/s, ${(100 * share).toFixed(0)} % of the ${floor.toFixed(0)}/s that the API server takes`,
        goal: `${100 * GOALS.share} %`,
        met: share >= GOALS.share,
      },
      {
        what: `objects changed in ${IDLE_MS / 1000} idle seconds`,
        figure: String(idle),
        goal: '0',
        met: idle === 0,
      },
      {
        what: 'memory at its most',
        figure: `${mebibytes.toFixed(0)} MiB`,
        goal: `${GOALS.mebibytes} MiB`,
        met: mebibytes < GOALS.mebibytes,
      },
      { what: 'processor time', figure: `${work.toFixed(1)} s`, goal: '', met: true },
    ];
  } finally {
    operator.kill('SIGKILL');
    await exited;
  }
}

function connect(kubeconfig: string): Transport {
  return createTransport({
    credentials: createCredentials({ load: () => loadKubeConfig(kubeconfig), clock: systemClock }),
    clock: systemClock,
    metrics: createKubeMetrics(new MetricsRegistry()),
    userAgent: 'bench',
  });
}

/** Writes a second that the API server takes of as many writers as the operator has, each by server-side apply. */
async function writeRate(client: KubeClient, name: string): Promise<number> {
  let left = FLOOR_WRITES;
  const began = performance.now();
  const write = async (): Promise<void> => {
    while (left-- > 0) {
      const metadata = { namespace: NAMESPACE, name: `floor-${name}-${left}` };
      await client.apply(configMaps, { metadata, data: { 'config.yml': 'x'.repeat(1000) } });
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, write));
  return FLOOR_WRITES / ((performance.now() - began) / 1000);
}

async function makeRegistries(client: KubeClient, count: number): Promise<void> {
  let left = count;
  const make = async (): Promise<void> => {
    while (left-- > 0) {
      const metadata = { namespace: NAMESPACE, name: `registry-${left}` };
      await client.create(registries, { metadata, spec: { storage: { filesystem: { size: '1Gi' } } } });
    }
  };
  await Promise.all(Array.from({ length: 2 * WORKERS }, make));
}

function startOperator(program: string, kubeconfig: string, port: number): ChildProcess {
  return spawn(
    process.execPath,
    [
      ...flagsOfChart(),
      program,
      'operator',
      '--image=example.test/stevedore:1',
      '--leader-election-namespace=default',
      `--kubeconfig=${kubeconfig}`,
      `--health-address=127.0.0.1:${port}`,
      '--log-level=error',
    ],
    { stdio: 'inherit' },
  );
}

/** With which the chart runs the program, for the memory that it lets it have. */
function flagsOfChart(): readonly string[] {
  const chart = join(root, 'charts/stevedore');
  const template = readFileSync(join(chart, 'templates/deployment.yaml'), 'utf8');
  const options = /name: NODE_OPTIONS\s+value: (.+)/.exec(template)?.[1];
  const values = readFileSync(join(chart, 'values.yaml'), 'utf8');
  const limit = /^resources:[^]*?limits:\s+memory: (\d+)Mi$/m.exec(values)?.[1];
  if (options === undefined || limit === undefined) throw new Error('the chart limits no memory');
  return options
    .split(' ')
    .map((flag) =>
      flag.replace(/-percentage=(\d+)$/, (_, share) => `=${Math.floor((Number(limit) * share) / 100)}`),
    );
}

/** Seconds until the last Registry has the last of its children. */
async function timeOfChildren(
  transport: Transport,
  { signal, count }: Pick<Run, 'signal' | 'count'>,
): Promise<number> {
  const began = performance.now();
  for (;;) {
    await delay(500, undefined, { signal });
    if ((await countDeployments(transport)) >= count) return (performance.now() - began) / 1000;
  }
}

/** Without a list of them, which would cost the API server as much as many writes. */
async function countDeployments(transport: Transport): Promise<number> {
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
  const list = await transport.exchange({ method: 'GET', path, query: new URLSearchParams({ limit: '1' }) });
  // As the API server answers.
  const { items, metadata } = list as {
    readonly items: readonly unknown[];
    readonly metadata: { readonly remainingItemCount?: number };
  };
  return items.length + (metadata.remainingItemCount ?? 0);
}

/** Resolves when the operator has written nothing for a while. */
async function quiet(port: number, signal: AbortSignal): Promise<void> {
  for (let seen = await writesOf(port); ;) {
    await delay(QUIET_MS, undefined, { signal });
    const now = await writesOf(port);
    if (now - seen <= LEASE_WRITES) return;
    seen = now;
  }
}

/** Requests of the operator that were writes, by its own metrics. */
async function writesOf(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const lines = (await response.text()).split('\n');
  return lines
    .filter((line) => /^rest_client_requests_total\{.*method="(PATCH|POST|DELETE)"/.test(line))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Of every object that the operator writes. */
async function versions(client: KubeClient): Promise<ReadonlyMap<string, string>> {
  const lists = await Promise.all(
    [registries, ...CHILDREN].map((type) => client.listAll(type, { namespace: NAMESPACE })),
  );
  return new Map(
    lists.flatMap(({ items }) =>
      items.map(({ kind, metadata }) => [`${kind} ${metadata.name}`, metadata.resourceVersion] as const),
    ),
  );
}

async function run(program: string, args: readonly string[], env = process.env): Promise<void> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed`);
}

if (import.meta.main) {
  const folder = await mkdtemp(join(await realpath('/var/tmp'), 'stevedore-bench-operator-'));
  try {
    const count = Number(process.argv[2] ?? 1000);
    const rows = await measureOperator({ folder, signal: terminationSignal(), count });
    for (const { what, figure, goal, met } of rows) {
      const verdict = goal === '' ? '' : `goal ${goal}, ${met ? 'met' : 'missed'}`;
      console.log(`${what.padEnd(40)}${figure.padEnd(56)}${verdict}`);
    }
    if (rows.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}
