import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import type { NodeReport } from '../../../src/contract/node-report.ts';
import type { EventDetails } from '../../../src/kube/event-recorder.ts';
import type { Outcome } from '../../../src/kube/outcome.ts';
import { deployments, persistentVolumeClaims, pods, services } from '../../../src/kube/resources.ts';
import { childLabels, isServer } from '../../../src/operator/child-names.ts';
import { CONFIG_HASH_ANNOTATION } from '../../../src/operator/desired-deployment.ts';
import { createMirrorReconciler } from '../../../src/operator/mirror-reconciler.ts';
import { createRegistryReconciler } from '../../../src/operator/registry-reconciler.ts';
import { readRegistryMirror, registries, registryMirrors } from '../../../src/operator/resource-types.ts';
import { UpgradeQueue } from '../../../src/operator/upgrade-queue.ts';
import { createWorld } from '../../../src/operator/world.ts';
import { logSink } from '../../support/log-sink.ts';
import { TestClock } from '../../support/test-clock.ts';
import { convergeOn, convergeThroughCrash } from './converge.ts';
import { KubeStandIn } from './kube-stand-in.ts';
import { mirrorObject, readyPod, registryObject } from './resource-builders.ts';

export const KEY = { namespace: 'team', name: 'reg' };
const POD_KEY = { ...KEY, name: 'reg-mirror' };

/** One RegistryMirror with its world, and a Registry of the same name where a test wants one. */
export function mirrorHarness(
  options: {
    readonly shareFromNamespaces?: readonly string[];
    readonly nodeAccessNamespaces?: readonly string[];
  } = {},
) {
  const { log } = logSink();
  const world = createWorld(log);
  const kube = new KubeStandIn(world);
  const clock = new TestClock();
  const events: EventDetails[] = [];
  let server: StatusDocument | undefined;
  const nodeReports = new Map<string, NodeReport>();
  const tools = {
    world,
    kube,
    clock,
    log,
    hasher: {
      hash: async (password: Uint8Array) => `$${Buffer.from(password).toString('hex')}`,
      verify: async (password: Uint8Array, hash: string) =>
        hash === `$${Buffer.from(password).toString('hex')}`,
    },
    image: 'example.test/stevedore:1',
    allowImageOverride: false,
    shareFromNamespaces: options.shareFromNamespaces ?? [],
    nodeAccessNamespaces: options.nodeAccessNamespaces ?? [],
    readNodeReport: async (address: string) => nodeReports.get(address),
    sharedAuthorityNamespaces: [],
    operatorNamespace: 'stevedore-system',
    upgrades: new UpgradeQueue(1),
    events: { record: (_: unknown, event: EventDetails) => void events.push(event) },
    readServerStatus: async () => server,
  };
  const reconcile = createMirrorReconciler(tools);
  const reconcileRegistry = createRegistryReconciler(tools);

  const harness = {
    world,
    kube,
    clock,
    events,
    /** What agents say, by the address of their pod. */
    nodeReports,
    reconcile: () => reconcile(KEY),
    converge: (key = KEY): Promise<Outcome> => convergeOn(kube, () => reconcile(key)),
    /** The Service gets its address. */
    async allocate(name: string, address: string): Promise<void> {
      kube.put(services, { metadata: { ...KEY, name }, spec: { clusterIPs: [address] } }, 'allocator');
    },
    /** What the user writes; status and finalizers, which are not the user's, stay. */
    apply(spec: object = {}): void {
      const { apiVersion, kind, spec: all } = mirrorObject({ spec });
      const { finalizers = [] } = world.registryMirrors.get(KEY)?.metadata ?? {};
      kube.put(registryMirrors, { ...KEY, metadata: { ...KEY, finalizers }, apiVersion, kind, spec: all });
    },
    /** A Registry of the same name, with all that it has. */
    async addRegistry(): Promise<void> {
      const { apiVersion, kind, spec } = registryObject();
      kube.put(registries, { ...KEY, metadata: KEY, apiVersion, kind, spec });
      await convergeOn(kube, () => reconcileRegistry(KEY));
    },
    convergeThroughCrash: (nth: number, when: 'before' | 'after') =>
      convergeThroughCrash(kube, () => reconcile(KEY), nth, when),
    /** Its Service has an address, the pod comes up and says that it serves what it was given. */
    async start(mirror?: StatusDocument['mirror']): Promise<void> {
      await harness.converge();
      await harness.allocate(POD_KEY.name, '10.96.0.20');
      await harness.converge();
      const deployment = await kube.find(deployments, POD_KEY);
      const status = {
        observedGeneration: deployment?.metadata.generation,
        replicas: 1,
        updatedReplicas: 1,
        readyReplicas: 1,
        availableReplicas: 1,
      };
      kube.put(deployments, { metadata: POD_KEY, status }, 'deployment-controller');
      const claim = { phase: 'Bound', capacity: { storage: '20Gi' } };
      kube.put(persistentVolumeClaims, { metadata: POD_KEY, status: claim }, 'binder');
      const labels = childLabels(await harness.mirror());
      kube.put(pods, { ...readyPod, metadata: { ...KEY, name: 'reg-mirror-1', labels } });
      server = {
        version: '0.1.0',
        configHash: deployment?.spec?.template.metadata?.annotations?.[CONFIG_HASH_ANNOTATION] ?? '',
        readOnly: { active: false },
        openUploads: 0,
        ...(mirror !== undefined && { mirror }),
      };
      await harness.converge();
    },
    async mirror(): Promise<RegistryMirror> {
      const object = await kube.find(registryMirrors, KEY);
      if (object === undefined) throw new Error('no RegistryMirror');
      return readRegistryMirror(object);
    },
    /** Type and status or reason of each condition: `Ready=True Available`. */
    async conditions(): Promise<readonly string[]> {
      const { status } = await harness.mirror();
      return (status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
    },
    async message(type: string): Promise<string> {
      const { status } = await harness.mirror();
      return status?.conditions?.find((one) => one.type === type)?.message ?? '';
    },
    /** Kinds and names of everything there is, but for what the tests put there. */
    children(): readonly string[] {
      return kube
        .snapshot()
        .filter((object) => isServer(object) && object.kind !== 'Pod')
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
        .toSorted();
    },
  };
  return harness;
}
