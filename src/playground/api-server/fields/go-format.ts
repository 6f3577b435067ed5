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

/** Go's `%v`. */
export function goPlain(value: Json): string {
  if (value === null) return '<nil>';
  if (isJsonObject(value)) {
    return `map[${sortedEntries(value)
      .map(([key, item]) => `${key}:${goPlain(item)}`)
      .join(' ')}]`;
  }
  return isJsonArray(value) ? `[${value.map(goPlain).join(' ')}]` : String(value);
}

/** Go's `%#v`. */
export function goSyntax(value: Json): string {
  if (value === null) return 'interface {}(nil)';
  if (isJsonObject(value)) {
    const entries = sortedEntries(value).map(([key, item]) => `${JSON.stringify(key)}:${goSyntax(item)}`);
    return `map[string]interface {}{${entries.join(', ')}}`;
  }
  if (isJsonArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Go's `%T`. */
export function goType(value: Json): string {
  if (isJsonObject(value)) return 'map[string]interface {}';
  if (isJsonArray(value)) return '[]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value;
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
