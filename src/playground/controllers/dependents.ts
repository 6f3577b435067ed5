import { isConflict, isNotFound } from '../../kube/api-error.ts';
import type { Cache, CacheChange } from '../../kube/cache.ts';
import {
  formatKey,
  keyOf,
  parseKey,
  type KubeObject,
  type OwnerReference,
  type Stored,
} from '../../kube/object.ts';
import { apiVersionOf } from '../../kube/resources.ts';
import { WorkQueue } from '../../kube/work-queue.ts';
import type { ControllerTools } from './controllers.ts';

/** A cache of whatever kind, that finds objects by their own uid and by those of their owners. */
export type OwnedCache = Cache<KubeObject, 'uid' | 'owner'>;

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';

export const ownerIndexes = {
  uid: ({ metadata }: Stored<KubeObject>) => [metadata.uid],
  owner: ({ metadata }: Stored<KubeObject>) => (metadata.ownerReferences ?? []).map(({ uid }) => uid),
};

/**
 * Deletes what belongs to owners that are all gone, as Kubernetes' garbage collector: after them, or before them where
 * a deletion asks for the foreground; where it asks for orphans, dependents lose their reference in place of their life.
 */
export class DependentCollector {
  readonly #tools: ControllerTools;
  readonly #caches = new Map<string, OwnedCache>();
  readonly #queue: WorkQueue;

  constructor(tools: ControllerTools) {
    const { clock, random, metrics } = tools;
    this.#tools = tools;
    const handle = (key: string) => this.#look(key);
    this.#queue = new WorkQueue({ name: 'dependents', workers: 4, handle, clock, random, metrics });
  }

  /** Watches one more kind. */
  add(cache: OwnedCache): void {
    this.#caches.set(cache.type.plural + '.' + apiVersionOf(cache.type), cache);
    cache.onChange((change) => this.#changed(cache, change));
  }

  /** Begins when all that is known has been listed. */
  start(): void {
    for (const cache of this.#caches.values())
      for (const object of cache.list()) this.#enqueue(cache, object);
    this.#queue.start();
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #changed(cache: OwnedCache, { type, object }: CacheChange<KubeObject>): void {
    if (type !== 'deleted') {
      if (
        object.metadata.deletionTimestamp !== undefined ||
        (object.metadata.ownerReferences ?? []).length > 0
      )
        this.#enqueue(cache, object);
      return;
    }
    for (const [dependent, of] of this.#dependentsOf(object.metadata.uid)) this.#enqueue(of, dependent);
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const found = this.#byUid(uid);
      if (found !== undefined) this.#enqueue(...found);
    }
  }

  #enqueue(cache: OwnedCache, object: KubeObject): void {
    this.#queue.add(`${cache.type.plural}.${apiVersionOf(cache.type)} ${formatKey(keyOf(object))}`);
  }

  async #look(text: string): Promise<void> {
    const [kind = '', key = ''] = text.split(' ');
    const cache = this.#caches.get(kind);
    const object = cache?.get(parseKey(key));
    if (cache === undefined || object === undefined) return;
    try {
      if (object.metadata.deletionTimestamp !== undefined) await this.#finishDeletion(cache, object);
      else await this.#deleteIfOwnerless(cache, object);
      this.#queue.forget(text);
    } catch (error) {
      // It has changed, and the change has brought it here once more.
      if (isConflict(error) || isNotFound(error)) return;
      this.#tools.log.warn({ error, object: text }, 'dependents not collected');
      throw error;
    }
  }

  /** What a deletion waits for, where it waits for dependents. */
  async #finishDeletion(cache: OwnedCache, owner: Stored<KubeObject>): Promise<void> {
    const { finalizers = [], uid } = owner.metadata;
    const mode = finalizers.find((name) => name === FOREGROUND || name === ORPHAN);
    if (mode === undefined) return;
    const { client } = this.#tools;
    const dependents = this.#dependentsOf(uid);
    for (const [dependent, of] of dependents) {
      if (mode === ORPHAN) await this.#release(of, dependent, (reference) => reference.uid !== uid);
      else if (dependent.metadata.deletionTimestamp === undefined)
        await this.#delete(of, dependent, 'Foreground');
    }
    if (mode === FOREGROUND && dependents.length > 0) return;
    const kept = finalizers.filter((name) => name !== mode);
    await client.patch(cache.type, keyOf(owner), { metadata: { uid, finalizers: kept } });
  }

  async #deleteIfOwnerless(cache: OwnedCache, object: Stored<KubeObject>): Promise<void> {
    const references = object.metadata.ownerReferences ?? [];
    if (references.length === 0) return;
    const isThere = await Promise.all(references.map((reference) => this.#exists(reference, object)));
    if (isThere.every((there) => there)) return;
    if (isThere.some((there) => there)) {
      await this.#release(cache, object, (reference) => isThere[references.indexOf(reference)] === true);
    } else await this.#delete(cache, object, 'Background');
  }

  /** The API server is asked where the caches do not know an owner: they may lag behind. */
  async #exists(reference: OwnerReference, dependent: KubeObject): Promise<boolean> {
    if (this.#byUid(reference.uid) !== undefined) return true;
    const cache = [...this.#caches.values()].find(
      ({ type }) => type.kind === reference.kind && apiVersionOf(type) === reference.apiVersion,
    );
    // Nothing is known of such a kind, so nothing is destroyed for it.
    if (cache === undefined) return true;
    const { namespace } = dependent.metadata;
    const key = { name: reference.name, ...(cache.type.namespaced && { namespace }) };
    const owner = await this.#tools.client.find(cache.type, key);
    return owner?.metadata.uid === reference.uid;
  }

  async #release(
    cache: OwnedCache,
    object: Stored<KubeObject>,
    keep: (reference: OwnerReference) => boolean,
  ): Promise<void> {
    const { resourceVersion, ownerReferences = [] } = object.metadata;
    const metadata = { resourceVersion, ownerReferences: ownerReferences.filter(keep) };
    await this.#tools.client.patch(cache.type, keyOf(object), { metadata });
  }

  async #delete(
    cache: OwnedCache,
    object: Stored<KubeObject>,
    propagationPolicy: 'Background' | 'Foreground',
  ): Promise<void> {
    const { uid, resourceVersion } = object.metadata;
    // With the version, since somebody may have adopted it meanwhile.
    await this.#tools.client.delete(cache.type, keyOf(object), { uid, resourceVersion, propagationPolicy });
  }

  #dependentsOf(uid: string): (readonly [Stored<KubeObject>, OwnedCache])[] {
    return [...this.#caches.values()].flatMap((cache) =>
      cache.byIndex('owner', uid).map((object) => [object, cache] as const),
    );
  }

  #byUid(uid: string): readonly [OwnedCache, Stored<KubeObject>] | undefined {
    for (const cache of this.#caches.values()) {
      const [object] = cache.byIndex('uid', uid);
      if (object !== undefined) return [cache, object];
    }
    return undefined;
  }
}
