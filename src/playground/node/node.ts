import { readdir, rm } from 'node:fs/promises';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Random } from '../../kube/backoff.ts';
import { Cache } from '../../kube/cache.ts';
import type { KubeClient } from '../../kube/client.ts';
import { runController } from '../../kube/controller.ts';
import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { KubeMetrics } from '../../kube/metrics.ts';
import { microTime } from '../../kube/micro-time.ts';
import { keyOf, type KubeObject, type Stored } from '../../kube/object.ts';
import { listWatchSource, reflect } from '../../kube/reflector.ts';
import {
  configMaps,
  leases,
  nodes,
  persistentVolumeClaims,
  pods,
  secrets,
  services,
  type Pod,
} from '../../kube/resources.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { readLog, type LogOptions } from './container-log.ts';
import type { Program } from './container-process.ts';
import { rfc3339 } from '../api-server/kinds/read.ts';
import { PodWorker, type PodTools } from './pod-worker.ts';
import { ServiceRelay } from './service-relay.ts';

export interface NodeOptions {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  readonly program: Program;
  /** The image that `program` stands for. */
  readonly image: string;
  /** Of the node, unique in the cluster. */
  readonly name: string;
  /** Of the program. */
  readonly version: string;
  readonly folder: string;
}

export interface PlaygroundNode {
  /** Resolves when the API server knows the node, and it knows its pods. */
  readonly ready: Promise<void>;
  /** The log of a pod; undefined when this node has no such pod. */
  log(
    pod: { readonly uid: string; readonly previous: boolean },
    options: LogOptions,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> | undefined;
  /** Ends every process that it started; what the API server has stays as it is, for the next start. */
  stop(): Promise<void>;
}

const LEASE_NAMESPACE = 'kube-node-lease';
const HEARTBEAT_MS = 10_000;
const LEASE_SECONDS = 40;
/** How long processes may take to end when the node does. */
const STOP_GRACE_MS = 10_000;
const HOST_IP = '127.0.0.1';
const NOT_READY_TAINT = 'node.kubernetes.io/not-ready';

/** Runs the pods that are given to it as processes of this machine, and relays the Services to them. */
export function startNode(options: NodeOptions): PlaygroundNode {
  const { client, clock, random, log, name, folder } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const caches = {
    pods: new Cache(pods, { log }),
    secrets: new Cache(secrets, { log }),
    configMaps: new Cache(configMaps, { log }),
    claims: new Cache(persistentVolumeClaims, { log }),
    services: new Cache(services, { log }),
  };
  const workers = new Map<string, PodWorker>();
  const tools: PodTools = {
    ...options,
    hostIP: HOST_IP,
    objects: (namespace) => ({
      secret: (name) => caches.secrets.get({ namespace, name }),
      configMap: (name) => caches.configMaps.get({ namespace, name }),
      claim: (name) => caches.claims.get({ namespace, name }),
    }),
  };

  function work(pod: Stored<Pod>): void {
    const { uid } = pod.metadata;
    // It may have gone while the first lists were awaited.
    if (caches.pods.get(keyOf(pod))?.metadata.uid !== uid) return;
    const worker = workers.get(uid);
    if (worker !== undefined) worker.update(pod);
    else if (!signal.aborted) {
      const used = new Set([...workers.values()].map(({ address }) => address));
      const fresh = new PodWorker(tools, pod, freeAddress(used, random));
      workers.set(uid, fresh);
    }
  }

  async function leave(pod: Stored<Pod>): Promise<void> {
    const { uid } = pod.metadata;
    const worker = workers.get(uid);
    worker?.abandon();
    await worker?.finished;
    workers.delete(uid);
    await rm(join(folder, 'pods', uid), { recursive: true, force: true });
  }

  function follow<T extends KubeObject>(cache: Cache<T>, fieldSelector?: string): Promise<void> {
    const source = listWatchSource(client, cache.type, { fieldSelector });
    return reflect({ resource: cache.type.plural, source, target: cache, clock, random, log }, signal);
  }

  const inputs = [caches.secrets, caches.configMaps, caches.claims];
  const inputsThere = Promise.all(inputs.map((cache) => cache.synced));
  caches.pods.onChange((change) => {
    if (change.type === 'deleted') void leave(change.object);
    else void inputsThere.then(() => work(change.object));
  });
  const refresh = ({ object }: { readonly object: KubeObject }): void => {
    for (const pod of caches.pods.list({ namespace: object.metadata.namespace })) {
      workers.get(pod.metadata.uid)?.refresh();
    }
  };
  for (const cache of inputs) cache.onChange(refresh);

  const relay = new ServiceRelay({ services: caches.services, pods: caches.pods, log });
  const registered = Promise.withResolvers<void>();
  const running = Promise.all([
    keepRegistered(options, registered.resolve, signal),
    follow(caches.pods, `spec.nodeName=${name}`),
    follow(caches.secrets),
    follow(caches.configMaps),
    follow(caches.claims),
    follow(caches.services),
    runController(
      {
        ...options,
        name: 'service-relay',
        primary: caches.services,
        reconcile: (key) => relay.reconcile(key),
      },
      signal,
    ),
  ]);
  const ready = Promise.all([
    registered.promise,
    inputsThere,
    caches.pods.synced,
    caches.services.synced,
  ]).then(() => removeLeftovers(folder, caches.pods));
  ready.catch(() => undefined);

  return {
    ready,
    log({ uid, previous }, logOptions, signal) {
      const found = workers.get(uid)?.log(previous);
      return found && readLog(found, logOptions, clock, signal);
    },
    async stop() {
      stopping.abort();
      await Promise.all([...workers.values()].map((worker) => worker.stop(STOP_GRACE_MS)));
      await relay.close();
      await running;
    },
  };
}

/** Folders of pods that were deleted while no node ran. */
async function removeLeftovers(folder: string, known: Cache<Pod>): Promise<void> {
  const uids = new Set(known.list().map(({ metadata }) => metadata.uid));
  for (const uid of await readdir(join(folder, 'pods')).catch(() => [])) {
    if (!uids.has(uid)) await rm(join(folder, 'pods', uid), { recursive: true, force: true });
  }
}

/** An address for a pod, from 127.128.0.0/9: enough for several nodes on a machine to pick at random. */
function freeAddress(used: ReadonlySet<string>, random: Random): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  for (;;) {
    const address = `127.${128 + below(126)}.${below(256)}.${1 + below(254)}`;
    if (!used.has(address)) return address;
  }
}

/** Makes the node's object, tells so, and keeps it alive by a lease, as nodes do. */
async function keepRegistered(options: NodeOptions, tell: () => void, signal: AbortSignal): Promise<void> {
  const { client, clock, log, name } = options;
  let isRegistered = false;
  while (!signal.aborted) {
    try {
      if (!isRegistered) await register(options);
      isRegistered = true;
      tell();
      const renewTime = microTime(clock.now());
      const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime };
      await client.apply(leases, { metadata: { namespace: LEASE_NAMESPACE, name }, spec }, { signal });
    } catch (error) {
      if (!signal.aborted) log.warn({ error, node: name }, 'node not registered or not renewed');
    }
    await clock.sleep(isRegistered ? HEARTBEAT_MS : 1000, signal).catch(() => undefined);
  }
}

async function register({ client, clock, name, version }: NodeOptions): Promise<void> {
  const architecture = arch() === 'x64' ? 'amd64' : arch();
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
  };
  const node =
    (await client.find(nodes, { name })) ?? (await client.create(nodes, { metadata: { name, labels } }));
  const taints = (node.spec?.taints ?? []).filter(({ key }) => key !== NOT_READY_TAINT);
  await client.patch(nodes, { name }, { spec: { taints } });
  const now = rfc3339(clock.now());
  const resources = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: '110',
  };
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady' };
  const status = {
    capacity: resources,
    allocatable: resources,
    conditions: [{ ...ready, lastHeartbeatTime: now, lastTransitionTime: now }],
    addresses: [
      { type: 'InternalIP', address: HOST_IP },
      { type: 'Hostname', address: name },
    ],
    nodeInfo: {
      architecture,
      operatingSystem: 'linux',
      kernelVersion: release(),
      osImage: 'this machine, pods are its processes',
      kubeletVersion: `v${version}`,
      containerRuntimeVersion: `stevedore://${version}`,
    },
  };
  await client.patch(nodes, { name }, { status }, { subresource: 'status' });
}
