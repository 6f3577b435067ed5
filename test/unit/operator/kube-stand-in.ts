import { ApiError } from '../../../src/kube/api-error.ts';
import type { Cache } from '../../../src/kube/cache.ts';
import {
  formatKey,
  type KubeObject,
  type ObjectKey,
  type ObjectMeta,
  type Stored,
} from '../../../src/kube/object.ts';
import type { ResourceType } from '../../../src/kube/resources.ts';
import type { Kube } from '../../../src/operator/apply-child.ts';
import { worldSelectors, type World } from '../../../src/operator/world.ts';

type Fields = Readonly<Record<string, unknown>>;

/** An object as far as the test cares. */
interface Loose {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly data?: unknown;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** What one place holds: what each writer said, in the order of first writing. */
interface Entry {
  readonly type: ResourceType<KubeObject>;
  readonly identity: Fields;
  readonly parts: Map<string, Fields>;
  version: number;
  generation: number;
}

/** Thrown in place of, or right after, a write: the process is gone. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/**
 * Stands in for the API server behind the port that the reconcilers use, and for the reflectors behind their caches.
 * It keeps what each field manager applied and knows preconditions; it knows no schemas, defaults or merge keys, so it
 * proves nothing about the API server: test/e2e/operator.test.ts does.
 */
export class KubeStandIn implements Kube {
  readonly #entries = new Map<string, Entry>();
  readonly #world: World;
  readonly writes: string[] = [];
  /** Counts down with each write; the process dies at 0. */
  crashAt = Infinity;
  crashWhen: 'before' | 'after' = 'before';
  /** Refuses every write that it says something about. */
  refuse: (write: string) => ApiError | undefined = () => undefined;
  /** Lists, by the namespace that they are of, that are refused. */
  refuseList: (namespace: string | undefined) => ApiError | undefined = () => undefined;
  /** Kinds that this cluster does not have. */
  readonly notInstalled = new Set<string>();
  /** While false the caches stay behind. */
  reflecting = true;
  #now = Date.UTC(2026, 0, 1);
  #uids = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async find<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<Stored<T> | undefined> {
    const entry = this.#entries.get(place(type, key));
    // The stand-in holds under a type what was written under it.
    return entry === undefined ? undefined : (view(entry) as Stored<T>);
  }

  async listAll<T extends KubeObject>(type: ResourceType<T>, options: Parameters<Kube['listAll']>[1] = {}) {
    const refusal = this.refuseList(options.namespace);
    if (refusal !== undefined) throw refusal;
    if (this.notInstalled.has(type.kind)) {
      const message = 'the server could not find the requested resource';
      throw new ApiError({ status: 404, reason: 'NotFound', message, retryAfterMs: undefined });
    }
    const items = [...this.#entries.values()]
      .filter((entry) => entry.type.kind === type.kind)
      .map((entry) => view(entry) as Stored<T>)
      .filter(({ metadata }) => options.namespace === undefined || metadata.namespace === options.namespace)
      .filter((object) => selects(options.labelSelector, object));
    return { items, resourceVersion: '1', continue: undefined };
  }

  async create<T extends KubeObject>(
    type: ResourceType<T>,
    object: { readonly metadata: ObjectMeta },
  ): Promise<Stored<T>> {
    return this.#write(`create ${place(type, object.metadata)}`, async () => {
      if (this.#entries.has(place(type, object.metadata))) throw conflict('AlreadyExists', 'already exists');
      return this.put(type, object, 'creator');
    });
  }

  async apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: { readonly metadata: ObjectMeta & { readonly uid?: string; readonly resourceVersion?: string } },
    options: Parameters<Kube['apply']>[2] = {},
  ): Promise<Stored<T>> {
    return this.#write(
      `apply ${place(type, object.metadata)}${options.subresource ? '/status' : ''}`,
      async () => {
        const present = await this.find(type, object.metadata);
        const { uid, resourceVersion, ...metadata } = object.metadata;
        if (uid !== undefined && present?.metadata.uid !== uid) throw conflict('Conflict', 'uid mismatch');
        if (resourceVersion !== undefined && present?.metadata.resourceVersion !== resourceVersion) {
          throw conflict('Conflict', 'the object has been modified');
        }
        return this.put(type, { ...object, metadata }, options.fieldManager ?? 'applier');
      },
    );
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Readonly<Record<string, unknown>>,
  ): Promise<Stored<T>> {
    return this.#write(`patch ${place(type, key)}`, async () => {
      const entry = this.#entries.get(place(type, key));
      if (entry === undefined)
        throw new ApiError({ status: 404, reason: 'NotFound', message: 'none', retryAfterMs: undefined });
      for (const [manager, part] of entry.parts) entry.parts.set(manager, mergePatch(part, patch));
      return this.#changed(type, entry);
    });
  }

  async delete<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<boolean> {
    return this.#write(`delete ${place(type, key)}`, async () => this.remove(type, key));
  }

  /** What a user or another controller does: no write of ours. */
  put<T extends KubeObject>(type: ResourceType<T>, object: Loose, manager = 'user'): Stored<T> {
    const key = place(type, object.metadata);
    const known = this.#entries.get(key);
    const entry: Entry = known ?? {
      type,
      identity: {
        uid: `uid-${++this.#uids}`,
        creationTimestamp: `${new Date(this.#now).toISOString().slice(0, 19)}Z`,
      },
      parts: new Map(),
      version: 0,
      generation: 0,
    };
    this.#now += 1000;
    this.#entries.set(key, entry);
    const before = JSON.stringify(view(entry));
    const specBefore = JSON.stringify(specOf(entry));
    // Copied as JSON, as the wire does.
    entry.parts.set(
      manager,
      JSON.parse(
        JSON.stringify({
          ...object,
          apiVersion: type.group === 'stevedore.dev' ? 'stevedore.dev/v1alpha1' : 'v1',
          kind: type.kind,
        }),
      ) as Fields,
    );
    if (entry.version === 0 || JSON.stringify(specOf(entry)) !== specBefore) entry.generation++;
    if (known !== undefined && before === JSON.stringify(view(entry))) return view(entry) as Stored<T>;
    return this.#changed(type, entry);
  }

  remove<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): boolean {
    const entry = this.#entries.get(place(type, key));
    if (entry === undefined) return false;
    this.#entries.delete(place(type, key));
    if (this.reflecting) for (const cache of this.#cachesOf(type)) cache.remove(view(entry));
    return true;
  }

  /** Everything, for comparisons: without what differs from one time to the next by nature. */
  snapshot(): readonly Stored<KubeObject>[] {
    return [...this.#entries.values()].map(view);
  }

  /** Lets the caches catch up. */
  reflect(): void {
    this.reflecting = true;
    for (const [name, cache] of Object.entries(this.#world)) {
      const entries = [...this.#entries.values()].filter(({ type }) => type.kind === cache.type.kind);
      const selector = worldSelectors[name as keyof World];
      (cache as unknown as Cache<KubeObject>).replace(
        entries.map(view).filter((object) => selects(selector, object)),
      );
    }
  }

  async #write<R>(what: string, write: () => Promise<R>): Promise<R> {
    const dies = --this.crashAt <= 0;
    if (dies && this.crashWhen === 'before') throw new Crash(what);
    const refusal = this.refuse(what);
    if (refusal !== undefined) throw refusal;
    this.writes.push(what);
    const result = await write();
    if (dies) throw new Crash(what);
    return result;
  }

  #changed<T extends KubeObject>(type: ResourceType<T>, entry: Entry): Stored<T> {
    entry.version++;
    const object = view(entry);
    if (this.reflecting) for (const cache of this.#cachesOf(type, object)) cache.put(object);
    return object as Stored<T>;
  }

  #cachesOf(type: { readonly kind: string }, object?: KubeObject): Cache<KubeObject>[] {
    return Object.entries(this.#world)
      .filter(([, cache]) => cache.type.kind === type.kind)
      .filter(([name]) => object === undefined || selects(worldSelectors[name as keyof World], object))
      .map(([, cache]) => cache as unknown as Cache<KubeObject>);
  }
}

function place(type: { readonly kind: string }, key: ObjectKey): string {
  return `${type.kind} ${formatKey(key)}`;
}

function specOf(entry: Entry): unknown {
  return [...entry.parts.values()].reduce(merge, {})['spec'];
}

function view(entry: Entry): Stored<KubeObject> {
  const merged = [...entry.parts.values()].reduce(merge, {});
  const { generation } = entry;
  return merge(merged, {
    metadata: { generation, ...entry.identity, resourceVersion: String(entry.version) },
    // The identity makes it one.
  }) as unknown as Stored<KubeObject>;
}

function merge(one: Fields, other: Fields): Fields {
  const result: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const present = result[key];
    result[key] = isFields(present) && isFields(value) ? merge(present, value) : value;
  }
  return result;
}

/** RFC 7386. */
function mergePatch(target: Fields, patch: Fields): Fields {
  const result: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = isFields(value) ? mergePatch(isFields(result[key]) ? result[key] : {}, value) : value;
  }
  return result;
}

function selects(selector: string | undefined, { metadata }: KubeObject): boolean {
  if (selector === undefined) return true;
  const [label = '', value] = selector.split('=');
  return metadata.labels?.[label] === value;
}

function conflict(reason: string, message: string): ApiError {
  return new ApiError({ status: 409, reason, message, retryAfterMs: undefined });
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
