import { apiVersionOf, isJsonObject, type Json, type JsonObject, type Kind } from '../kind.ts';
import { fieldAt, withoutTrees, type FieldSet } from './field-set.ts';
import { isJsonArray, jsonEqual, withFields } from './json.ts';
import {
  decodeManaged,
  managedFieldsOf,
  managerId,
  withEntry,
  withManagedFields,
  withoutManagedFields,
  type Entry,
  type Managed,
  type ManagerId,
  type Manager,
} from './managed-fields.ts';
import { compare, structsOf, type Comparison } from './typed-value.ts';

/** What of a kind decides who owns what. */
export type OwnedKind = Pick<Kind, 'group' | 'version' | 'kind' | 'schema' | 'custom' | 'status'>;

/** Who writes what, where and when. */
export interface Write {
  readonly kind: OwnedKind;
  /** The name of the field manager. */
  readonly manager: string;
  /** `status` or `scale`; absent for the object itself. */
  readonly subresource?: string | undefined;
  /** Now, as RFC 3339 in whole seconds. */
  readonly time: string;
}

export function writer(write: Write, operation: Manager['operation']): Manager {
  return {
    manager: write.manager === '' ? 'unknown' : write.manager,
    operation,
    apiVersion: apiVersionOf(write.kind),
    subresource: write.subresource ?? '',
  };
}

/** What the status subresource of built-in kinds resets beside spec. */
const resetWithStatus: Readonly<Record<string, FieldSet>> = {
  CustomResourceDefinition: fieldAt('metadata'),
  Deployment: fieldAt('metadata', 'labels'),
  Pod: fieldAt('metadata', 'deletionTimestamp').union(fieldAt('metadata', 'ownerReferences')),
};

/** What a write by this way leaves as it was, whatever it says; nobody comes to own it so. */
function resetFields({ kind, subresource = '' }: Write): FieldSet {
  if (subresource === 'status') {
    const more = kind.custom ? undefined : resetWithStatus[kind.kind];
    return fieldAt('spec').union(more ?? new Set());
  }
  return kind.status && subresource === '' ? fieldAt('status') : new Set();
}

export const withoutReset = (write: Write, fields: FieldSet): FieldSet =>
  withoutTrees(fields, resetFields(write));

const serverMetadata = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'selfLink',
];

/** What every object has from the server: nobody owns it. */
const unowned = [['apiVersion'], ['kind'], ['metadata'], ...serverMetadata.map((name) => ['metadata', name])]
  .map((path) => fieldAt(...path))
  .reduce((all, one) => all.union(one));

export const withoutUnowned = (fields: FieldSet): FieldSet => fields.difference(unowned);

/** What an object is before it is created. */
export const beforeCreation = (kind: OwnedKind): JsonObject => (kind.custom ? {} : structsOf(kind.schema));

interface Reassignment {
  readonly changes: Comparison;
  /** What others owned and lose because it has another value now. */
  readonly conflicts: Managed;
  /** What is left to everyone; who has nothing left is gone. */
  readonly managed: Managed;
}

/** Takes from everyone but `self` what a write changes and removes. */
export function reassign(
  write: Write,
  managed: Managed,
  change: { readonly before: Json; readonly after: Json; readonly self?: Manager },
): Reassignment {
  const compared = compare(write.kind.schema, change.before, change.after);
  const changes = {
    removed: withoutReset(write, compared.removed),
    modified: withoutReset(write, compared.modified),
    added: withoutReset(write, compared.added),
  };
  const written = changes.modified.union(changes.added);
  const self = change.self && managerId(change.self);
  const conflicts = new Map<ManagerId, Entry>();
  const left = new Map<ManagerId, Entry>();
  for (const [id, entry] of managed) {
    let { fields } = entry;
    if (id !== self) {
      const conflict = fields.intersection(written);
      if (conflict.size > 0) conflicts.set(id, { ...entry, fields: conflict });
      fields = fields.difference(conflict).difference(changes.removed);
    }
    if (fields.size > 0) left.set(id, { ...entry, fields });
  }
  return { changes, conflicts, managed: left };
}

export interface Update extends Write {
  /** The object as it is stored; absent for a create. */
  readonly before: JsonObject | undefined;
  /** The object as the request has it, with defaults, before the server sets or keeps anything. */
  readonly after: JsonObject;
}

/**
 * Who owns what after a create, an update or a patch that is no apply: returns `after` with its
 * `metadata.managedFields`, whatever it says of them. The writer comes to own what it changed, and all others lose it.
 */
export function trackUpdate(update: Update): JsonObject {
  const { before, kind } = update;
  const after = withoutManagedFields(update.after);
  const old = before === undefined ? beforeCreation(kind) : withoutManagedFields(before);
  const managed = decodeManaged(managedFieldsOf(before));
  // What nobody was known to own is followed from its first apply on.
  if (managed.size === 0 && before !== undefined) return after;
  return withManagedFields(after, owners(update, managed, { before: old, after }));
}

/** The owners after an update. */
export function owners(
  write: Write,
  before: Managed,
  change: { readonly before: JsonObject; readonly after: JsonObject },
): Managed {
  const { changes, managed } = reassign(write, before, change);
  const taken = withoutUnowned(changes.modified.union(changes.added));
  if (taken.size === 0) return managed;
  const self = writer(write, 'Update');
  const earlier = managed.get(managerId(self));
  const fields = earlier === undefined ? taken : earlier.fields.union(taken);
  // Kubernetes loses the time of a write to scale.
  const time = self.subresource === 'scale' ? undefined : write.time;
  return withEntry(managed, { ...self, time, fields });
}

/**
 * The object as it is to be stored: where nothing but times in managedFields is new, `before`, so that a write that
 * changes nothing makes no new version. To be called last, when the server has set and kept what it does.
 */
export function keepTimes(before: JsonObject, after: JsonObject): JsonObject {
  return jsonEqual(withoutTimes(before), withoutTimes(after)) ? before : after;
}

function withoutTimes(object: JsonObject): JsonObject {
  const entries = managedFieldsOf(object);
  if (!isJsonArray(entries) || !isJsonObject(object.metadata)) return object;
  const managedFields = entries.map((entry) =>
    isJsonObject(entry) ? withFields(entry, { time: undefined }) : entry,
  );
  return withFields(object, { metadata: withFields(object.metadata, { managedFields }) });
}
