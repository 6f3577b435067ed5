import { apiVersionOf, type JsonObject } from './kind.ts';
import { items, text } from './kinds/read.ts';
import type { FollowerTools } from './lifecycle.ts';
import type { Change } from './store.ts';
import { isMarked, keyOf, metaOf, resourceOf } from './stored-object.ts';

interface Place {
  readonly resource: string;
  readonly key: string;
}

/** Deletes what belongs to owners that are all gone, as Kubernetes' garbage collector does in the background. */
export function collectDependents({ store, objects, kinds }: Omit<FollowerTools, 'now' | 'collects'>) {
  /** By the uid of the owner; what is gone since is told by the store. */
  const owned = new Map<string, Place[]>();

  function note(place: Place, object: JsonObject): void {
    for (const { uid } of items(object, 'metadata', 'ownerReferences')) {
      const owner = text(uid);
      owned.set(owner, [...(owned.get(owner) ?? []), place]);
    }
  }

  async function collect({ resource, key }: Place): Promise<void> {
    const object = store.latest(resource, key);
    const kind = kinds.all.find((one) => resourceOf(one) === resource);
    if (object === undefined || kind === undefined || isMarked(object)) return;
    const owners = items(object, 'metadata', 'ownerReferences');
    if (owners.length === 0 || owners.some((owner) => exists(owner, object))) return;
    const namespace = text(object, 'metadata', 'namespace') || undefined;
    await objects.delete(kind, text(object, 'metadata', 'name'), {}, { namespace, dryRun: false });
  }

  function exists(owner: JsonObject, dependent: JsonObject): boolean {
    const kind = kinds.all.find(
      (one) => one.kind === owner['kind'] && apiVersionOf(one) === owner['apiVersion'],
    );
    // Nothing is known of such a kind, so nothing is destroyed for it.
    if (kind === undefined) return true;
    const namespace = kind.namespaced ? text(dependent, 'metadata', 'namespace') : undefined;
    const found = store.latest(resourceOf(kind), keyOf(namespace, text(owner, 'name')));
    return found !== undefined && text(found, 'metadata', 'uid') === owner['uid'];
  }

  return {
    /** What is there at the start, owners that went meanwhile included. */
    async start(): Promise<void> {
      for (const resource of new Set(kinds.all.map(resourceOf))) {
        for (const [key, object] of store.list(resource)) {
          note({ resource, key }, object);
          await collect({ resource, key });
        }
      }
    },
    /** A write has been made. */
    async follow({ resource, key, deleted, object, before }: Change): Promise<void> {
      const uid = text(object, 'metadata', 'uid');
      const places = deleted ? (owned.get(uid) ?? []) : [];
      if (deleted) owned.delete(uid);
      else if (metaOf(before ?? {})['ownerReferences'] !== metaOf(object)['ownerReferences']) {
        note({ resource, key }, object);
        places.push({ resource, key });
      }
      for (const place of places) await collect(place);
    },
  };
}
