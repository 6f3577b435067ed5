import type { RegistryMirrorStatus } from '../api/registry-mirror.ts';
import type { RegistryStatus } from '../api/registry.ts';
import { isNotFound } from '../kube/api-error.ts';
import type { KubeClient } from '../kube/client.ts';
import type { NamespacedName, Stored } from '../kube/object.ts';
import { pods as podType, type Pod, type ResourceType } from '../kube/resources.ts';
import { isServer, ownerSelector } from './child-names.ts';
import { explained, fleetEntry, type ExplainedCondition, type FleetEntry } from './fleet.ts';
import {
  readIfFits,
  readRegistryGC,
  readServed,
  registries,
  registryGCs,
  registryMirrors,
  type UnreadObject,
} from './resource-types.ts';
import { podProblem } from './rollout.ts';

/** The kinds by the words that a person says. */
export const kindWords = { registry: registries, mirror: registryMirrors, gc: registryGCs } as const;

export type KindWord = keyof typeof kindWords;

type Reader = Pick<KubeClient, 'find' | 'listAll'>;

/** Everything of ours, by kind, namespace and name. Kinds that are not installed are left out. */
export async function lookAtFleet(
  client: Reader,
  namespace: string | undefined,
): Promise<readonly FleetEntry[]> {
  const lists = Object.values(kindWords).map(async (type) => {
    const items = await listOrNone(client, type, namespace);
    return items.map(fleetEntry).toSorted((a, b) => place(a).localeCompare(place(b)));
  });
  return (await Promise.all(lists)).flat();
}

function place({ namespace, name }: FleetEntry): string {
  return `${namespace}/${name}`;
}

async function listOrNone(
  client: Reader,
  type: ResourceType<UnreadObject>,
  namespace: string | undefined,
): Promise<readonly Stored<UnreadObject>[]> {
  try {
    const { items } = await client.listAll(type, { namespace });
    // The items of a list do not say what they are.
    return items.map((item) => ({ ...item, kind: type.kind }));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** What is to be said of one resource. */
export interface Findings extends FleetEntry {
  readonly conditions: readonly ExplainedCondition[];
  readonly pods: readonly PodFindings[];
  readonly certificate?: RegistryStatus['certificate'];
  readonly users?: RegistryStatus['users'];
  /** Of a RegistryMirror. */
  readonly upstreams?: RegistryMirrorStatus['upstreams'];
  /** What collects in it. */
  readonly collections: readonly FleetEntry[];
}

interface PodFindings {
  readonly name: string;
  readonly node: string | undefined;
  readonly phase: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly problem?: string;
}

/** Undefined: there is none. */
export async function lookInto(
  client: Reader,
  word: KindWord,
  key: NamespacedName,
): Promise<Findings | undefined> {
  const type = kindWords[word];
  const object = await client.find(type, key);
  if (object === undefined) return undefined;
  const entry = fleetEntry(object);
  const served = word === 'gc' ? undefined : readIfFits(object, readServed);
  const status = (served ?? (word === 'gc' ? readIfFits(object, readRegistryGC) : undefined))?.status;
  const { certificate, users } = served?.status ?? {};
  const upstreams = served?.kind === 'RegistryMirror' ? served.status?.upstreams : undefined;
  return {
    ...entry,
    conditions: (status?.conditions ?? []).map(explained),
    pods: served === undefined ? [] : await podsOf(client, served),
    ...(certificate !== undefined && { certificate }),
    ...(users !== undefined && { users }),
    ...(upstreams !== undefined && { upstreams }),
    collections: word === 'registry' ? await collectionsOf(client, key) : [],
  };
}

async function podsOf(
  client: Reader,
  served: NonNullable<ReturnType<typeof readServed>>,
): Promise<readonly PodFindings[]> {
  const { namespace } = served.metadata;
  const { items } = await client.listAll(podType, { namespace, labelSelector: ownerSelector(served) });
  return items.filter(isServer).map(podFindings);
}

function podFindings(pod: Pod): PodFindings {
  const { metadata, spec, status } = pod;
  const problem = podProblem(pod);
  return {
    name: metadata.name,
    node: spec?.nodeName,
    phase: status?.phase ?? 'Unknown',
    ready: status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
    restarts: Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    ...(problem !== undefined && { problem }),
  };
}

async function collectionsOf(
  client: Reader,
  { namespace, name }: NamespacedName,
): Promise<readonly FleetEntry[]> {
  const all = await listOrNone(client, registryGCs, namespace);
  return all.map(fleetEntry).filter(({ collection }) => collection?.registry === name);
}
