import { openLog, noLog, type Log } from './log.ts';
import type { Faults } from './faults.ts';
import { isJsonObject, type Json, type JsonObject } from './kind.ts';

/** One write as watches see it. */
export interface Change {
  readonly revision: number;
  /** `group/plural`. */
  readonly resource: string;
  /** `namespace/name`, or `name`. */
  readonly key: string;
  readonly deleted: boolean;
  /** The new state; of a deletion the last one, with the revision of the deletion. */
  readonly object: JsonObject;
  /** The state before; undefined when there was none. */
  readonly before: JsonObject | undefined;
}

/** The revision asked for is older than what is remembered. */
export class ForgottenError extends Error {
  readonly oldest: number;

  constructor(oldest: number) {
    super(`revisions before ${oldest} are forgotten`);
    this.oldest = oldest;
  }
}

/** A crash point was reached: this instance is as good as killed. */
export class CrashedError extends Error {}

interface Pending {
  readonly change: Change;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** The log is written anew when it is this many times larger than what it must hold. */
const COMPACT_RATIO = 4;
const COMPACT_BYTES = 4 << 20;

/**
 * Objects, their history of the last writes, and who watches them. Readers and watches see a write only when it is in
 * the log; writers see it at once (`latest`), so that each builds on the one before. Writes that come while one is
 * being synced share the next sync.
 */
export class Store {
  readonly #log: Log;
  readonly #faults: Faults;
  readonly #window: number;
  readonly #resources = new Map<string, Map<string, JsonObject>>();
  /** Writes that are on their way into the log, by resource and key; undefined: a deletion. */
  readonly #unsynced = new Map<string, JsonObject | undefined>();
  readonly #watchers = new Set<(change: Change) => void>();
  /** Called when a crash point is reached. */
  onCrash: () => void = () => {};
  #changes: Change[] = [];
  #queue: Pending[] = [];
  #revision: number;
  #assigned: number;
  #forgotten: number;
  #flushing: Promise<void> | undefined;
  #crashed = false;
  #liveBytes = 0;

  private constructor(log: Log, lines: readonly string[], options: { window: number; faults: Faults }) {
    this.#log = log;
    this.#window = options.window;
    this.#faults = options.faults;
    let revision = 0;
    for (const [index, line] of lines.entries()) revision = this.#replay(line, index);
    // As in etcd, a fresh store is at revision 1.
    this.#revision = this.#assigned = this.#forgotten = Math.max(1, revision);
  }

  /** `path`: the file of the log; undefined keeps everything in memory alone. `window`: how many writes are remembered. */
  static async open(options: {
    readonly path: string | undefined;
    readonly window: number;
    readonly faults: Faults;
  }): Promise<Store> {
    const { log, lines } =
      options.path === undefined ? { log: noLog, lines: [] } : await openLog(options.path);
    try {
      const store = new Store(log, lines, options);
      if (lines.length > 1) await store.#rewrite();
      return store;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  get revision(): number {
    return this.#revision;
  }

  get(resource: string, key: string): JsonObject | undefined {
    return this.#resources.get(resource)?.get(key);
  }

  /** As get, but with writes that are not synced yet: for those who write next. */
  latest(resource: string, key: string): JsonObject | undefined {
    const unsynced = `${resource} ${key}`;
    return this.#unsynced.has(unsynced) ? this.#unsynced.get(unsynced) : this.get(resource, key);
  }

  /** In the order of keys. `prefix`: `namespace/` for one namespace. */
  list(resource: string, prefix = ''): readonly (readonly [string, JsonObject])[] {
    return sorted(this.#resources.get(resource) ?? new Map<string, JsonObject>(), prefix);
  }

  /** As list, with writes that are not synced yet. */
  listLatest(resource: string, prefix = ''): readonly (readonly [string, JsonObject])[] {
    const objects = new Map(this.#resources.get(resource));
    for (const [place, object] of this.#unsynced) {
      const [of = '', key = ''] = place.split(' ');
      if (of !== resource) continue;
      if (object === undefined) objects.delete(key);
      else objects.set(key, object);
    }
    return sorted(objects, prefix);
  }

  /** As list was at `revision`. @throws {ForgottenError} */
  listAt(resource: string, prefix: string, revision: number): readonly (readonly [string, JsonObject])[] {
    if (revision < this.#forgotten) throw new ForgottenError(this.#forgotten);
    const objects = new Map(this.#resources.get(resource));
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes[index];
      if (change === undefined || change.revision <= revision) break;
      if (change.resource !== resource) continue;
      if (change.before === undefined) objects.delete(change.key);
      else objects.set(change.key, change.before);
    }
    return sorted(objects, prefix);
  }

  /** Makes or replaces an object; returns it with its resourceVersion when it is safe. */
  async put(resource: string, key: string, object: JsonObject): Promise<JsonObject> {
    return this.#write(resource, key, object, false);
  }

  /** Removes an object, whose last state is `object`; returns that with the resourceVersion of the deletion. */
  async remove(resource: string, key: string, object: JsonObject): Promise<JsonObject> {
    return this.#write(resource, key, object, true);
  }

  /** Calls `listener` for each write after `revision`, those that were remembered first. @throws {ForgottenError} */
  watch(revision: number, listener: (change: Change) => void): () => void {
    if (revision < this.#forgotten) throw new ForgottenError(this.#forgotten);
    const first = this.#changes.findLastIndex((change) => change.revision <= revision) + 1;
    for (const change of this.#changes.slice(first)) listener(change);
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Forgets all history up to now: who watches from an older revision must list again. */
  forget(): void {
    this.#changes = [];
    this.#forgotten = this.#revision;
  }

  /** Ends when all that was written is safe. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#log.close();
  }

  async #write(resource: string, key: string, object: JsonObject, deleted: boolean): Promise<JsonObject> {
    if (this.#crashed) throw new CrashedError();
    const revision = ++this.#assigned;
    const { metadata } = object;
    const stamped = {
      ...object,
      metadata: { ...(isJsonObject(metadata) && metadata), resourceVersion: String(revision) },
    };
    const change = { revision, resource, key, deleted, object: stamped, before: this.latest(resource, key) };
    this.#unsynced.set(`${resource} ${key}`, deleted ? undefined : stamped);
    const synced = new Promise<void>((done, failed) => this.#queue.push({ change, done, failed }));
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    await synced;
    return stamped;
  }

  async #flush(): Promise<void> {
    // One turn later, so that writes of the same turn share a sync.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      // A crash point lies between two writes, so with one they go one by one.
      const batch = this.#queue.splice(0, this.#faults.crash === undefined ? Infinity : 1);
      try {
        this.#crashIf('before', batch);
        await this.#log.append(JSON.stringify(batch.map(({ change }) => record(change))));
        this.#crashIf('after', batch);
      } catch (error) {
        // What was to be written on top of the lost writes is lost with them.
        for (const { failed } of [...batch, ...this.#queue.splice(0)]) failed(error);
        this.#unsynced.clear();
        this.#assigned = this.#revision;
        return;
      }
      for (const { change, done } of batch) {
        this.#commit(change);
        done();
      }
      if (this.#log.size() > COMPACT_BYTES + COMPACT_RATIO * this.#liveBytes) await this.#rewrite();
    }
  }

  #commit(change: Change): void {
    const { resource, key, deleted, object, revision } = change;
    this.#place(resource, key, deleted ? undefined : object);
    if (this.latest(resource, key) === this.get(resource, key)) this.#unsynced.delete(`${resource} ${key}`);
    this.#revision = revision;
    this.#changes.push(change);
    if (this.#changes.length > 2 * this.#window) {
      const dropped = this.#changes.splice(0, this.#changes.length - this.#window);
      this.#forgotten = dropped.at(-1)?.revision ?? this.#forgotten;
    }
    for (const watcher of this.#watchers) watcher(change);
  }

  #place(resource: string, key: string, object: JsonObject | undefined): void {
    let objects = this.#resources.get(resource);
    if (objects === undefined) this.#resources.set(resource, (objects = new Map()));
    if (object === undefined) objects.delete(key);
    else objects.set(key, object);
  }

  #crashIf(point: 'before' | 'after', batch: readonly Pending[]): void {
    if (this.#crashed || batch.some(({ change }) => this.#faults.crash?.(point, change))) {
      this.#crashed = true;
      this.onCrash();
      throw new CrashedError();
    }
  }

  #replay(line: string, index: number): number {
    let records: unknown;
    try {
      records = JSON.parse(line);
    } catch (cause) {
      throw new Error(`line ${index + 1} of the log is damaged`, { cause });
    }
    let revision = 0;
    // The log holds what `record` wrote.
    for (const [at, resource, key, object] of records as Record[]) {
      revision = at;
      if (resource !== '') this.#place(resource, key, object ?? undefined);
    }
    return revision;
  }

  async #rewrite(): Promise<void> {
    const lines = [JSON.stringify([[this.#revision, '', '', null]])];
    for (const [resource, objects] of this.#resources) {
      for (const [key, object] of objects) {
        lines.push(JSON.stringify([[this.#revision, resource, key, object]]));
      }
    }
    await this.#log.replace(lines);
    this.#liveBytes = this.#log.size();
  }
}

type Record = readonly [revision: number, resource: string, key: string, object: JsonObject | null];

function record({ revision, resource, key, deleted, object }: Change): Json {
  return [revision, resource, key, deleted ? null : object];
}

function sorted(
  objects: ReadonlyMap<string, JsonObject>,
  prefix: string,
): readonly (readonly [string, JsonObject])[] {
  const entries = [...objects].filter(([key]) => key.startsWith(prefix));
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}
