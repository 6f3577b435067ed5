import { isJsonObject, type Json, type JsonObject } from '../kind.ts';
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
import { beforeCreation, reassign, servedEntries, withoutUnowned, writer, type Write } from './ownership.ts';

export interface Update extends Write {
  /** The object as it is stored; absent for a create. */
  readonly before: JsonObject | undefined;
  /** The object as the request has it, with defaults, before the server sets or keeps anything. */
  readonly after: JsonObject;
}

/**
 * Who owns what after a create, an update or a patch that is no apply: returns `after` with its
 * `metadata.managedFields`. The writer comes to own what it changed, and all others lose it.
 *
 * What the request itself says of managedFields counts: an empty list ends the tracking of the object until the next
 * apply. Absent or not valid, it leaves them as they were, so that clients who do not know of them do no harm.
 */
export function trackUpdate(update: Update): JsonObject {
  const { before, after, kind } = update;
  const given = managedFieldsOf(after);
  const managed = isReset(update, given) ? new Map() : entriesOf(update, given);
  const object = withoutManagedFields(after);
  // Kubernetes gives up on custom objects with an entry of a version in which it cannot read them.
  const isLost = kind.custom && servedEntries(kind, managed).size < managed.size;
  if (isLost || (managed.size === 0 && before !== undefined)) return object;
  const change = {
    before: before === undefined ? beforeCreation(kind) : withoutManagedFields(before),
    after: object,
  };
  return withManagedFields(object, owners(update, managed, change));
}

function isReset(update: Update, given: Json | undefined): boolean {
  const { subresource = '' } = update;
  if (subresource !== '' || !isJsonArray(given)) return false;
  // Of custom kinds an empty list is as good as none: reading metadata drops it.
  return given.length === 0 ? !update.kind.custom : given.length === 1 && jsonEqual(given[0], {});
}

function entriesOf(update: Update, given: Json | undefined): Managed {
  const { subresource = '', before } = update;
  const own = subresource === '' ? decodeManaged(given) : undefined;
  return own !== undefined && own.size > 0 ? own : (decodeManaged(managedFieldsOf(before)) ?? new Map());
}

/** The owners after an update. */
export function owners(
  write: Write,
  before: Managed,
  change: { readonly before: JsonObject; readonly after: JsonObject },
): Managed {
  const { changes, managed } = reassign(write, servedEntries(write.kind, before), change);
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
