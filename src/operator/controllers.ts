import type { Random } from '../kube/backoff.ts';
import type { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { runController, triggeredBy } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import { formatKey, keyOf, type KubeObject, type NamespacedName } from '../kube/object.ts';
import { listWatchSource, reflect } from '../kube/reflector.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { createBcryptHasher } from './bcrypt-hasher.ts';
import { createCollectionReconciler } from './collection-reconciler.ts';
import { createMirrorReconciler } from './mirror-reconciler.ts';
import { createRegistryReconciler } from './registry-reconciler.ts';
import type { UnreadObject } from './resource-types.ts';
import type { ReadNodeReport } from './read-node-report.ts';
import type { ReadServerStatus } from './server-status.ts';
import { UpgradeQueue } from './upgrade-queue.ts';
import {
  collectionOf,
  createWorld,
  mirrorOf,
  registryOf,
  registryOfCollection,
  sharedByOf,
  worldSelectors,
  type World,
} from './world.ts';

export interface OperatorOptions {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly metrics: KubeMetrics;
  readonly readServerStatus: ReadServerStatus;
  readonly readNodeReport: ReadNodeReport;
  /** Of the pods that are made. */
  readonly image: string;
  /** Whether a Registry may choose another one. */
  readonly allowImageOverride: boolean;
  /** Namespaces whose Registries may put something into others. */
  readonly shareFromNamespaces: readonly string[];
  /** Namespaces whose Registries may have certificates of the shared authority; `*`: all; none: there is no such authority. */
  readonly sharedAuthorityNamespaces: readonly string[];
  /** Namespaces of which something may be written on nodes. */
  readonly nodeAccessNamespaces: readonly string[];
  /** Where this process runs. */
  readonly operatorNamespace: string;
  /** How many registries may be on their way to another image at a time. */
  readonly upgradesAtOnce: number;
  /** The one namespace to work for; undefined: all. */
  readonly namespace: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Everything between the API server and the reconcilers. */
export interface Operator {
  readonly world: World;
  /** Keeps the caches up to date until the signal is aborted. A stand-by does it too, to take over at once. */
  watch(signal: AbortSignal): Promise<void>;
  /** Reconciles until the signal is aborted; resolves when the work in progress has ended. */
  work(signal: AbortSignal): Promise<void>;
}

export function createOperator(options: OperatorOptions): Operator {
  const { client, namespace, clock, random, log } = options;
  const world = createWorld(log);

  function follow<T extends KubeObject, Index extends string>(
    cache: Cache<T, Index>,
    labelSelector: string | undefined,
    signal: AbortSignal,
    where = namespace,
  ): Promise<void> {
    const source = listWatchSource(client, cache.type, { namespace: where, labelSelector });
    return reflect({ resource: cache.type.plural, source, target: cache, clock, random, log }, signal);
  }

  async function followSharedAuthority(signal: AbortSignal): Promise<void> {
    const { sharedAuthorities } = world;
    // Without leave to use it there need be none to read it.
    if (options.sharedAuthorityNamespaces.length === 0) sharedAuthorities.replace([]);
    else await follow(sharedAuthorities, worldSelectors.sharedAuthorities, signal, options.operatorNamespace);
  }

  async function followNodes(signal: AbortSignal): Promise<void> {
    const { nodes, nodeAgents } = world;
    // In one namespace alone there are no rights in that of the agents.
    if (namespace !== undefined) nodeAgents.replace([]);
    if (options.nodeAccessNamespaces.length === 0) nodes.replace([]);
    await Promise.all([
      namespace === undefined &&
        follow(nodeAgents, worldSelectors.nodeAgents, signal, options.operatorNamespace),
      options.nodeAccessNamespaces.length > 0 && follow(nodes, worldSelectors.nodes, signal),
    ]);
  }

  return {
    world,
    async watch(signal) {
      await Promise.all([
        follow(world.registries, worldSelectors.registries, signal),
        follow(world.registryMirrors, worldSelectors.registryMirrors, signal),
        follow(world.registryGCs, worldSelectors.registryGCs, signal),
        follow(world.credentials, worldSelectors.credentials, signal),
        followSharedAuthority(signal),
        follow(world.secrets, worldSelectors.secrets, signal),
        follow(world.configMaps, worldSelectors.configMaps, signal),
        follow(world.services, worldSelectors.services, signal),
        follow(world.claims, worldSelectors.claims, signal),
        follow(world.deployments, worldSelectors.deployments, signal),
        follow(world.disruptionBudgets, worldSelectors.disruptionBudgets, signal),
        follow(world.networkPolicies, worldSelectors.networkPolicies, signal),
        follow(world.ingresses, worldSelectors.ingresses, signal),
        follow(world.pods, worldSelectors.pods, signal),
        follow(world.jobs, worldSelectors.jobs, signal),
        followNodes(signal),
      ]);
    },
    async work(signal) {
      await Promise.all([runServed(options, world, signal), runCollections(options, world, signal)]);
    },
  };
}

/** The kinds with servers, which take turns at upgrades. */
async function runServed(options: OperatorOptions, world: World, signal: AbortSignal): Promise<void> {
  const { client: kube, clock, random, log, metrics } = options;
  const tools = {
    ...options,
    kube,
    world,
    hasher: createBcryptHasher(),
    upgrades: new UpgradeQueue(options.upgradesAtOnce),
  };
  const parts = { clock, random, log, metrics };
  await Promise.all([
    runController(
      {
        name: 'registry',
        primary: world.registries,
        triggers: servedTriggers(world, world.registries, registryOf),
        reconcile: createRegistryReconciler(tools),
        ...parts,
      },
      signal,
    ),
    runController(
      {
        name: 'registrymirror',
        primary: world.registryMirrors,
        triggers: servedTriggers(world, world.registryMirrors, mirrorOf),
        reconcile: createMirrorReconciler(tools),
        ...parts,
      },
      signal,
    ),
  ]);
}

/** What makes a look at a resource with servers worth while. `ownerOf`: by label, since what is retained has no owner. */
function servedTriggers(
  world: World,
  resources: World['registries'],
  ownerOf: (child: KubeObject) => NamespacedName[],
) {
  const sharerOf = (shared: KubeObject) =>
    sharedByOf(shared).flatMap((value) => resources.byIndex('sharedBy', value).flatMap(namespacedName));
  return [
    triggeredBy(world.secrets, (secret) => [...ownerOf(secret), ...sharerOf(secret)]),
    triggeredBy(world.configMaps, (map) => [...ownerOf(map), ...sharerOf(map)]),
    triggeredBy(world.sharedAuthorities, () =>
      resources.byIndex('authority', 'Shared').flatMap(namespacedName),
    ),
    triggeredBy(world.services, ownerOf),
    triggeredBy(world.claims, ownerOf),
    triggeredBy(world.deployments, ownerOf),
    triggeredBy(world.disruptionBudgets, ownerOf),
    triggeredBy(world.networkPolicies, ownerOf),
    triggeredBy(world.ingresses, ownerOf),
    triggeredBy(world.pods, ownerOf),
    triggeredBy(world.jobs, ownerOf),
    triggeredBy(world.credentials, (secret) => [
      ...ownerOf(secret),
      ...resources.byIndex('secret', formatKey(keyOf(secret))).flatMap(namespacedName),
      ...resources.byIndex('selectorIn', secret.metadata.namespace ?? '').flatMap(namespacedName),
    ]),
  ];
}

function runCollections(options: OperatorOptions, world: World, signal: AbortSignal): Promise<void> {
  const { client: kube, clock, random, log, metrics, events, image } = options;
  return runController(
    {
      name: 'registrygc',
      primary: world.registryGCs,
      triggers: [
        triggeredBy(world.jobs, collectionOf),
        triggeredBy(world.pods, collectionOf),
        triggeredBy(world.registries, (registry) =>
          world.registryGCs.byIndex('registry', formatKey(keyOf(registry))).flatMap(namespacedName),
        ),
        // A rival that comes, goes, or has done its work.
        triggeredBy(world.registryGCs, (gc) =>
          rivalsOf(world, gc).filter(({ name }) => name !== gc.metadata.name),
        ),
      ],
      reconcile: createCollectionReconciler({ world, kube, events, clock, image, log }),
      clock,
      random,
      log,
      metrics,
    },
    signal,
  );
}

function rivalsOf(world: World, gc: UnreadObject): NamespacedName[] {
  return registryOfCollection(gc).flatMap((registry) =>
    world.registryGCs.byIndex('registry', registry).flatMap(namespacedName),
  );
}

function namespacedName({ metadata: { namespace, name } }: KubeObject): NamespacedName[] {
  return namespace === undefined ? [] : [{ namespace, name }];
}
