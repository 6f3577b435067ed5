import { jsonEqual } from './fields/json.ts';
import type { JsonObject, Kind } from './kind.ts';
import { builtInKinds } from './kinds/built-in-kinds.ts';
import { Dependents } from './dependents.ts';
import { acceptedStatus } from './kinds/custom-kind.ts';
import { at, items, rfc3339, text } from './kinds/read.ts';
import type { ServedKinds } from './kinds/served-kinds.ts';
import type { Objects, WriteOptions } from './objects.ts';
import { metaOf, resourceOf } from './stored-object.ts';
import { StatusError } from './status-error.ts';
import { CrashedError, type Change, type Store } from './store.ts';

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

/**
 * What of the API server follows writes: kinds are served while their CustomResourceDefinition is there, and a
 * Namespace or CustomResourceDefinition that is deleted takes along what is in it, and goes when all of that is gone.
 */
export class Lifecycle {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #kinds: ServedKinds;
  readonly #now: () => number;
  readonly #dependents: Dependents | undefined;

  constructor(options: {
    readonly store: Store;
    readonly objects: Objects;
    readonly kinds: ServedKinds;
    readonly now: () => number;
    /** Whether what is in a Namespace, or belongs to an owner, goes with it, as controllers do it in a cluster. */
    readonly collects: boolean;
  }) {
    this.#store = options.store;
    this.#objects = options.objects;
    this.#kinds = options.kinds;
    this.#now = options.now;
    this.#dependents = options.collects ? new Dependents(options) : undefined;
  }

  /** Takes up what the store has, finishes what an earlier process began, and follows from then on. */
  async start(): Promise<void> {
    for (const [name, definition] of this.#store.list(DEFINITIONS)) this.#kinds.define(name, definition);
    this.#store.watch(this.#store.revision, (change) => this.#follow(change));
    for (const name of FIRST_NAMESPACES) {
      if (this.#store.get(NAMESPACES, name) !== undefined) continue;
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      await this.#objects.create(kindOf(NAMESPACES), body, SERVER);
    }
    await this.#dependents?.start();
    // There is no history before the first client.
    this.#store.forget();
    for (const resource of [NAMESPACES, DEFINITIONS]) {
      for (const [name, holder] of this.#store.list(resource))
        this.#emptyIfTerminating(resource, name, holder);
    }
  }

  #follow(change: Change): void {
    const { resource, key, deleted, object } = change;
    void this.#dependents?.follow(change).catch(ignoreRefusal);
    if (resource === DEFINITIONS) {
      this.#kinds.define(key, deleted ? undefined : object);
      if (!deleted) void this.#accept(key, object).catch(ignoreRefusal);
    }
    if (!deleted) {
      if (resource === NAMESPACES || resource === DEFINITIONS)
        this.#emptyIfTerminating(resource, key, object);
      return;
    }
    const namespace = text(object, 'metadata', 'namespace');
    const holder = this.#store.get(NAMESPACES, namespace);
    if (holder !== undefined) this.#emptyIfTerminating(NAMESPACES, namespace, holder);
    const [group = '', plural = ''] = resource.split('/');
    const definition = this.#store.get(DEFINITIONS, `${plural}.${group}`);
    if (definition !== undefined) this.#emptyIfTerminating(DEFINITIONS, `${plural}.${group}`, definition);
  }

  /** Says in its status that a definition is served, as often as its names are new. */
  async #accept(name: string, definition: JsonObject): Promise<void> {
    const accepted = at(definition, 'status', 'acceptedNames');
    const isDone =
      items(definition, 'status', 'conditions').length > 0 &&
      (at(accepted, 'kind') === '' || jsonEqual(accepted, at(definition, 'spec', 'names')));
    if (isDone || metaOf(definition)['deletionTimestamp'] !== undefined) return;
    const status = acceptedStatus(definition, rfc3339(this.#now()));
    await this.#objects.update(kindOf(DEFINITIONS), name, { ...definition, status }, 'status', SERVER);
  }

  #emptyIfTerminating(resource: string, name: string, holder: JsonObject): void {
    if (metaOf(holder)['deletionTimestamp'] === undefined) return;
    if (resource === NAMESPACES && this.#dependents === undefined) return;
    void this.#empty(resource, name).catch(ignoreRefusal);
  }

  /** Deletes what is in it, and then itself when nothing is left. What has finalizers calls again when it goes. */
  async #empty(resource: string, name: string): Promise<void> {
    const contents = resource === NAMESPACES ? this.#inNamespace(name) : this.#instancesOf(name);
    for (const [kind, object] of contents) {
      const meta = metaOf(object);
      if (meta['deletionTimestamp'] !== undefined) continue;
      const namespace = kind.namespaced ? text(meta, 'namespace') : undefined;
      await this.#objects.delete(kind, text(meta, 'name'), {}, { namespace, dryRun: false });
    }
    if (contents.length === 0) await this.#objects.remove(kindOf(resource), name);
  }

  #inNamespace(namespace: string): readonly (readonly [Kind, JsonObject])[] {
    const kinds = this.#kinds.all.filter((kind) => kind.namespaced && kind.group !== 'events.k8s.io');
    return kinds.flatMap((kind) =>
      this.#store.listLatest(resourceOf(kind), `${namespace}/`).map(([, object]) => [kind, object] as const),
    );
  }

  #instancesOf(definition: string): readonly (readonly [Kind, JsonObject])[] {
    const kind = this.#kinds.definedBy(definition);
    if (kind === undefined) return [];
    return this.#store.listLatest(resourceOf(kind)).map(([, object]) => [kind, object]);
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
