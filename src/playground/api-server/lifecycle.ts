import { collectDependents } from './dependents.ts';
import { jsonEqual } from './fields/json.ts';
import type { JsonObject, Kind } from './kind.ts';
import { builtInKinds } from './kinds/built-in-kinds.ts';
import { acceptedStatus } from './kinds/custom-kind.ts';
import { at, rfc3339, text } from './kinds/read.ts';
import type { ServedKinds } from './kinds/served-kinds.ts';
import type { Objects, WriteOptions } from './objects.ts';
import { StatusError } from './status-error.ts';
import { CrashedError, type Change, type Store } from './store.ts';
import { isMarked, resourceOf } from './stored-object.ts';

const NAMESPACES = '/namespaces';
const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions';
const SERVER: WriteOptions = {
  namespace: undefined,
  manager: 'kube-apiserver',
  dryRun: false,
  fieldValidation: 'Strict',
  warn: () => {},
};
/** As in every cluster. */
const FIRST_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

/** What follows writes, of one API server. */
export interface FollowerTools {
  readonly store: Store;
  readonly objects: Objects;
  readonly kinds: ServedKinds;
  readonly now: () => number;
  /** Whether what is in a Namespace, or belongs to an owner, goes with it, as controllers do it in a cluster. */
  readonly collects: boolean;
}

/**
 * What of the API server follows writes: kinds are served while their CustomResourceDefinition is there; a Namespace or
 * CustomResourceDefinition that is deleted takes along what is in it, and goes when all of that is gone. Takes up what
 * the store has, finishes what an earlier process began, and follows from then on.
 */
export async function followWrites(tools: FollowerTools): Promise<void> {
  const { store, objects, kinds, now, collects } = tools;
  const dependents = collects ? collectDependents(tools) : undefined;
  for (const [name, definition] of store.list(DEFINITIONS)) kinds.define(name, definition);
  store.watch(store.revision, follow);
  for (const name of FIRST_NAMESPACES) {
    if (store.get(NAMESPACES, name) !== undefined) continue;
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await objects.create(kindOf(NAMESPACES), body, SERVER);
  }
  await dependents?.start();
  // There is no history before the first client.
  store.forget();
  for (const resource of [NAMESPACES, DEFINITIONS])
    for (const [name] of store.list(resource)) emptyIfTerminating(resource, name);

  function follow(change: Change): void {
    const { resource, key, deleted, object } = change;
    void dependents?.follow(change).catch(ignoreRefusal);
    if (resource === DEFINITIONS) {
      kinds.define(key, deleted ? undefined : object);
      if (!deleted) void accept(key, object).catch(ignoreRefusal);
    }
    if (!deleted) return emptyIfTerminating(resource, key);
    const [group = '', plural = ''] = resource.split('/');
    emptyIfTerminating(NAMESPACES, text(object, 'metadata', 'namespace'));
    emptyIfTerminating(DEFINITIONS, `${plural}.${group}`);
  }

  /** Says in its status that a definition is served, as often as its names are new. */
  async function accept(name: string, definition: JsonObject): Promise<void> {
    const isDone = jsonEqual(at(definition, 'status', 'acceptedNames'), at(definition, 'spec', 'names'));
    if (isDone || isMarked(definition)) return;
    const status = acceptedStatus(definition, rfc3339(now()));
    await objects.update(kindOf(DEFINITIONS), name, { ...definition, status }, 'status', SERVER);
  }

  function emptyIfTerminating(resource: string, name: string): void {
    const isHolder = resource === DEFINITIONS || (resource === NAMESPACES && collects);
    const holder = isHolder ? store.get(resource, name) : undefined;
    if (holder !== undefined && isMarked(holder)) void empty(resource, name).catch(ignoreRefusal);
  }

  /** Deletes what is in it, and then itself when nothing is left. What has finalizers calls again when it goes. */
  async function empty(resource: string, name: string): Promise<void> {
    const [held, prefix] =
      resource === NAMESPACES
        ? [kinds.all.filter(({ namespaced, group }) => namespaced && group !== 'events.k8s.io'), `${name}/`]
        : [[kinds.definedBy(name)].filter((kind) => kind !== undefined), ''];
    const contents = held.flatMap((kind) =>
      store.listLatest(resourceOf(kind), prefix).map(([, object]) => [kind, object] as const),
    );
    for (const [kind, object] of contents) {
      if (isMarked(object)) continue;
      const namespace = text(object, 'metadata', 'namespace') || undefined;
      await objects.delete(kind, text(object, 'metadata', 'name'), {}, { namespace, dryRun: false });
    }
    if (contents.length === 0) await objects.remove(kindOf(resource), name);
  }
}

/** Somebody else was first, or this instance is as good as killed. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof StatusError) && !(error instanceof CrashedError)) throw error;
}

function kindOf(resource: string): Kind {
  const found = builtInKinds.find((kind) => resourceOf(kind) === resource);
  if (found === undefined) throw new Error(`${resource} is not a built-in kind`);
  return found;
}
