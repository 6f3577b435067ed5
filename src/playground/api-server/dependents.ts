import { apiVersionOf, type JsonObject } from './kind.ts';
import { items, text } from './kinds/read.ts';
import type { ServedKinds } from './kinds/served-kinds.ts';
import type { Objects } from './objects.ts';
import { isMarked, keyOf, metaOf, resourceOf } from './stored-object.ts';
import type { Change, Store } from './store.ts';

interface Place {
  readonly resource: string;
  readonly key: string;
}

/** Deletes what belongs to owners that are all gone, as Kubernetes' garbage collector does in the background. */
export class Dependents {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #kinds: ServedKinds;
  /** By the uid of the owner; what is gone since is told by the store. */
  readonly #owned = new Map<string, Place[]>();

  constructor(options: { readonly store: Store; readonly objects: Objects; readonly kinds: ServedKinds }) {
    this.#store = options.store;
    this.#objects = options.objects;
    this.#kinds = options.kinds;
  }

  /** What is there at the start, owners that went meanwhile included. */
  async start(): Promise<void> {
    for (const kind of this.#kinds.all) {
      const resource = resourceOf(kind);
      if (kind.stored !== undefined) continue;
      for (const [key, object] of this.#store.list(resource)) {
        this.#note({ resource, key }, object);
        await this.#collect({ resource, key });
      }
    }
  }

  /** A write has been made. */
  async follow({ resource, key, deleted, object, before }: Change): Promise<void> {
    if (deleted) {
      const uid = text(object, 'metadata', 'uid');
      const places = this.#owned.get(uid) ?? [];
      this.#owned.delete(uid);
      for (const place of places) await this.#collect(place);
    } else if (metaOf(before ?? {})['ownerReferences'] !== metaOf(object)['ownerReferences']) {
      this.#note({ resource, key }, object);
      await this.#collect({ resource, key });
    }
  }

  #note(place: Place, object: JsonObject): void {
    for (const { uid } of items(object, 'metadata', 'ownerReferences')) {
      const owner = text(uid);
      this.#owned.set(owner, [...(this.#owned.get(owner) ?? []), place]);
    }
  }

  async #collect({ resource, key }: Place): Promise<void> {
    const object = this.#store.latest(resource, key);
    const kind = this.#kinds.all.find((one) => resourceOf(one) === resource);
    if (object === undefined || kind === undefined || isMarked(object)) return;
    const owners = items(object, 'metadata', 'ownerReferences');
    if (owners.length === 0 || owners.some((owner) => this.#exists(owner, object))) return;
    const namespace = text(object, 'metadata', 'namespace') || undefined;
    await this.#objects.delete(kind, text(object, 'metadata', 'name'), {}, { namespace, dryRun: false });
  }

  #exists(owner: JsonObject, dependent: JsonObject): boolean {
    const kind = this.#kinds.all.find(
      (one) => one.kind === owner['kind'] && apiVersionOf(one) === owner['apiVersion'],
    );
    // Nothing is known of such a kind, so nothing is destroyed for it.
    if (kind === undefined) return true;
    const namespace = kind.namespaced ? text(dependent, 'metadata', 'namespace') : undefined;
    const found = this.#store.latest(resourceOf(kind), keyOf(namespace, text(owner, 'name')));
    return found !== undefined && text(found, 'metadata', 'uid') === owner['uid'];
  }
}
