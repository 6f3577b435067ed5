import type { StatusDocument } from '../../../src/contract/status-document.ts';
import type { NodeReport } from '../../../src/contract/node-report.ts';
import type { EventDetails } from '../../../src/kube/event-recorder.ts';
import type { Outcome } from '../../../src/kube/outcome.ts';
import {
  deployments,
  persistentVolumeClaims,
  pods,
  secrets,
  type Secret,
} from '../../../src/kube/resources.ts';
import type { Registry } from '../../../src/api/registry.ts';
import { isServer, childLabels } from '../../../src/operator/child-names.ts';
import { CONFIG_HASH_ANNOTATION } from '../../../src/operator/desired-deployment.ts';
import { conditionOf, type Condition } from '../../../src/operator/conditions.ts';
import type { ConditionType } from '../../../src/operator/reasons.ts';
import type { PasswordHasher } from '../../../src/operator/htpasswd-file.ts';
import { createRegistryReconciler } from '../../../src/operator/registry-reconciler.ts';
import { readRegistry, registries } from '../../../src/operator/resource-types.ts';
import { dataText } from '../../../src/operator/secret-data.ts';
import { UpgradeQueue } from '../../../src/operator/upgrade-queue.ts';
import { createWorld } from '../../../src/operator/world.ts';
import { logSink } from '../../support/log-sink.ts';
import { TestClock } from '../../support/test-clock.ts';
import { convergeOn, convergeThroughCrash } from './converge.ts';
import { KubeStandIn } from './kube-stand-in.ts';
import { readyPod, registry, registryObject } from './resource-builders.ts';

export const KEY = { namespace: 'team', name: 'reg' };

/** As quick as a password check must not be; each hash differs, as bcrypt's do. */
function countingHasher(): PasswordHasher & { readonly hashed: string[] } {
  const hashed: string[] = [];
  return {
    hashed,
    async hash(password) {
      hashed.push(password.toString());
      return `$${hashed.length}$${Buffer.from(password).toString('hex')}`;
    },
    async verify(password, hash) {
      return hash.endsWith(`$${Buffer.from(password).toString('hex')}`);
    },
  };
}

/** One Registry with its world: a stand-in for the API server and the real reconciler. */
export function registryHarness(
  options: {
    readonly allowImageOverride?: boolean;
    readonly shareFromNamespaces?: readonly string[];
    readonly sharedAuthorityNamespaces?: readonly string[];
    readonly nodeAccessNamespaces?: readonly string[];
  } = {},
) {
  const { log } = logSink();
  const world = createWorld(log);
  const kube = new KubeStandIn(world);
  const clock = new TestClock();
  const hasher = countingHasher();
  const events: EventDetails[] = [];
  let server: StatusDocument | undefined;
  const nodeReports = new Map<string, NodeReport>();
  const tools = {
    world,
    kube,
    clock,
    hasher,
    log,
    image: 'example.test/stevedore:1',
    allowImageOverride: options.allowImageOverride ?? false,
    shareFromNamespaces: options.shareFromNamespaces ?? [],
    nodeAccessNamespaces: options.nodeAccessNamespaces ?? [],
    readNodeReport: async (address: string) => nodeReports.get(address),
    sharedAuthorityNamespaces: options.sharedAuthorityNamespaces ?? [],
    operatorNamespace: 'stevedore-system',
    upgrades: new UpgradeQueue(1),
    events: { record: (_: unknown, event: EventDetails) => void events.push(event) },
    readServerStatus: async () => server,
  };
  let reconcile = createRegistryReconciler(tools);

  const harness = {
    world,
    kube,
    clock,
    hasher,
    events,
    nodeReports,
    reconcile: (key = KEY) => reconcile(key),
    /** The operator is another version from now on. */
    upgradeTo(image: string, upgrades = new UpgradeQueue(1)): void {
      reconcile = createRegistryReconciler({ ...tools, image, upgrades });
    },
    setServer: (document: StatusDocument | undefined) => {
      server = document;
    },
    /** What the user writes; the status, which is not the user's, stays. */
    apply(spec: object = {}): void {
      const { apiVersion, kind, spec: all } = registryObject({ spec });
      kube.put(registries, { ...KEY, metadata: KEY, apiVersion, kind, spec: all });
    },
    putSecret(secret: Secret): void {
      kube.put(secrets, secret);
    },
    converge: (key = KEY): Promise<Outcome> => convergeOn(kube, () => reconcile(key)),
    convergeThroughCrash: (nth: number, when: 'before' | 'after') =>
      convergeThroughCrash(kube, () => reconcile(KEY), nth, when),
    /** The pod comes up, and says that it serves what it was given. */
    async start(): Promise<void> {
      const deployment = await kube.find(deployments, KEY);
      kube.put(
        deployments,
        {
          metadata: KEY,
          status: {
            observedGeneration: deployment?.metadata.generation,
            replicas: 1,
            updatedReplicas: 1,
            readyReplicas: 1,
            availableReplicas: 1,
          },
        },
        'deployment-controller',
      );
      kube.put(
        persistentVolumeClaims,
        { metadata: KEY, status: { phase: 'Bound', capacity: { storage: '20Gi' } } },
        'binder',
      );
      kube.put(pods, { ...readyPod, metadata: { ...KEY, name: 'reg-1', labels: childLabels(registry()) } });
      server = {
        version: '0.1.0',
        configHash: deployment?.spec?.template.metadata?.annotations?.[CONFIG_HASH_ANNOTATION] ?? '',
        readOnly: { active: false },
        openUploads: 0,
      };
    },
    async registry(): Promise<Registry> {
      const object = await kube.find(registries, KEY);
      if (object === undefined) throw new Error('no Registry');
      return readRegistry(object);
    },
    /** Type and status or reason of each condition: `Ready=True Available`. */
    async conditions(): Promise<readonly string[]> {
      const { status } = await harness.registry();
      return (status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
    },
    async condition(type: ConditionType): Promise<Condition> {
      const condition = conditionOf((await harness.registry()).status, type);
      if (condition === undefined) throw new Error(`no condition ${type}`);
      return condition;
    },
    async htpasswd(): Promise<string> {
      return dataText(await kube.find(secrets, { ...KEY, name: 'reg-htpasswd' }), 'htpasswd') ?? '';
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
