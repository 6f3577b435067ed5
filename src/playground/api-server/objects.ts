import type { Clock } from '../../process/clock.ts';
import { applyPatch } from './fields/apply-patch.ts';
import { jsonEqual, withFields } from './fields/json.ts';
import { mergePatch } from './fields/merge-patch.ts';
import { keepTimes, trackUpdate } from './fields/ownership.ts';
import { apiVersionOf, type JsonObject, type Kind, type World } from './kind.ts';
import { rfc3339, text } from './kinds/read.ts';
import { metadataErrors, metadataUpdateErrors, stringsOf } from './metadata.ts';
import { DecodeError, decodeObject } from './schema/decode.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  internal,
  invalid,
  notFound,
  StatusError,
} from './status-error.ts';
import type { Store } from './store.ts';
import { isMarked, keyIn, keyOf, metaOf, resourceOf, served, withMeta } from './stored-object.ts';
import {
  checkApplied,
  checkIdentity,
  checkOwners,
  checkPreconditions,
  checkSpace,
  checkVersion,
  contentErrors,
  graceOf,
  kept,
  refuse,
  specChanged,
  withoutStatus,
} from './write-rules.ts';

const PERMANENT_NAMESPACES = ['default', 'kube-public', 'kube-system'];

/** What a request says about a write, beside the object. */
export interface WriteOptions {
  readonly namespace: string | undefined;
  /** Who writes, for managedFields. */
  readonly manager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  /** Gets what the answer's Warning headers say. */
  readonly warn: (text: string) => void;
}

export interface Deletion {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

export type Subresource = 'status' | 'scale';
export type PatchType = 'merge' | 'apply';
export interface Patch {
  readonly type: PatchType;
  readonly body: JsonObject;
  readonly force: boolean;
}

/** The last state of an object that is gone, or the present one of an object that waits for its finalizers. */
export interface Deleted {
  readonly object: JsonObject;
  readonly isGone: boolean;
}

/** An object before a write, and what it is to be. */
interface Replacement {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly subresource: Subresource | undefined;
}

/**
 * The writes: what every kind has in common, in the order in which the API server does it. Everything up to the
 * store's own write happens in one turn, so that no other write comes between reading an object and replacing it.
 *
 * All throw StatusError.
 */
export class Objects {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #world: Omit<World, 'now'>;

  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly random: () => number;
    readonly serviceNetwork: string;
  }) {
    const { store, clock, random, serviceNetwork } = options;
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    this.#world = {
      random,
      serviceNetwork,
      objects: (resource) => store.listLatest(resource).map(([, object]) => object),
    };
  }

  /** As it is stored and safe. */
  get(kind: Kind, namespace: string | undefined, name: string): JsonObject {
    const object = this.#store.get(resourceOf(kind), keyOf(namespace, name));
    if (object === undefined) throw notFound(kind, name);
    return served(kind, object);
  }

  async create(kind: Kind, body: JsonObject, options: WriteOptions): Promise<JsonObject> {
    const object = this.#read(kind, body, options);
    this.#checkNamespace(kind, options.namespace, text(object, 'metadata', 'name'));
    const fresh = withoutStatus(kind, withMeta(object, { ...NOT_YET, namespace: options.namespace }));
    const { manager } = options;
    const tracked = trackUpdate({ kind, before: undefined, after: fresh, manager, time: this.#time() });
    return this.#insert(kind, tracked, options);
  }

  async update(
    kind: Kind,
    name: string,
    body: JsonObject,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<JsonObject> {
    const after = this.#read(kind, body, options);
    checkIdentity(after, name, options.namespace);
    const before = this.#latest(kind, options.namespace, name);
    checkPreconditions(kind, name, before, { uid: text(after, 'metadata', 'uid') || undefined });
    return this.#replaceTracked(kind, { before, after, subresource }, options);
  }

  async patch(
    kind: Kind,
    name: string,
    patch: Patch,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<{ readonly object: JsonObject; readonly created: boolean }> {
    if (patch.type === 'apply') return this.#apply(kind, name, patch, subresource, options);
    const before = this.#latest(kind, options.namespace, name);
    const after = this.#decode(kind, mergePatch(before, patch.body), options, (why) =>
      invalid({ group: '', kind: '' }, '', [
        { type: 'Invalid', path: 'patch', value: JSON.stringify(patch.body), detail: why },
      ]),
    );
    checkIdentity(after, name, options.namespace);
    const object = await this.#replaceTracked(kind, { before, after, subresource }, options);
    return { object, created: false };
  }

  /** Removes what `delete` kept for being emptied first. */
  async remove(kind: Kind, name: string): Promise<void> {
    const object = this.#store.latest(resourceOf(kind), name);
    if (object !== undefined) await this.#store.remove(resourceOf(kind), name, object);
  }

  async delete(
    kind: Kind,
    name: string,
    deletion: Deletion,
    options: Pick<WriteOptions, 'namespace' | 'dryRun'>,
  ): Promise<Deleted> {
    const object = this.#latest(kind, options.namespace, name);
    if (kind.kind === 'Namespace' && PERMANENT_NAMESPACES.includes(name)) {
      throw forbidden(kind, name, 'this namespace may not be deleted');
    }
    checkPreconditions(kind, name, object, deletion);
    const grace = graceOf(kind, object, deletion);
    const isKept =
      kind.isEmptiedFirst === true || grace > 0 || stringsOf(metaOf(object)['finalizers']).length > 0;
    const marked = isKept || kind.gracePeriod !== undefined ? this.#marked(kind, object, grace) : object;
    if (options.dryRun || (isKept && jsonEqual(marked, object))) return { object: marked, isGone: !isKept };
    // Who runs it hears that it is to go also when it goes at once.
    const written = marked === object ? object : this.#put(kind, marked);
    if (isKept) return { object: await written, isGone: false };
    const [last] = await Promise.all([this.#remove(kind, marked), written]);
    return { object: last, isGone: true };
  }

  /** The object as one that is to go within `grace` seconds. */
  #marked(kind: Kind, object: JsonObject, grace: number): JsonObject {
    const { deletionTimestamp, deletionGracePeriodSeconds = 0, generation } = metaOf(object);
    const isFirst = deletionTimestamp === undefined;
    if (!isFirst && grace >= Number(deletionGracePeriodSeconds)) return object;
    const marked = withMeta(object, {
      deletionTimestamp: rfc3339(this.#clock.now() + grace * 1000),
      deletionGracePeriodSeconds: kind.isEmptiedFirst === true ? undefined : grace,
    });
    if (kind.isEmptiedFirst === true) return kind.prepare?.(marked, object, this.#worldNow()) ?? marked;
    return isFirst && typeof generation === 'number'
      ? withMeta(marked, { generation: generation + 1 })
      : marked;
  }

  /** The body as an object of the kind with its defaults, in the namespace of the request. */
  #read(kind: Kind, body: JsonObject, options: WriteOptions): JsonObject {
    const object = this.#decode(kind, body, options, (why) => {
      const given = text(body, 'kind') || kind.kind;
      return badRequest(`${given} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
    });
    checkSpace(object, kind.namespaced ? options.namespace : undefined);
    return kind.namespaced ? withMeta(object, { namespace: options.namespace }) : object;
  }

  #decode(
    kind: Kind,
    body: JsonObject,
    options: WriteOptions,
    refuse: (why: string) => StatusError,
    isApplied = false,
  ): JsonObject {
    try {
      const { object, unknown } = decodeObject(kind, body, isApplied);
      const mistakes = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
      if (options.fieldValidation === 'Strict' && mistakes.length > 0) {
        throw refuse(`strict decoding error: ${mistakes.join(', ')}`);
      }
      if (options.fieldValidation === 'Warn') mistakes.forEach(options.warn);
      const named = withFields(object, {
        apiVersion: apiVersionOf(kind),
        kind: text(body, 'kind') || kind.kind,
      });
      return kind.defaults?.(named) ?? named;
    } catch (error) {
      if (error instanceof DecodeError) throw refuse(error.message);
      throw error;
    }
  }

  /** With writes that are still on their way. @throws {StatusError} 404 */
  #latest(kind: Kind, namespace: string | undefined, name: string): JsonObject {
    const object = this.#store.latest(resourceOf(kind), keyOf(namespace, name));
    if (object === undefined) throw notFound(kind, name);
    return served(kind, object);
  }

  async #apply(
    kind: Kind,
    name: string,
    { body, force }: Patch,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<{ readonly object: JsonObject; readonly created: boolean }> {
    const { namespace, manager } = options;
    const stored = this.#store.latest(resourceOf(kind), keyOf(namespace, name));
    const live = stored && served(kind, stored);
    if (live === undefined && subresource !== undefined) throw notFound(kind, name);
    checkIdentity(withMeta(body, { name: text(body, 'metadata', 'name') || name }), name, namespace);
    if (text(body, 'apiVersion') !== apiVersionOf(kind) || body['kind'] !== kind.kind) {
      throw badRequest(`invalid object type: ${text(body, 'apiVersion')}, Kind=${text(body, 'kind')}`);
    }
    const uid = text(body, 'metadata', 'uid');
    if (live === undefined && uid !== '') {
      const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
      throw conflict(kind, name, why);
    }
    checkApplied(kind, body);
    const time = this.#time();
    const result = applyPatch({ kind, live, applied: body, force, manager, subresource, time });
    if ('conflict' in result) {
      const { message, causes } = result.conflict;
      throw new StatusError({ code: 409, reason: 'Conflict', message, details: { causes } });
    }
    const placed = withMeta(result.object, { name, namespace });
    const after = this.#decode(kind, placed, options, badRequest, true);
    if (live !== undefined) {
      checkVersion(kind, live, after);
      const object = await this.#replace(kind, { before: live, after, subresource }, options);
      return { object, created: false };
    }
    this.#checkNamespace(kind, namespace, name);
    const fresh = withMeta(withoutStatus(kind, after), { resourceVersion: undefined, uid: undefined });
    return { object: await this.#insert(kind, fresh, options), created: true };
  }

  async #insert(kind: Kind, given: JsonObject, options: WriteOptions): Promise<JsonObject> {
    const name = text(given, 'metadata', 'name');
    const identified = withMeta(given, {
      ...NOT_YET,
      uid: this.#uid(),
      creationTimestamp: this.#time(),
      generation: kind.generation ? 1 : undefined,
    });
    const object = kind.prepare?.(identified, undefined, this.#worldNow()) ?? identified;
    refuse(kind, object, [
      ...metadataErrors(object, kind.nameRule ?? 'subdomain'),
      ...contentErrors(kind, object, undefined, undefined),
    ]);
    if (text(object, 'metadata', 'resourceVersion') !== '') {
      throw internal('resourceVersion should not be set on objects to be created');
    }
    const other = this.#store.latest(resourceOf(kind), keyOf(options.namespace, name));
    if (other !== undefined) throw alreadyExists(kind, name, isMarked(other));
    return options.dryRun ? object : this.#put(kind, object);
  }

  #replaceTracked(kind: Kind, replacement: Replacement, options: WriteOptions): Promise<JsonObject> {
    const { before, subresource } = replacement;
    const { manager } = options;
    const after = withMeta(replacement.after, { namespace: options.namespace });
    checkVersion(kind, before, after);
    checkOwners(kind, before, after);
    const tracked = trackUpdate({ kind, before, after, manager, subresource, time: this.#time() });
    return this.#replace(kind, { before, after: tracked, subresource }, options);
  }

  async #replace(
    kind: Kind,
    { before, after, subresource }: Replacement,
    options: WriteOptions,
  ): Promise<JsonObject> {
    const { generation = 0 } = metaOf(before);
    let object = kept(kind, before, after, subresource);
    if (kind.prepare) object = kind.prepare(object, before, this.#worldNow());
    if (kind.generation && specChanged(kind, before, object)) {
      object = withMeta(object, { generation: Number(generation) + 1 });
    }
    const updateErrors = metadataUpdateErrors(object, before);
    refuse(kind, object, [
      ...metadataErrors(object),
      ...updateErrors,
      // Twice: by what is common to all kinds, and by the kind's own check.
      ...updateErrors,
      ...contentErrors(kind, object, before, subresource),
    ]);
    object = keepTimes(before, object);
    if (options.dryRun || object === before) return object;
    const { finalizers, deletionGracePeriodSeconds = 0 } = metaOf(object);
    const isWaiting = stringsOf(finalizers).length > 0 || Number(deletionGracePeriodSeconds) > 0;
    if (!isMarked(object) || isWaiting || kind.isEmptiedFirst === true) return this.#put(kind, object);
    // Watches see it as it was stored last.
    await this.#remove(kind, before);
    return object;
  }

  async #put(kind: Kind, object: JsonObject): Promise<JsonObject> {
    const stored = kind.stored?.encode(object) ?? object;
    return served(kind, await this.#store.put(resourceOf(kind), keyIn(object), stored));
  }

  async #remove(kind: Kind, object: JsonObject): Promise<JsonObject> {
    const stored = kind.stored?.encode(object) ?? object;
    return served(kind, await this.#store.remove(resourceOf(kind), keyIn(object), stored));
  }

  #checkNamespace(kind: Kind, namespace: string | undefined, name: string): void {
    if (!kind.namespaced || namespace === undefined) return;
    const found = this.#store.latest('/namespaces', namespace);
    if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (!isMarked(found)) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    };
    throw forbidden(kind, name, why, [cause]);
  }

  #worldNow(): World {
    return { ...this.#world, now: this.#clock.now() };
  }

  #time(): string {
    return rfc3339(this.#clock.now());
  }

  #uid(): string {
    const bytes = Buffer.from(Array.from({ length: 16 }, () => Math.floor(this.#random() * 256)));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
}

/** What only the server says, and not at the beginning. */
const NOT_YET = {
  deletionTimestamp: undefined,
  deletionGracePeriodSeconds: undefined,
  selfLink: undefined,
};
