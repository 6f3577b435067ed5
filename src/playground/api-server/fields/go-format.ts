import { isJsonObject, type Json } from '../kind.ts';
import { isJsonArray } from './json.ts';

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
