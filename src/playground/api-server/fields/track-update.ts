import { isJsonObject, type JsonObject } from '../kind.ts';
import { isJsonArray, jsonEqual, withFields } from './json.ts';
import {
  decodeManaged,
  managedFieldsOf,
  managerId,
  withEntry,
  withManagedFields,
  withoutManagedFields,
  type Managed,
} from './managed-fields.ts';
import { beforeCreation, reassign, withoutUnowned, writer, type Write } from './ownership.ts';

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
