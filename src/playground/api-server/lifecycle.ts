import type { JsonObject, Kind } from './kind.ts';
import { builtInKinds } from './kinds/built-in-kinds.ts';
import { customKinds } from './kinds/custom-kind.ts';
import { text } from './kinds/read.ts';
import type { ServedKinds } from './kinds/served-kinds.ts';
import { metaOf, resourceOf, type Objects } from './objects.ts';
import { StatusError } from './status-error.ts';
import { CrashedError, type Change, type Store } from './store.ts';

const NAMESPACES = '/namespaces';
const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions';
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
  readonly #emptiesNamespaces: boolean;

  constructor(store: Store, objects: Objects, kinds: ServedKinds, emptiesNamespaces: boolean) {
    this.#store = store;
    this.#objects = objects;
    this.#kinds = kinds;
    this.#emptiesNamespaces = emptiesNamespaces;
  }

  /** Takes up what the store has, finishes what an earlier process began, and follows from then on. */
  async start(): Promise<void> {
    for (const [name, definition] of this.#store.list(DEFINITIONS)) this.#kinds.define(name, definition);
    this.#store.watch(this.#store.revision, (change) => this.#follow(change));
    for (const name of FIRST_NAMESPACES) {
      if (this.#store.get(NAMESPACES, name) !== undefined) continue;
      const options = {
        namespace: undefined,
        manager: 'kube-apiserver',
        dryRun: false,
        duplicates: [],
        warn: () => {},
      };
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      await this.#objects.create(kindOf(NAMESPACES), body, { ...options, fieldValidation: 'Strict' });
    }
    for (const resource of [NAMESPACES, DEFINITIONS]) {
      for (const [name, holder] of this.#store.list(resource))
        this.#emptyIfTerminating(resource, name, holder);
    }
  }

  #follow({ resource, key, deleted, object }: Change): void {
    if (resource === DEFINITIONS) this.#kinds.define(key, deleted ? undefined : object);
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

  #emptyIfTerminating(resource: string, name: string, holder: JsonObject): void {
    if (metaOf(holder)['deletionTimestamp'] === undefined) return;
    if (resource === NAMESPACES && !this.#emptiesNamespaces) return;
    void this.#empty(resource, name, holder).catch((error: unknown) => {
      // Somebody else deleted it, or this instance is as good as killed.
      if (!(error instanceof StatusError) && !(error instanceof CrashedError)) throw error;
    });
  }

  /** Deletes what is in it, and then itself when nothing is left. What has finalizers calls again when it goes. */
  async #empty(resource: string, name: string, holder: JsonObject): Promise<void> {
    const contents = resource === NAMESPACES ? this.#inNamespace(name) : this.#instancesOf(holder);
    for (const [kind, object] of contents) {
      const meta = metaOf(object);
      if (meta['deletionTimestamp'] !== undefined) continue;
      const namespace = kind.namespaced ? text(meta, 'namespace') : undefined;
      const options = { namespace, dryRun: false, warn: () => {} };
      await this.#objects.delete(kind, text(meta, 'name'), { propagationPolicy: 'Background' }, options);
    }
    if (contents.length === 0) await this.#objects.remove(kindOf(resource), name);
  }

  #inNamespace(namespace: string): readonly (readonly [Kind, JsonObject])[] {
    const kinds = this.#kinds.all.filter((kind) => kind.namespaced && kind.stored === undefined);
    return kinds.flatMap((kind) =>
      this.#store.listLatest(resourceOf(kind), `${namespace}/`).map(([, object]) => [kind, object] as const),
    );
  }

  #instancesOf(definition: JsonObject): readonly (readonly [Kind, JsonObject])[] {
    const kind = customKinds(definition).find(({ stored }) => stored === undefined);
    return kind === undefined
      ? []
      : this.#store.listLatest(resourceOf(kind)).map(([, object]) => [kind, object]);
  }
}

function kindOf(resource: string): Kind {
  const found = builtInKinds.find((kind) => resourceOf(kind) === resource);
  if (found === undefined) throw new Error(`${resource} is not a built-in kind`);
  return found;
}
