import { isJsonObject, type Json, type JsonObject } from '../kind.ts';

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** A field of what may not be an object. Names such as `constructor` are fields like any other. */
export function fieldOf(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** The object with other fields in place of some of its own; undefined leaves one out. */
export function withFields(
  object: JsonObject,
  fields: Readonly<Record<string, Json | undefined>>,
): JsonObject {
  return objectOf([...Object.entries(object), ...Object.entries(fields)]);
}

/** Of two entries with one key the later holds. */
export function objectOf(entries: Iterable<readonly [string, Json | undefined]>): JsonObject {
  const defined = [...new Map(entries)].filter((entry): entry is [string, Json] => entry[1] !== undefined);
  // Not by assignment: a key may be `__proto__`.
  return Object.fromEntries(defined);
}

/** Whether two values are the same JSON; the order of keys does not count. */
export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isJsonArray(a)) {
    return isJsonArray(b) && a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => jsonEqual(a[key], fieldOf(b, key)));
}

/** JSON as Go's encoder writes it, keys sorted: the form of the keys and values in FieldsV1. */
export function goJson(value: Json): string {
  return JSON.stringify(sortKeys(value)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function sortKeys(value: Json): Json {
  if (isJsonArray(value)) return value.map(sortKeys);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(sortedEntries(value).map(([key, item]) => [key, sortKeys(item)]));
}

const sortedEntries = (object: { readonly [key: string]: Json }): [string, Json][] =>
  Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1));

/** A key or value in a path: strings are quoted. */
export function formatValue(value: Json): string {
  return typeof value === 'string' ? JSON.stringify(value) : goJson(value);
}

/** Undefined for what is not JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    // JSON.parse gives nothing but JSON.
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
