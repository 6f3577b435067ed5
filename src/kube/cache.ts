import type { Logger } from '../process/logger.ts';
import { formatKey, keyOf, type KubeObject, type ObjectKey, type Stored } from './object.ts';
import type { ResourceType } from './resources.ts';

export type CacheChange<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: Stored<T> }
  | { readonly type: 'updated'; readonly object: Stored<T>; readonly previous: Stored<T> }
  | { readonly type: 'deleted'; readonly object: Stored<T> };

export interface CacheFilter {
  readonly namespace?: string | undefined;
  /** Every one of these labels with this value. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** For each index, the values under which an object is found. */
export type Indexes<T extends KubeObject, Index extends string> = Readonly<
  Record<Index, (object: Stored<T>) => Iterable<string>>
>;

/** What a reflector fills. */
export interface ReflectorTarget<T extends KubeObject> {
  /** The whole state: what is not in it has been deleted. */
  replace(items: readonly Stored<T>[]): void;
  put(object: Stored<T>): void;
  remove(object: Stored<T>): void;
}

/**
 * The last known objects of one kind, complete once `synced` has resolved. What it hands out is frozen, and without
 * `metadata.managedFields`. An object that was deleted and made again under its name (another uid) is a deletion and an
 * addition, even when only the result was seen.
 */
export class Cache<T extends KubeObject, Index extends string = never> implements ReflectorTarget<T> {
  readonly type: ResourceType<T>;
  /** Resolves after the first whole list. */
  readonly synced: Promise<void>;
  readonly #log: Logger;
  readonly #objects = new Map<string, Stored<T>>();
  readonly #indexes: ReadonlyMap<string, IndexOf<T>>;
  readonly #handlers = new Set<(change: CacheChange<T>) => void>();
  readonly #resolveSynced: () => void;
  #isSynced = false;

  constructor(
    type: ResourceType<T>,
    options: { readonly log: Logger; readonly indexes?: Indexes<T, Index> | undefined },
  ) {
    this.type = type;
    this.#log = options.log;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#resolveSynced = resolve;
    const indexes = Object.entries<(object: Stored<T>) => Iterable<string>>(options.indexes ?? {});
    this.#indexes = new Map(indexes.map(([name, valuesOf]) => [name, { valuesOf, keys: new Map() }]));
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): Stored<T> | undefined {
    return this.#objects.get(formatKey(key));
  }

  list(filter: CacheFilter = {}): Stored<T>[] {
    return [...this.#objects.values()].filter((object) => matches(object, filter));
  }

  /** The objects whose index function gave `value`. */
  byIndex(index: Index, value: string): Stored<T>[] {
    const keys = this.#indexes.get(index)?.keys.get(value) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Calls `handler` for each change from now on, after the cache has it. What it throws is logged. */
  onChange(handler: (change: CacheChange<T>) => void): void {
    this.#handlers.add(handler);
  }

  replace(items: readonly Stored<T>[]): void {
    const present = new Set(items.map((item) => formatKey(keyOf(item))));
    for (const [key, object] of this.#objects) {
      if (!present.has(key)) this.remove(object);
    }
    for (const item of items) this.put(item);
    this.#isSynced = true;
    this.#resolveSynced();
  }

  put(object: Stored<T>): void {
    const key = formatKey(keyOf(object));
    const previous = this.#objects.get(key);
    if (previous?.metadata.uid === object.metadata.uid) {
      if (previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
      const next = this.#store(key, object, previous);
      this.#notify({ type: 'updated', object: next, previous });
      return;
    }
    if (previous !== undefined) this.remove(previous);
    this.#notify({ type: 'added', object: this.#store(key, object, undefined) });
  }

  remove(object: Stored<T>): void {
    const key = formatKey(keyOf(object));
    const previous = this.#objects.get(key);
    if (previous === undefined || previous.metadata.uid !== object.metadata.uid) return;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) this.#unindex(index, key, previous);
    this.#notify({ type: 'deleted', object: previous });
  }

  #store(key: string, object: Stored<T>, previous: Stored<T> | undefined): Stored<T> {
    const stored = deepFreeze(withoutManagedFields(object));
    this.#objects.set(key, stored);
    for (const index of this.#indexes.values()) {
      if (previous !== undefined) this.#unindex(index, key, previous);
      for (const value of this.#indexValues(index, stored)) {
        const keys = index.keys.get(value) ?? new Set();
        index.keys.set(value, keys.add(key));
      }
    }
    return stored;
  }

  #unindex(index: IndexOf<T>, key: string, object: Stored<T>): void {
    for (const value of this.#indexValues(index, object)) {
      const keys = index.keys.get(value);
      keys?.delete(key);
      if (keys?.size === 0) index.keys.delete(value);
    }
  }

  #indexValues(index: IndexOf<T>, object: Stored<T>): Iterable<string> {
    try {
      return [...index.valuesOf(object)];
    } catch (error) {
      this.#log.error(
        { error, kind: this.type.kind, key: formatKey(keyOf(object)) },
        'index function failed',
      );
      return [];
    }
  }

  #notify(change: CacheChange<T>): void {
    for (const handler of this.#handlers) {
      try {
        handler(change);
      } catch (error) {
        // The reflector must go on whatever a listener makes of an object.
        const key = formatKey(keyOf(change.object));
        this.#log.error({ error, kind: this.type.kind, key }, 'change handler failed');
      }
    }
  }
}

interface IndexOf<T extends KubeObject> {
  readonly valuesOf: (object: Stored<T>) => Iterable<string>;
  readonly keys: Map<string, Set<string>>;
}

function matches(object: KubeObject, filter: CacheFilter): boolean {
  if (filter.namespace !== undefined && object.metadata.namespace !== filter.namespace) return false;
  return Object.entries(filter.labels ?? {}).every(
    ([name, value]) => object.metadata.labels?.[name] === value,
  );
}

/** They are often the larger half of an object, and say nothing that a reconcile asks. */
function withoutManagedFields<T extends KubeObject>(object: Stored<T>): Stored<T> {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
