import { API_VERSION, MANAGED_BY_LABEL, PROGRAM } from '../api/names.ts';
import { ApiError } from '../kube/api-error.ts';
import type { ApplyFields, KubeClient } from '../kube/client.ts';
import type { KubeObject, ObjectKey, Stored } from '../kube/object.ts';
import { stalled, waiting, type Stalled, type Waiting } from '../kube/outcome.ts';
import type { ResourceType } from '../kube/resources.ts';
import { ownerLabel, selectorText } from './child-names.ts';
import { fingerprint, hasDrifted } from './drift.ts';
import type { Served } from './served.ts';

/** What the reconcilers ask of the API server. */
export type Kube = Pick<KubeClient, 'find' | 'create' | 'apply' | 'patch' | 'delete' | 'listAll'>;

/** What was seen last of a kind of child, which may lag behind. */
export interface Seen<T extends KubeObject> {
  readonly type: ResourceType<T>;
  get(key: ObjectKey): Stored<T> | undefined;
}

/** The child as it is now, or why it can't be had. */
export type Child<T extends KubeObject> =
  | { readonly object: Stored<T>; readonly outcome?: undefined }
  | { readonly object?: undefined; readonly outcome: Waiting | Stalled };

/** On each applied object: what was applied last, so that a field that is no longer wanted is taken back. */
const APPLIED_ANNOTATION = 'stevedore.dev/applied';

const PREDECESSOR_MS = 1000;

/** The child as it is, undefined when there is none; never one of somebody else. The cache is not trusted that there is none. */
export async function findChild<T extends KubeObject>(
  kube: Pick<Kube, 'find'>,
  seen: Seen<T>,
  registry: Stored<Served>,
  name: string,
): Promise<Child<T> | undefined> {
  const key = { namespace: registry.metadata.namespace, name };
  return asChild(seen.type, registry, seen.get(key) ?? (await kube.find(seen.type, key)));
}

/** An object that has the name of a child, as far as it is one. */
export function asChild<T extends KubeObject>(
  type: ResourceType<T>,
  registry: Stored<Served>,
  object: Stored<T> | undefined,
): Child<T> | undefined {
  if (object === undefined) return undefined;
  const holder = holderOf(object, registry);
  if (holder === 'registry') return { object };
  return {
    outcome:
      holder === 'predecessor'
        ? waiting(PREDECESSOR_MS, 'PredecessorTerminating')
        : nameConflict(type, object.metadata.name, registry),
  };
}

/**
 * Makes the child as desired by server-side apply, and writes nothing when it is so already. An object of that name
 * that belongs to somebody else is left alone.
 */
export async function applyChild<T extends KubeObject>(
  kube: Pick<Kube, 'find' | 'apply'>,
  seen: Seen<T>,
  registry: Stored<Served>,
  desired: ApplyFields<T>,
): Promise<Child<T>> {
  const existing = await findChild(kube, seen, registry, desired.metadata.name);
  return applyOver(kube, seen.type, existing, desired);
}

/** As `applyChild`, where it is known what there is: `existing`, or nothing by the word of the API server. */
export async function applyOver<T extends KubeObject>(
  kube: Pick<Kube, 'apply'>,
  type: ResourceType<T>,
  existing: Child<T> | undefined,
  desired: ApplyFields<T>,
): Promise<Child<T>> {
  if (existing?.outcome !== undefined) return existing;
  const marked = withFingerprint(desired);
  if (existing === undefined) {
    // Without force: should somebody make an object of that name at this very moment, it is not taken over.
    return unlessRefused(type, marked, () => kube.apply(type, marked, { force: false }));
  }
  if (!hasDrifted(marked, existing.object)) return existing;
  // The uid: should it be deleted and made again by somebody else, that one is not taken over.
  const { uid } = existing.object.metadata;
  return unlessRefused(type, marked, () =>
    kube.apply(type, { ...marked, metadata: { ...marked.metadata, uid } }),
  );
}

/** What to say of an object that the API server finds invalid or forbids; undefined for an error that may pass. */
export function refusalOf(error: unknown, kind: string, name: string): string | undefined {
  if (!(error instanceof ApiError) || (error.status !== 422 && error.status !== 403)) return undefined;
  return `The API server refuses the ${kind} ${name}: ${error.message}`;
}

/** What is refused stays so until somebody changes something. */
async function unlessRefused<T extends KubeObject>(
  type: ResourceType<T>,
  { metadata: { name } }: ApplyFields<T>,
  write: () => Promise<Stored<T>>,
): Promise<Child<T>> {
  try {
    return { object: await write() };
  } catch (error) {
    const refusal = refusalOf(error, type.kind, name);
    if (refusal === undefined) throw error;
    return { outcome: stalled('Refused', refusal) };
  }
}

function withFingerprint<T extends KubeObject>(desired: ApplyFields<T>): ApplyFields<T> {
  const { annotations } = desired.metadata;
  return {
    ...desired,
    metadata: {
      ...desired.metadata,
      annotations: { ...annotations, [APPLIED_ANNOTATION]: fingerprint(desired) },
    },
  };
}

/**
 * Whose an object is that has the name of a child. An earlier Registry of the same name leaves children behind: those
 * that it retained carry our labels and no owner, and are taken over; the others are about to go.
 */
function holderOf(object: KubeObject, registry: Stored<Served>): 'registry' | 'predecessor' | 'stranger' {
  const { ownerReferences = [], deletionTimestamp, labels } = object.metadata;
  const controller = ownerReferences.find((owner) => owner.controller === true);
  const own =
    controller === undefined
      ? Object.entries(handedOver(registry)).every(([label, value]) => labels?.[label] === value)
      : controller.uid === registry.metadata.uid;
  if (own) return deletionTimestamp === undefined ? 'registry' : 'predecessor';
  const namesake =
    controller?.apiVersion === API_VERSION &&
    controller.kind === registry.kind &&
    controller.name === registry.metadata.name;
  return namesake ? 'predecessor' : 'stranger';
}

/** The labels of a child that has no owner. */
function handedOver(registry: Stored<Served>): Readonly<Record<string, string>> {
  return { [MANAGED_BY_LABEL]: PROGRAM, ...ownerLabel(registry) };
}

function nameConflict(type: { readonly kind: string }, name: string, registry: Stored<Served>): Stalled {
  const labels = selectorText(handedOver(registry)).replace(',', ' and ');
  return stalled(
    'NameConflict',
    `There is a ${type.kind} ${name} that does not belong to this ${registry.kind}. Delete or rename it, or give it to the ${registry.kind}: label it ${labels}.`,
  );
}
