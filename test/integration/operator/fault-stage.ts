import { createHash } from 'node:crypto';
import { Registry as MetricsRegistry } from 'prom-client';
import { FIELD_MANAGER, GROUP } from '../../../src/api/names.ts';
import { encodeReport } from '../../../src/contract/collection-report.ts';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { Cache } from '../../../src/kube/cache.ts';
import { createKubeClient, type KubeClient } from '../../../src/kube/client.ts';
import { createEventRecorder } from '../../../src/kube/event-recorder.ts';
import { createKubeMetrics } from '../../../src/kube/metrics.ts';
import { formatKey, type KubeObject, type Stored } from '../../../src/kube/object.ts';
import { listWatchSource, reflect } from '../../../src/kube/reflector.ts';
import {
  configMaps,
  deployments,
  namespaces,
  pods,
  secrets,
  type Pod,
  type ResourceType,
} from '../../../src/kube/resources.ts';
import type { Transport } from '../../../src/kube/transport.ts';
import { inspectCertificate } from '../../../src/pki/inspect.ts';
import { createOperator } from '../../../src/operator/controllers.ts';
import { CREDENTIALS_ANNOTATION } from '../../../src/operator/desired-credentials.ts';
import { CONFIG_HASH_ANNOTATION } from '../../../src/operator/desired-deployment.ts';
import { operatorRules } from '../../../src/operator/rbac.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { runControllers } from '../../../src/playground/controllers/controllers.ts';
import type { GrantedRule } from '../../../src/playground/api-server/http/authorize.ts';
import type { Faults } from '../../../src/playground/api-server/faults.ts';
import type { Clock } from '../../../src/process/clock.ts';
import { logSink } from '../../support/log-sink.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { installDefinitions, startTestServer } from '../../unit/playground/api-server/start-server.ts';

/** Where the operator dies: before the API server sees its n-th write from now, or when it has made it. */
export interface Trap {
  readonly nth: number;
  readonly when: 'before' | 'after';
}

/** Of what a write may never have two values without a reason, each value that there was, in its order. */
type History = ReadonlyMap<string, readonly string[]>;

/** A cluster in this process on a clock that is moved, the operator in it, and what may go wrong with both. */
export interface FaultStage extends AsyncDisposable {
  /** The administrator, whom no fault meets. */
  readonly client: KubeClient;
  /** Somebody who may do this alone. */
  clientOf(name: string, rules: readonly GrantedRule[]): KubeClient;
  readonly history: History;
  /** Whatever the operator found wrong with itself. */
  readonly panics: readonly unknown[];
  /** What the operator set out to write in all its lives, as `PATCH /api/…`; events are not told. */
  readonly writes: readonly string[];
  /** Starts the operator, or starts it again. */
  start(): void;
  /** It dies at this write and is started again at once; then `next` says where it dies once more. */
  trap(next: () => Trap | undefined): void;
  /** How often it died. */
  readonly deaths: number;
  /** Milliseconds, of the clock that is moved. */
  now(): number;
  /** Lets so much time pass. */
  pass(milliseconds: number): Promise<void>;
  /** Lets time pass until the operator has written nothing for longer than it ever waits. */
  rest(): Promise<void>;
  /** Cuts the operator's watches, and has the API server forget what they could go on with. */
  forgetWatches(): Promise<void>;
}

const OPERATOR = 'operator';
export const SHARING_NAMESPACE = 'team';
export const TAKING_NAMESPACE = 'apps';
/** The longest of its backoffs and looks again. */
const QUIET_MS = 660_000;
/** Real time for which the clock stands still while somebody works; then something waits for the clock itself. */
const LONGEST_WORK_MS = 250;
/** What still writes after a week of its clock never ends. */
const LONGEST_REST_MS = 604_800_000;

export async function startFaultStage(faults: Faults = {}): Promise<FaultStage> {
  const clock = new TestClock();
  // One operator alone is met by what is broken.
  const api = await startTestServer({ clock, faults: ofTheOperator(faults) });
  await installDefinitions(api);
  await installForeignKinds(api.transport);
  for (const [name, labels] of [
    [SHARING_NAMESPACE, {}],
    [TAKING_NAMESPACE, { 'stevedore.dev/accepts-from': SHARING_NAMESPACE }],
  ] as const) {
    await api.client.create(namespaces, { metadata: { name, labels } });
  }
  const { log } = logSink();
  const ending = new AbortController();
  const work = new WorkInProgress();
  const background: Promise<unknown>[] = [];
  const history = new Map<string, string[]>();
  const panics: unknown[] = [];

  const controllerLog = logSink();
  const everybody = createKubeClient({ transport: work.counted(api.transport), fieldManager: 'controllers' });
  const common = { clock, random: Math.random };
  background.push(
    runControllers(
      {
        ...common,
        client: everybody,
        events: { record: () => undefined, flush: async () => undefined },
        log: controllerLog.log,
        metrics: createKubeMetrics(new MetricsRegistry()),
        volumes: '/nonexistent',
      },
      ending.signal,
    ),
  );

  /** Follows every object of a kind, whatever becomes of the operator. */
  function follow<T extends KubeObject>(type: ResourceType<T>, changed: (object: Stored<T>) => void) {
    const cache = new Cache(type, { log });
    cache.onChange((change) => {
      if (change.type !== 'deleted') changed(change.object);
    });
    const source = listWatchSource(everybody, type);
    background.push(reflect({ resource: type.plural, source, target: cache, ...common, log }, ending.signal));
    return cache;
  }
  const remember = (key: string, value: string): void => {
    const values = history.get(key) ?? [];
    if (values.at(-1) !== value) values.push(value);
    history.set(key, values);
  };
  const secretCache = follow(secrets, (secret) => {
    for (const [key, value] of Object.entries(secret.data ?? {})) {
      remember(`Secret ${formatKey(secret.metadata)} ${key}`, value);
    }
    const revision = secret.metadata.annotations?.[CREDENTIALS_ANNOTATION];
    if (revision !== undefined) remember(`Secret ${formatKey(secret.metadata)} revision`, revision);
  });
  const mapCache = follow(configMaps, (map) => {
    remember(`ConfigMap ${formatKey(map.metadata)}`, JSON.stringify(map.data));
  });
  follow(deployments, ({ metadata, spec }) => {
    remember(`Deployment ${formatKey(metadata)}`, JSON.stringify(spec?.template));
  });
  let addresses = 0;
  const podCache = follow(pods, (pod) => {
    if (pod.status?.podIP !== undefined) return;
    background.push(runPod(everybody, pod, `10.0.0.${++addresses}`, clock.now()).catch(() => undefined));
  });

  /** What the server of the pod says: that it has all it was given. */
  async function readServerStatus(address: string): Promise<StatusDocument | undefined> {
    const pod = podCache.list().find(({ status }) => status?.podIP === address);
    if (pod === undefined) return undefined;
    const { namespace, labels, annotations } = pod.metadata;
    const name = labels?.['app.kubernetes.io/instance'] ?? '';
    const certificate = dataText(secretCache.get({ namespace, name: `${name}-tls` }), 'tls.crt');
    const users = dataText(secretCache.get({ namespace, name: `${name}-htpasswd` }), 'htpasswd');
    const access = mapCache.get({ namespace, name: `${name}-access` })?.data?.['access.yml'];
    const inspected = certificate === undefined ? undefined : inspectCertificate(certificate);
    return {
      version: '0.0.0',
      configHash: annotations?.[CONFIG_HASH_ANNOTATION] ?? '',
      ...(inspected !== undefined && {
        certificate: { serial: inspected.serial, notAfter: new Date(inspected.notAfter).toISOString() },
      }),
      ...(users !== undefined && {
        users: { count: users.split('\n').length - 1, hash: sha256(users), errors: [] },
      }),
      ...(access !== undefined && { access: { hash: sha256(access) } }),
      storage: {},
      readOnly: { active: false },
      openUploads: 0,
    };
  }

  const writes: string[] = [];
  let armed: { readonly at: number; readonly when: Trap['when'] } | undefined;
  let deaths = 0;
  let forgotten = 0;
  let cut = new AbortController();
  let life: { readonly signal: AbortController; readonly ended: Promise<unknown> } | undefined;
  const transport = api.transportOf(OPERATOR, operatorRules, work.pausing(clock));

  let nextTrap: () => Trap | undefined = () => undefined;

  function arm(): void {
    const trap = nextTrap();
    armed = trap && { at: writes.length + trap.nth, when: trap.when };
  }

  function die(): void {
    deaths++;
    arm();
    life?.signal.abort();
    start();
  }

  function start(): void {
    const signal = new AbortController();
    // What the process had in mind is gone with it, and what it still sends reaches nobody.
    const own = mortal(work.counted(transport), signal.signal, {
      cut: () => cut.signal,
      count(request) {
        writes.push(request);
        return armed !== undefined && armed.at === writes.length ? armed.when : undefined;
      },
      die,
    });
    const client = createKubeClient({ transport: own, fieldManager: FIELD_MANAGER });
    const sink = logSink();
    const metrics = createKubeMetrics(new MetricsRegistry());
    const events = createEventRecorder({
      ...common,
      client,
      controller: `${GROUP}/operator`,
      instance: OPERATOR,
      log: sink.log,
    });
    const operator = createOperator({
      ...common,
      client,
      events,
      metrics,
      log: sink.log,
      readServerStatus,
      image: 'example.test/stevedore:1',
      allowImageOverride: false,
      shareFromNamespaces: [SHARING_NAMESPACE],
      sharedAuthorityNamespaces: [],
      nodeAccessNamespaces: [],
      readNodeReport: async () => undefined,
      operatorNamespace: 'stevedore-system',
      upgradesAtOnce: 1,
      namespace: undefined,
    });
    work.follow(async () => (await metrics.activeWorkers.get()).values.some(({ value }) => value > 0));
    const ended = Promise.all([operator.watch(signal.signal), operator.work(signal.signal)]).then(() => {
      panics.push(...sink.records.filter((record) => record['panic'] === true && !signal.signal.aborted));
    });
    background.push(ended);
    life = { signal, ended };
  }

  return {
    client: api.client,
    clientOf: (name, rules) => api.clientOf(name, rules),
    history,
    panics,
    writes,
    get deaths() {
      return deaths;
    },
    start,
    trap(next) {
      nextTrap = next;
      arm();
    },
    now: () => clock.monotonic(),
    async pass(milliseconds) {
      const end = clock.monotonic() + milliseconds;
      while (clock.monotonic() < end) {
        await work.end();
        // Never so little that the sum is what it was.
        await clock.advance(Math.max(1, Math.min(clock.untilNext, end - clock.monotonic())));
      }
    },
    async rest() {
      const end = clock.monotonic() + LONGEST_REST_MS;
      let [count, since] = [writes.length, clock.monotonic()];
      for (;;) {
        await work.end();
        if (writes.length !== count) [count, since] = [writes.length, clock.monotonic()];
        if (clock.monotonic() - since >= QUIET_MS) return;
        if (clock.monotonic() > end) throw new Error(`no end of writes: ${writes.slice(-10).join(', ')}`);
        await clock.advance(Math.max(1, Math.min(clock.untilNext, QUIET_MS)));
      }
    },
    async forgetWatches() {
      // A bookmark may have told of the newest version before this one.
      const labels = { forgotten: String(++forgotten) };
      await api.client.patch(namespaces, { name: 'default' }, { metadata: { labels } });
      api.server.forget();
      cut.abort(new ConnectionReset());
      cut = new AbortController();
    },
    async [Symbol.asyncDispose]() {
      life?.signal.abort();
      ending.abort();
      await Promise.all(background);
      await api[Symbol.asyncDispose]();
    },
  };
}

function ofTheOperator(faults: Faults): Faults {
  return {
    answer: (request) => (request.user === OPERATOR ? faults.answer?.(request) : undefined),
    loseAnswer: (request) => request.user === OPERATOR && faults.loseAnswer?.(request) === true,
    watchEvent: (request, event) =>
      request.user === OPERATOR ? (faults.watchEvent?.(request, event) ?? 'pass') : 'pass',
    staleBy: (request) => (request.user === OPERATOR ? faults.staleBy?.(request) : undefined),
  };
}

/** Knows when everybody has done what was to be done, so that only time brings more. */
class WorkInProgress {
  #requests = 0;
  #sleeping = 0;
  #isBusy: () => Promise<boolean> = async () => false;

  /** The process of now: one that died does nothing more that counts. */
  follow(isBusy: () => Promise<boolean>): void {
    this.#isBusy = isBusy;
  }

  /** Sleep is no work. */
  pausing(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: async (milliseconds, signal) => {
        this.#sleeping++;
        try {
          await clock.sleep(milliseconds, signal);
        } finally {
          this.#sleeping--;
        }
      },
    };
  }

  counted(transport: Transport): Transport {
    const count = async <T>(request: Promise<T>): Promise<T> => {
      this.#requests++;
      try {
        return await request;
      } finally {
        this.#requests--;
      }
    };
    return {
      exchange: (request) => count(transport.exchange(request)),
      open: (request) => count(transport.open(request)),
      close: () => transport.close(),
    };
  }

  async end(): Promise<void> {
    const started = performance.now();
    for (let idle = 0; idle < 2 && performance.now() - started < LONGEST_WORK_MS;) {
      await settle();
      const isBusy = this.#requests > 0 || (await this.#isBusy());
      idle = isBusy && this.#sleeping === 0 ? 0 : idle + 1;
    }
  }
}

/** The transport of a process that may be killed at a write. */
function mortal(
  transport: Transport,
  killed: AbortSignal,
  {
    count,
    die,
    cut,
  }: {
    readonly count: (write: string) => Trap['when'] | undefined;
    readonly die: () => void;
    readonly cut: () => AbortSignal;
  },
): Transport {
  return {
    async exchange(request) {
      killed.throwIfAborted();
      // When events are written depends on nothing that they tell of, and nothing on them.
      const counts = request.method !== 'GET' && !/\/events(\/|$)/.test(request.path);
      const when = counts ? count(`${request.method} ${request.path}`) : undefined;
      if (when === 'before') die();
      killed.throwIfAborted();
      const answer = await transport.exchange(request);
      if (when === 'after') die();
      killed.throwIfAborted();
      return answer;
    },
    async open(request) {
      killed.throwIfAborted();
      const signals = [request.signal, cut()].filter((signal) => signal !== undefined && signal !== null);
      return transport.open({ ...request, signal: AbortSignal.any(signals) });
    },
    close: async () => undefined,
  };
}

class ConnectionReset extends Error {
  readonly code = 'ECONNRESET';
}

/** A kubelet as far as it matters: servers come up, collectors report. */
async function runPod(client: KubeClient, pod: Stored<Pod>, podIP: string, now: number): Promise<void> {
  const { namespace, name, ownerReferences } = pod.metadata;
  const time = new Date(now).toISOString();
  const isJob = ownerReferences?.some(({ kind }) => kind === 'Job') === true;
  const report = encodeReport({
    result: 'Succeeded',
    message: 'Collected.',
    dryRun: false,
    startTime: time,
    completionTime: time,
    readOnlySeconds: 0,
    repositoriesScanned: 1,
    manifestsScanned: 1,
    blobsScanned: 1,
    repositoriesDeleted: 0,
    uploadsDeleted: 0,
    tagsDeleted: 0,
    manifestsDeleted: 0,
    blobsDeleted: 0,
    linksDeleted: 0,
    bytesReclaimed: 0,
    bytesInTrash: 0,
    phaseSeconds: {},
  });
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: time, finishedAt: time, message: report };
  const running = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  const over = {
    phase: 'Succeeded',
    containerStatuses: [
      {
        name: pod.spec?.containers[0]?.name ?? '',
        image: '',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { terminated },
      },
    ],
  };
  const status = { podIP, ...(isJob ? over : running) };
  await client.patch(pods, { namespace, name }, { status }, { subresource: 'status' });
}

/** Gateways and monitoring, as far as the operator needs to find their kinds. */
async function installForeignKinds(transport: Transport): Promise<void> {
  for (const [group, plural, kind] of [
    ['gateway.networking.k8s.io', 'httproutes', 'HTTPRoute'],
    ['gateway.networking.k8s.io', 'tlsroutes', 'TLSRoute'],
    ['monitoring.coreos.com', 'servicemonitors', 'ServiceMonitor'],
    ['monitoring.coreos.com', 'prometheusrules', 'PrometheusRule'],
  ] as const) {
    const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    const schema = { openAPIV3Schema: { type: 'object', properties: { spec: anything } } };
    await transport.exchange({
      method: 'POST',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      body: {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${plural}.${group}` },
        spec: {
          group,
          scope: 'Namespaced',
          names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
          versions: [{ name: 'v1', served: true, storage: true, schema }],
        },
      },
    });
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
