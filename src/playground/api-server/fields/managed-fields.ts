import { isJsonObject, type Json, type JsonObject } from '../kind.ts';
import { decodeSet, encodeSet, type FieldSet } from './field-set.ts';
import { items, object, text } from '../kinds/read.ts';
import { fieldOf, objectOf, withFields } from './json.ts';

/** Who is an entry of `metadata.managedFields`. Appliers are the same in all versions of a kind. */
export interface Manager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  /** Empty for the object itself. */
  readonly subresource: string;
}

/** One entry of `metadata.managedFields`: what a manager owns. */
export interface Entry extends Manager {
  /** RFC 3339, in seconds. */
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** The entries of an object by the identity of their manager. */
export type Managed = ReadonlyMap<ManagerId, Entry>;
export type ManagerId = string & { readonly __brand: 'ManagerId' };

/** Kubernetes' own identity of a manager; the order of conflicts follows it. */
export function managerId({ manager, operation, apiVersion, subresource }: Manager): ManagerId {
  const version = operation === 'Update' ? { apiVersion } : {};
  const part = subresource === '' ? {} : { subresource };
  // The one place where identities are made.
  return JSON.stringify({
    ...(manager === '' ? {} : { manager }),
    operation,
    ...version,
    ...part,
  }) as ManagerId;
}

/** The managers but one, and that one with other fields. */
export function withEntry(managed: Managed, entry: Entry): Managed {
  return new Map(managed).set(managerId(entry), entry);
}

export const managedFieldsOf = (object: Json | undefined): Json | undefined =>
  fieldOf(fieldOf(object, 'metadata'), 'managedFields');

export function withoutManagedFields(object: JsonObject): JsonObject {
  const { metadata } = object;
  return isJsonObject(metadata)
    ? withFields(object, { metadata: withFields(metadata, { managedFields: undefined }) })
    : object;
}

export function withManagedFields(object: JsonObject, managed: Managed): JsonObject {
  const managedFields = managed.size === 0 ? undefined : encodeManaged(managed);
  const metadata = isJsonObject(object.metadata) ? object.metadata : {};
  return withFields(object, { metadata: withFields(metadata, { managedFields }) });
}

/** Reads `metadata.managedFields` as encodeManaged wrote it: nobody else does. */
export function decodeManaged(managedFields: Json | undefined): Managed {
  const entries = items(managedFields).map(({ operation, apiVersion, time, fieldsV1, ...who }): Entry => ({
    manager: text(who, 'manager'),
    operation: operation === 'Apply' ? 'Apply' : 'Update',
    apiVersion: text(apiVersion),
    subresource: text(who, 'subresource'),
    time: time === undefined ? undefined : text(time),
    fields: decodeSet(object(fieldsV1)),
  }));
  return new Map(entries.map((entry) => [managerId(entry), entry]));
}

function encodeManaged(managed: Managed): Json {
  return [...managed.values()].toSorted(compareEntries).map((entry) =>
    objectOf([
      ['manager', entry.manager === '' ? undefined : entry.manager],
      ['operation', entry.operation],
      ['apiVersion', entry.apiVersion],
      ['time', entry.time],
      ['fieldsType', 'FieldsV1'],
      ['fieldsV1', encodeSet(entry.fields)],
      ['subresource', entry.subresource === '' ? undefined : entry.subresource],
    ]),
  );
}

function compareEntries(a: Entry, b: Entry): number {
  return (
    compareStrings(a.operation, b.operation) ||
    seconds(a.time) - seconds(b.time) ||
    compareStrings(a.manager, b.manager) ||
    compareStrings(a.apiVersion, b.apiVersion) ||
    compareStrings(a.subresource, b.subresource)
  );
}

const compareStrings = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/** Since the epoch; 0 for no time. */
const seconds = (time: string | undefined): number =>
  time === undefined ? 0 : Math.floor(Date.parse(time) / 1000);
