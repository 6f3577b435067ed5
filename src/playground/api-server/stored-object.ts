import { withFields } from './fields/json.ts';
import type { Json, JsonObject, Kind } from './kind.ts';
import { object as fieldsOf, text } from './kinds/read.ts';

/** Where objects of a kind are in the store. */
export function resourceOf(kind: Pick<Kind, 'group' | 'plural' | 'stored'>): string {
  const { group, plural } = kind.stored ?? kind;
  return `${group}/${plural}`;
}

/** `namespace/name`, or `name`. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The key of an object with its metadata. */
export function keyIn(object: JsonObject): string {
  return keyOf(text(object, 'metadata', 'namespace') || undefined, text(object, 'metadata', 'name'));
}

/** As the kind shows what is stored. */
export function served(kind: Kind, object: JsonObject): JsonObject {
  return kind.stored ? kind.stored.decode(object) : object;
}

export function metaOf(object: JsonObject): JsonObject {
  return fieldsOf(object, 'metadata');
}

/** Whether it is to go. */
export function isMarked(object: JsonObject): boolean {
  return metaOf(object)['deletionTimestamp'] !== undefined;
}

/** The object with other fields in its metadata; undefined leaves one out. */
export function withMeta(object: JsonObject, fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  return withFields(object, { metadata: withFields(metaOf(object), fields) });
}
