import { isConflict, isNotFound } from '../../kube/api-error.ts';
import type { Cache } from '../../kube/cache.ts';
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

export const ownerIndexes = {
  uid: ({ metadata }: Stored<KubeObject>) => [metadata.uid],
  owner: ({ metadata }: Stored<KubeObject>) => (metadata.ownerReferences ?? []).map(({ uid }) => uid),
};

/** Deletes what belongs to owners that are all gone, as Kubernetes' garbage collector does in the background. */
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
    this.#caches.set(nameOf(cache), cache);
    cache.onChange(({ type, object }) => {
      if (type !== 'deleted') return this.#enqueue(cache, object);
      for (const other of this.#caches.values())
        for (const dependent of other.byIndex('owner', object.metadata.uid)) this.#enqueue(other, dependent);
    });
  }

  /** Begins when all that is known has been listed. */
  start(): void {
    this.#queue.start();
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #enqueue(cache: OwnedCache, object: KubeObject): void {
    const { ownerReferences = [], deletionTimestamp } = object.metadata;
    if (ownerReferences.length === 0 || deletionTimestamp !== undefined) return;
    this.#queue.add(`${nameOf(cache)} ${formatKey(keyOf(object))}`);
  }

  async #look(text: string): Promise<void> {
    const [kind = '', key = ''] = text.split(' ');
    const cache = this.#caches.get(kind);
    const object = cache?.get(parseKey(key));
    if (cache === undefined || object === undefined) return;
    const { uid, resourceVersion, ownerReferences = [] } = object.metadata;
    try {
      const areThere = await Promise.all(ownerReferences.map((owner) => this.#exists(owner, object)));
      // With the version, since somebody may have adopted it meanwhile.
      if (!areThere.includes(true)) {
        const options = { uid, resourceVersion, propagationPolicy: 'Background' } as const;
        await this.#tools.client.delete(cache.type, keyOf(object), options);
      }
      this.#queue.forget(text);
    } catch (error) {
      // It has changed, and the change has brought it here once more.
      if (isConflict(error) || isNotFound(error)) return;
      this.#tools.log.warn({ error, object: text }, 'dependents not collected');
      throw error;
    }
  }

  /** The API server is asked where the caches do not know an owner: they may lag behind. */
  async #exists(reference: OwnerReference, dependent: KubeObject): Promise<boolean> {
    const caches = [...this.#caches.values()];
    if (caches.some((cache) => cache.byIndex('uid', reference.uid).length > 0)) return true;
    const cache = caches.find(
      ({ type }) => type.kind === reference.kind && apiVersionOf(type) === reference.apiVersion,
    );
    // Nothing is known of such a kind, so nothing is destroyed for it.
    if (cache === undefined) return true;
    const { namespace } = dependent.metadata;
    const key = { name: reference.name, ...(cache.type.namespaced && { namespace }) };
    const owner = await this.#tools.client.find(cache.type, key);
    return owner?.metadata.uid === reference.uid;
  }
}

function nameOf({ type }: OwnedCache): string {
  return `${type.plural}.${apiVersionOf(type)}`;
}
