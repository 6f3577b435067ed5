import { isJsonObject, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { formatPath, sortedPaths, type FieldSet } from './field-set.ts';
import { parseJson, fieldOf, jsonEqual } from './json.ts';
import {
  decodeManaged,
  managedFieldsOf,
  managerId,
  withEntry,
  withManagedFields,
  withoutManagedFields,
  type Entry,
  type Managed,
} from './managed-fields.ts';
import {
  beforeCreation,
  reassign,
  withoutReset,
  withoutUnowned,
  writer,
  type Write,
  owners,
} from './ownership.ts';
import { compare, fieldSetOf, merge, removeFields, withNamedFields } from './typed-value.ts';

export interface Apply extends Write {
  /** The object as it is stored; absent where the apply creates it. */
  readonly live: JsonObject | undefined;
  /** What is applied: of this kind and of the types in its schema, without managedFields and items that are there twice. */
  readonly applied: JsonObject;
  readonly force: boolean;
}

export type ApplyResult =
  /** With metadata.managedFields; not yet defaulted. */
  | { readonly object: JsonObject }
  /** Status 409, reason Conflict; the causes are its details, which name no object. */
  | { readonly conflict: Conflict };

export interface Conflict {
  readonly message: string;
  readonly causes: readonly {
    readonly reason: 'FieldManagerConflict';
    readonly message: string;
    readonly field: string;
  }[];
}

/**
 * Server-side apply: merges a configuration into an object, removes what the manager applied before and does so no
 * more and nobody else owns, and refuses, unless by force, to change what others own.
 */
export function applyPatch(apply: Apply): ApplyResult {
  const { kind, force } = apply;
  const live = withoutManagedFields(apply.live ?? beforeCreation(kind));
  const result = merged(apply, live, entriesBefore(apply, live));
  const conflicts = force ? new Map<never, never>() : withoutOwn(apply, live, result.conflicts);
  if (conflicts.size > 0) return { conflict: describeConflicts(conflicts) };
  return { object: withManagedFields(result.object, result.managed) };
}

/** What an object has that nobody is known to own belongs to before-first-apply. */
function entriesBefore(apply: Apply, live: JsonObject): Managed {
  const managed = decodeManaged(managedFieldsOf(apply.live));
  if (managed.size > 0) return managed;
  const change = { before: beforeCreation(apply.kind), after: live };
  return owners({ ...apply, manager: 'before-first-apply' }, managed, change);
}

interface Merged {
  /** Without managedFields. */
  readonly object: JsonObject;
  readonly managed: Managed;
  /** What of others' fields had to change for it. */
  readonly conflicts: Managed;
}

function merged(apply: Apply, live: JsonObject, before: Managed): Merged {
  const type = apply.kind.schema;
  const self = writer(apply, 'Apply');
  const last = before.get(managerId(self));
  const fields = withoutReset(apply, fieldSetOf(type, apply.applied));
  const claimed = withEntry(before, { ...self, time: last?.time, fields });
  const whole = merge(type, live, apply.applied);
  const object = last === undefined ? whole : prune(type, whole, claimed, last.fields);
  if (!isJsonObject(object)) throw new TypeError('an object has become something else');
  const { conflicts, managed } = reassign(apply, claimed, { before: live, after: object, self });
  return { object, managed: settle(apply, managed, jsonEqual(live, object)), conflicts };
}

/** The time of an entry is that of the last apply that changed the object. */
function settle(apply: Apply, managed: Managed, isUnchanged: boolean): Managed {
  const id = managerId(writer(apply, 'Apply'));
  const entry = managed.get(id);
  if (entry === undefined) return managed;
  const fields = withoutUnowned(entry.fields);
  const settled = new Map(managed);
  if (fields.size === 0) settled.delete(id);
  else settled.set(id, { ...entry, time: isUnchanged ? entry.time : apply.time, fields });
  return settled;
}

/**
 * Removes what was applied last time, but not what somebody (this configuration too) owns, and not what only came
 * to be in a removed field by others.
 */
function prune(type: StructuralSchema, merged: Json, managed: Managed, last: FieldSet): Json {
  if (last.size === 0) return merged;
  const named = (fields: FieldSet): FieldSet => withNamedFields(type, fields);
  const fieldsOf = (value: Json): FieldSet => named(fieldSetOf(type, value));
  const all = fieldsOf(merged);
  const owned = named([...managed.values()].map(({ fields }) => fields).reduce((a, b) => a.union(b)));
  const withoutLast = removeFields(type, merged, named(last));
  const withOwned = removeFields(type, merged, all.difference(fieldsOf(withoutLast).union(owned)));
  return removeFields(type, merged, all.difference(fieldsOf(withOwned)).intersection(named(last)));
}

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** What kubectl wrote with its own client-side apply, it may overwrite with a server-side one. */
function withoutOwn(apply: Apply, live: JsonObject, conflicts: Managed): Managed {
  const text = fieldOf(fieldOf(live.metadata, 'annotations'), lastAppliedAnnotation);
  const last = apply.manager === 'kubectl' && typeof text === 'string' ? parseJson(text) : undefined;
  const type = apply.kind.schema;
  if (!isJsonObject(last) || last.apiVersion !== live.apiVersion) return conflicts;
  const { added, modified, removed } = compare(type, last, live);
  const own = fieldSetOf(type, last).difference(added.union(modified).union(removed));
  const left = [...conflicts].map(
    ([id, entry]) => [id, { ...entry, fields: entry.fields.difference(own) }] as const,
  );
  return new Map(left.filter(([, { fields }]) => fields.size > 0));
}

function describeConflicts(conflicts: Managed): Conflict {
  const causes = [...conflicts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, entry]) =>
      sortedPaths(entry.fields).map((path) => ({
        reason: 'FieldManagerConflict' as const,
        message: `conflict with ${describeOwner(entry)}`,
        field: formatPath(path),
      })),
    );
  const [first] = causes;
  if (causes.length === 1 && first !== undefined) {
    return { message: `Apply failed with 1 conflict: ${first.message}: ${first.field}`, causes };
  }
  const lines = [...Map.groupBy(causes, ({ message }) => message)].flatMap(([message, group]) => [
    `${message.replace('conflict', 'conflicts')}:`,
    ...group.map((cause) => `- ${cause.field}`),
  ]);
  return { message: `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`, causes };
}

function describeOwner({ manager, operation, apiVersion, subresource }: Entry): string {
  const where = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  return `${JSON.stringify(manager)}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
