import type { Clock } from '../../process/clock.ts';
import { applyPatch } from './fields/apply-patch.ts';
import { goPlain } from './fields/go-format.ts';
import { jsonEqual, withFields } from './fields/json.ts';
import { mergePatch } from './fields/merge-patch.ts';
import { PatchError, strategicMergePatch } from './fields/strategic-merge-patch.ts';
import { keepTimes, trackUpdate } from './fields/track-update.ts';
import {
  apiVersionOf,
  isJsonObject,
  type FieldError,
  type Json,
  type JsonObject,
  type Kind,
  type World,
} from './kind.ts';
import { items, object as fieldsOf, rfc3339 } from './kinds/read.ts';
import { metadataErrors, metadataUpdateErrors, stringsOf } from './metadata.ts';
import { DecodeError, decodeObject, textAt } from './schema/decode.ts';
import { validateCustom } from './schema/validate.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  internal,
  invalid,
  modified,
  notFound,
  StatusError,
} from './status-error.ts';
import { scaleErrors } from './scale.ts';
import type { Store } from './store.ts';

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
  /** Fields that the text of the body has twice. */
  readonly duplicates: readonly string[];
}

export interface Deletion {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: string | undefined;
}

export type Subresource = 'status' | 'scale';
export type PatchType = 'merge' | 'strategic' | 'apply';
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
    let object = this.#read(kind, body, options);
    const meta = metaOf(object);
    if (kind.namespaced) this.#checkNamespace(kind, options.namespace ?? '', textAt(meta, 'name') ?? '');
    object = withMeta(object, {
      namespace: options.namespace,
      deletionTimestamp: undefined,
      deletionGracePeriodSeconds: undefined,
    });
    if (kind.defaults) object = kind.defaults(object);
    if (kind.status) object = withFields(object, { status: kind.custom ? undefined : emptyStatus(kind) });
    object = trackUpdate({
      kind,
      before: undefined,
      after: object,
      manager: options.manager,
      time: this.#time(),
    });
    return this.#insert(kind, object, options);
  }

  async update(
    kind: Kind,
    name: string,
    body: JsonObject,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<{ readonly object: JsonObject; readonly created: boolean }> {
    const after = this.#read(kind, body, options);
    const given = textAt(metaOf(after), 'name') ?? '';
    if (given === '') {
      throw badRequest(
        `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
      );
    }
    if (given !== name) throw nameMismatch(given, name);
    const before = this.#latest(kind, options.namespace, name);
    if (before === undefined) {
      if (kind.createsOnUpdate !== true || subresource !== undefined) throw notFound(kind, name);
      return {
        object: await this.create(kind, withMeta(body, { resourceVersion: undefined }), options),
        created: true,
      };
    }
    const uid = textAt(metaOf(after), 'uid') ?? '';
    if (uid !== '' && uid !== metaOf(before)['uid']) {
      const key = `/registry/${kind.plural}/${keyOf(options.namespace, name)}`;
      const why = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textAt(before, 'metadata', 'uid')}`;
      throw conflict(kind, name, why);
    }
    const object = await this.#replace(
      kind,
      before,
      this.#tracked(kind, before, inNamespace(after, options), subresource, options),
      subresource,
      options,
    );
    return { object, created: false };
  }

  async patch(
    kind: Kind,
    name: string,
    patch: Patch,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<{ readonly object: JsonObject; readonly created: boolean }> {
    const before = this.#latest(kind, options.namespace, name);
    if (patch.type === 'apply') return this.#apply(kind, name, before, patch, subresource, options);
    if (before === undefined) throw notFound(kind, name);
    const after = this.#patched(kind, before, patch, options);
    const { name: given, namespace } = metaOf(after);
    if (given !== name) throw nameMismatch(textAt(given) ?? '', name);
    if (namespace !== undefined && namespace !== options.namespace) throw namespaceMismatch();
    const object = await this.#replace(
      kind,
      before,
      this.#tracked(kind, before, inNamespace(after, options), subresource, options),
      subresource,
      options,
    );
    return { object, created: false };
  }

  /** Gives a pod to a node, as a scheduler does: not a change of what is asked for, nor anybody's field. */
  async bind(kind: Kind, name: string, node: string, options: Pick<WriteOptions, 'namespace' | 'dryRun'>) {
    const pod = this.#latest(kind, options.namespace, name);
    if (pod === undefined) throw notFound(kind, name);
    const refuse = (why: string) => conflict({ ...kind, plural: 'pods/binding' }, name, `pod ${name} ${why}`);
    const given = textAt(pod, 'spec', 'nodeName') ?? '';
    if (metaOf(pod)['deletionTimestamp'] !== undefined)
      throw refuse('is being deleted, cannot be assigned to a host');
    if (given !== '') throw refuse(`is already assigned to node "${given}"`);
    const condition = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: this.#time(),
    };
    const others = items(pod, 'status', 'conditions').filter(({ type }) => type !== condition.type);
    const object = withFields(pod, {
      spec: { ...fieldsOf(pod, 'spec'), nodeName: node },
      status: { ...fieldsOf(pod, 'status'), conditions: [...others, condition] },
    });
    if (!options.dryRun) await this.#store.put(resourceOf(kind), keyOf(options.namespace, name), object);
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
    options: Pick<WriteOptions, 'namespace' | 'dryRun' | 'warn'>,
  ): Promise<Deleted> {
    const object = this.#latest(kind, options.namespace, name);
    if (object === undefined) throw notFound(kind, name);
    if (kind.kind === 'Namespace' && PERMANENT_NAMESPACES.includes(name)) {
      throw forbidden(kind, name, 'this namespace may not be deleted');
    }
    this.#checkPreconditions(kind, name, object, deletion);
    const meta = metaOf(object);
    const finalizers = this.#finalizersFor(kind, stringsOf(meta['finalizers']), deletion, options.warn);
    const grace = graceOf(kind, object, deletion);
    const isKept = finalizers.length > 0 || grace > 0 || kind.isEmptiedFirst === true;
    const [resource, key] = [resourceOf(kind), keyOf(options.namespace, name)];
    if (!isKept && kind.gracePeriod === undefined) {
      const last = options.dryRun ? object : await this.#store.remove(resource, key, stored(kind, object));
      return { object: served(kind, last), isGone: true };
    }
    const isFirst = meta['deletionTimestamp'] === undefined;
    const isShorter = !isFirst && grace < Number(meta['deletionGracePeriodSeconds'] ?? 0);
    const marked = withMeta(object, {
      finalizers: finalizers.length > 0 ? finalizers : undefined,
      ...((isFirst || isShorter) && {
        deletionTimestamp: rfc3339(this.#clock.now() + grace * 1000),
        deletionGracePeriodSeconds: kind.isEmptiedFirst === true ? undefined : grace,
      }),
      ...(isFirst &&
        kind.isEmptiedFirst !== true &&
        typeof meta['generation'] === 'number' && { generation: meta['generation'] + 1 }),
    });
    const next =
      kind.prepare && kind.isEmptiedFirst === true ? kind.prepare(marked, object, this.#worldNow()) : marked;
    if (options.dryRun || (isKept && jsonEqual(next, object))) return { object: next, isGone: !isKept };
    // Who runs it hears that it is to go also when it goes at once.
    const written = this.#store.put(resource, key, stored(kind, next));
    const gone = isKept ? undefined : this.#store.remove(resource, key, stored(kind, next));
    const last = (await Promise.all([written, gone])).at(-1) ?? (await written);
    return { object: served(kind, last), isGone: !isKept };
  }

  /** The body as an object of the kind, in the namespace of the request. */
  #read(kind: Kind, body: JsonObject, options: WriteOptions): JsonObject {
    const object = this.#decode(kind, body, options, (why) =>
      badRequest(
        `${textAt(body, 'kind') ?? kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`,
      ),
    );
    const given = textAt(metaOf(object), 'namespace') ?? '';
    if (kind.namespaced && given !== '' && given !== options.namespace) throw namespaceMismatch();
    if (!kind.namespaced && given !== '') throw namespaceMismatch();
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
      const mistakes = [
        ...options.duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`),
        ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
      ];
      if (options.fieldValidation === 'Strict' && mistakes.length > 0) {
        throw refuse(`strict decoding error: ${mistakes.join(', ')}`);
      }
      if (options.fieldValidation === 'Warn') mistakes.forEach(options.warn);
      return withFields(object, { apiVersion: apiVersionOf(kind), kind: textAt(body, 'kind') ?? kind.kind });
    } catch (error) {
      if (error instanceof DecodeError) throw refuse(error.message);
      throw error;
    }
  }

  #latest(kind: Kind, namespace: string | undefined, name: string): JsonObject | undefined {
    const object = this.#store.latest(resourceOf(kind), keyOf(namespace, name));
    return object && served(kind, object);
  }

  #patched(kind: Kind, before: JsonObject, { type, body }: Patch, options: WriteOptions): JsonObject {
    const after = type === 'strategic' ? strategic(kind, before, body) : mergePatch(before, body);
    const read = this.#decode(kind, after, options, (why) =>
      // Go's encoder sorts what it shows here.
      invalid({ group: '', kind: '' }, '', [
        { type: 'Invalid', path: 'patch', ...shownPatch(type, body, after, why) },
      ]),
    );
    return kind.defaults ? kind.defaults(read) : read;
  }

  async #apply(
    kind: Kind,
    name: string,
    live: JsonObject | undefined,
    { body, force }: Patch,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<{ readonly object: JsonObject; readonly created: boolean }> {
    if (live === undefined && subresource !== undefined) throw notFound(kind, name);
    const given = textAt(body, 'metadata', 'name') ?? '';
    if (given !== '' && given !== name) throw nameMismatch(given, name);
    const space = textAt(body, 'metadata', 'namespace') ?? '';
    if (space !== '' && space !== options.namespace) throw namespaceMismatch();
    const apiVersion = textAt(body, 'apiVersion') ?? '';
    if (apiVersion !== apiVersionOf(kind) || body['kind'] !== kind.kind) {
      const [version = '', group = ''] = apiVersion.split('/').toReversed();
      const group_version = apiVersion === '' ? '/' : `${group}/${version}`;
      throw badRequest(`invalid object type: ${group_version}, Kind=${textAt(body, 'kind') ?? ''}`);
    }
    const uid = textAt(body, 'metadata', 'uid') ?? '';
    if (live === undefined && uid !== '') {
      throw conflict(
        kind,
        name,
        `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
      );
    }
    const result = applyPatch({
      kind,
      live,
      applied: body,
      force,
      manager: options.manager,
      subresource,
      time: this.#time(),
    });
    if ('refused' in result) {
      const { code, message } = result.refused;
      throw code === 400 ? badRequest(message) : internal(message);
    }
    if ('conflict' in result) {
      const { message, causes } = result.conflict;
      throw new StatusError({ code: 409, reason: 'Conflict', message, details: { causes } });
    }
    const { object: applied } = result;
    const after = this.#decode(
      kind,
      withMeta(applied, { name, namespace: options.namespace }),
      options,
      badRequest,
      true,
    );
    const defaulted = kind.defaults ? kind.defaults(after) : after;
    if (live !== undefined) {
      return { object: await this.#replace(kind, live, defaulted, subresource, options), created: false };
    }
    if (kind.namespaced) this.#checkNamespace(kind, options.namespace ?? '', name);
    const fresh = withMeta(defaulted, { resourceVersion: undefined, uid: undefined });
    const object = kind.status
      ? withFields(fresh, { status: kind.custom ? undefined : emptyStatus(kind) })
      : fresh;
    return { object: await this.#insert(kind, object, options), created: true };
  }

  #tracked(
    kind: Kind,
    before: JsonObject,
    after: JsonObject,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): JsonObject {
    const defaulted = kind.defaults ? kind.defaults(after) : after;
    return trackUpdate({
      kind,
      before,
      after: defaulted,
      manager: options.manager,
      subresource,
      time: this.#time(),
    });
  }

  async #insert(kind: Kind, given: JsonObject, options: WriteOptions): Promise<JsonObject> {
    let object = given;
    const prefix = textAt(metaOf(object), 'generateName') ?? '';
    const wanted = textAt(metaOf(object), 'name') ?? '';
    const name = wanted === '' && prefix !== '' ? prefix.slice(0, 58) + this.#suffix() : wanted;
    object = withMeta(object, {
      name: name === '' ? undefined : name,
      uid: this.#uid(),
      creationTimestamp: this.#time(),
      deletionTimestamp: undefined,
      deletionGracePeriodSeconds: undefined,
      selfLink: undefined,
      generation: kind.generation ? 1 : undefined,
    });
    if (kind.prepare) object = kind.prepare(object, undefined, this.#worldNow());
    const nameRule = kind.nameRule ?? 'subdomain';
    this.#refuse(kind, object, [
      ...metadataErrors(object, { nameRule, builtIn: !kind.custom }),
      ...this.#contentErrors(kind, object, undefined, undefined),
    ]);
    if ((metaOf(object)['resourceVersion'] ?? '') !== '') {
      throw internal('resourceVersion should not be set on objects to be created');
    }
    const key = keyOf(options.namespace, name);
    const other = this.#store.latest(resourceOf(kind), key);
    if (other !== undefined)
      throw alreadyExists(kind, name, metaOf(other)['deletionTimestamp'] !== undefined);
    object = withMeta(object, { resourceVersion: undefined });
    if (options.dryRun) return object;
    return served(kind, await this.#store.put(resourceOf(kind), key, stored(kind, object)));
  }

  async #replace(
    kind: Kind,
    before: JsonObject,
    given: JsonObject,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Promise<JsonObject> {
    const oldMeta = metaOf(before);
    const name = textAt(oldMeta, 'name') ?? '';
    const version = textAt(metaOf(given), 'resourceVersion') ?? '';
    if (version !== '' && version !== '0') {
      if (!/^\d+$/.test(version))
        throw internal(`strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`);
      if (version !== oldMeta['resourceVersion']) throw modified(kind, name);
    } else if (kind.needsVersion === true) {
      const error = {
        type: 'Invalid',
        path: 'metadata.resourceVersion',
        value: 0,
        detail: 'must be specified for an update',
      } as const;
      throw invalid({ group: kind.group, kind: kind.plural }, name, [error]);
    }
    let object = this.#kept(kind, before, given, subresource);
    if (kind.prepare) object = kind.prepare(object, before, this.#worldNow());
    if (kind.generation && specChanged(kind, before, object)) {
      object = withMeta(object, { generation: Number(oldMeta['generation'] ?? 0) + 1 });
    }
    const updateErrors = metadataUpdateErrors(object, before);
    this.#refuse(kind, object, [
      ...metadataErrors(object, { nameRule: 'pathSegment', builtIn: false }),
      ...updateErrors,
      // Twice: by what is common to all kinds, and by the kind's own check.
      ...updateErrors,
      ...this.#contentErrors(kind, object, before, subresource),
    ]);
    object = keepTimes(before, object);
    const meta = metaOf(object);
    const key = keyOf(options.namespace, name);
    const isDone =
      meta['deletionTimestamp'] !== undefined &&
      stringsOf(meta['finalizers']).length === 0 &&
      Number(meta['deletionGracePeriodSeconds'] ?? 0) === 0 &&
      kind.isEmptiedFirst !== true;
    if (isDone && !options.dryRun) {
      // Watches see it as it was stored last.
      await this.#store.remove(resourceOf(kind), key, stored(kind, before));
      return object;
    }
    if (options.dryRun || object === before) return object;
    return served(kind, await this.#store.put(resourceOf(kind), key, stored(kind, object)));
  }

  /** What an update cannot change is as before. */
  #kept(kind: Kind, before: JsonObject, given: JsonObject, subresource: Subresource | undefined): JsonObject {
    const old = metaOf(before);
    const meta = metaOf(given);
    const object = withMeta(given, {
      uid: textAt(meta, 'uid') ?? old['uid'],
      creationTimestamp: old['creationTimestamp'],
      generation: old['generation'],
      resourceVersion: old['resourceVersion'],
      selfLink: undefined,
      ...(old['deletionTimestamp'] !== undefined && { deletionTimestamp: old['deletionTimestamp'] }),
      ...(meta['deletionGracePeriodSeconds'] === undefined && {
        deletionGracePeriodSeconds: old['deletionGracePeriodSeconds'],
      }),
    });
    if (!kind.status) return object;
    if (subresource !== 'status') return withFields(object, { status: before['status'] });
    const { managedFields } = metaOf(object);
    if (kind.custom) {
      return withFields(before, { status: object['status'], metadata: withFields(old, { managedFields }) });
    }
    return withFields(before, { status: object['status'], metadata: object['metadata'] });
  }

  #contentErrors(
    kind: Kind,
    object: JsonObject,
    old: JsonObject | undefined,
    subresource: Subresource | undefined,
  ): readonly FieldError[] {
    const errors: FieldError[] = [];
    if (object['kind'] !== kind.kind) {
      return [{ type: 'Invalid', path: 'kind', value: object['kind'] ?? '', detail: `must be ${kind.kind}` }];
    }
    if (kind.custom) {
      errors.push(...scaleErrors(kind, object));
      errors.push(...validateCustom(kind.schema, object, old, subresource === 'status'));
    }
    if (subresource === undefined) errors.push(...(kind.validate?.(object, old) ?? []));
    return errors;
  }

  #refuse(kind: Kind, object: JsonObject, errors: readonly FieldError[]): void {
    if (errors.length === 0) return;
    const what = { group: kind.stored?.group ?? kind.group, kind: textAt(object, 'kind') ?? kind.kind };
    throw invalid(what, textAt(object, 'metadata', 'name') ?? '', errors);
  }

  #checkNamespace(kind: Kind, namespace: string, name: string): void {
    const found = this.#store.latest('/namespaces', namespace);
    if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (metaOf(found)['deletionTimestamp'] === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    };
    throw forbidden(kind, name, why, [cause]);
  }

  #checkPreconditions(
    kind: Kind,
    name: string,
    object: JsonObject,
    { uid, resourceVersion }: Deletion,
  ): void {
    const meta = metaOf(object);
    const what = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
    if (kind.kind === 'Namespace' && uid !== undefined && uid !== meta['uid']) {
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textAt(meta, 'uid')}`;
      throw conflict(kind, name, why);
    }
    if (uid !== undefined && uid !== meta['uid']) {
      const why = `the UID in the precondition (${uid}) does not match the UID in record (${textAt(meta, 'uid')}). The object might have been deleted and then recreated`;
      throw conflict(kind, name, why, what);
    }
    if (resourceVersion !== undefined && resourceVersion !== meta['resourceVersion']) {
      const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${textAt(meta, 'resourceVersion')}). The object might have been modified`;
      throw conflict(kind, name, why, what);
    }
  }

  /** With the finalizer that makes the collector see to the dependents first, where the policy wants that. */
  #finalizersFor(
    kind: Kind,
    finalizers: readonly string[],
    { propagationPolicy }: Deletion,
    warn: (text: string) => void,
  ): readonly string[] {
    const others = finalizers.filter((name) => name !== 'orphan' && name !== 'foregroundDeletion');
    if (propagationPolicy === 'Orphan') return [...others, 'orphan'];
    if (propagationPolicy === 'Foreground') return [...others, 'foregroundDeletion'];
    if (propagationPolicy === 'Background') return others;
    if (kind.orphansByDefault !== true) return finalizers;
    warn(
      'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
    );
    return [...others, 'orphan'];
  }

  #worldNow(): World {
    return { ...this.#world, now: this.#clock.now() };
  }

  #time(): string {
    return rfc3339(this.#clock.now());
  }

  #suffix(): string {
    const letters = 'bcdfghjklmnpqrstvwxz2456789';
    return Array.from({ length: 5 }, () => letters[Math.floor(this.#random() * letters.length)]).join('');
  }

  #uid(): string {
    const bytes = Buffer.from(Array.from({ length: 16 }, () => Math.floor(this.#random() * 256)));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
}

/** Where objects of a kind are in the store. */
export function resourceOf(kind: Pick<Kind, 'group' | 'plural' | 'stored'>): string {
  const { group, plural } = kind.stored ?? kind;
  return `${group}/${plural}`;
}

/** `namespace/name`, or `name`. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** As the kind shows what is stored. */
export function served(kind: Kind, object: JsonObject): JsonObject {
  return kind.stored ? kind.stored.decode(object) : object;
}

function stored(kind: Kind, object: JsonObject): JsonObject {
  return kind.stored ? kind.stored.encode(object) : object;
}

export function metaOf(object: JsonObject): JsonObject {
  const { metadata } = object;
  return isJsonObject(metadata) ? metadata : {};
}

function withMeta(object: JsonObject, fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  return withFields(object, { metadata: withFields(metaOf(object), fields) });
}

/** Of a built-in kind, status is there from the beginning. */
function emptyStatus(kind: Kind): Json | undefined {
  return decodeObject(kind, {}).object['status'];
}

/** The namespace of the request, where the object is not told to be in another. */
function inNamespace(object: JsonObject, { namespace }: Pick<WriteOptions, 'namespace'>): JsonObject {
  return withMeta(object, { namespace: metaOf(object)['namespace'] ?? namespace });
}

function specChanged(kind: Kind, before: JsonObject, after: JsonObject): boolean {
  const left = { metadata: undefined, ...(kind.status && { status: undefined }) };
  return !jsonEqual(withFields(before, left), withFields(after, left));
}

function strategic(kind: Kind, before: JsonObject, body: JsonObject): JsonObject {
  try {
    return strategicMergePatch(kind.schema, before, body);
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    throw error.code === 400 ? badRequest(error.message) : internal(error.message);
  }
}

function graceOf(kind: Kind, object: JsonObject, { gracePeriodSeconds }: Deletion): number {
  if (kind.gracePeriod === undefined) return 0;
  const meta = metaOf(object);
  const current = meta['deletionGracePeriodSeconds'];
  // Once begun, it can only become shorter.
  if (typeof current === 'number') return Math.min(current, gracePeriodSeconds ?? current);
  const own = kind.gracePeriod(object);
  return own === 0 ? 0 : Math.abs(gracePeriodSeconds ?? own);
}

/** A patch that makes no object, as Kubernetes shows it: the object, or of a strategic merge the patch as Go prints it. */
function shownPatch(
  type: PatchType,
  patch: JsonObject,
  after: JsonObject,
  why: string,
): { readonly value: Json; readonly detail: string } {
  if (type !== 'strategic') return { value: JSON.stringify(after), detail: why };
  const prefix = why.startsWith('illegal base64') ? 'error decoding from json: ' : '';
  // It goes another way into Go's types, with another complaint.
  const other = /^json: cannot unmarshal (number|bool) into .* of type (string)$/.exec(why);
  const detail = other
    ? `cannot convert ${other[1]?.replace('number', 'int64')} to ${other[2]}`
    : prefix + why;
  return { value: goPlain(patch), detail };
}

function nameMismatch(given: string, name: string): StatusError {
  return badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
}

function namespaceMismatch(): StatusError {
  return badRequest('the namespace of the provided object does not match the namespace sent on the request');
}
