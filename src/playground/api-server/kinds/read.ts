import { fieldOf, isJsonArray, jsonEqual, withFields } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject } from '../kind.ts';

/** What is at a path in JSON of any shape; a number is an index. */
export function at(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (found, key) =>
      typeof key === 'number' ? (isJsonArray(found) ? found[key] : undefined) : fieldOf(found, key),
    value,
  );
}

/** Empty where there is no string. */
export function text(value: Json | undefined, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** 0 where there is no number. */
export function count(value: Json | undefined, ...path: readonly (string | number)[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : 0;
}

/** The objects in a list; none where there is no list. */
export function items(value: Json | undefined, ...path: readonly (string | number)[]): readonly JsonObject[] {
  const found = at(value, ...path);
  return isJsonArray(found) ? found.filter(isJsonObject) : [];
}

export function object(value: Json | undefined, ...path: readonly (string | number)[]): JsonObject {
  const found = at(value, ...path);
  return isJsonObject(found) ? found : {};
}

/** The object with `change` in place of what is at a path of names, where that is an object or list. */
export function changed(
  value: JsonObject,
  path: readonly string[],
  change: (found: Json) => Json,
): JsonObject {
  const [name = '', ...rest] = path;
  const found = fieldOf(value, name);
  if (found === undefined) return value;
  if (rest.length === 0) return withFields(value, { [name]: change(found) });
  return isJsonObject(found) ? withFields(value, { [name]: changed(found, rest, change) }) : value;
}

/** The object with these fields where it has none of the name. */
export function withDefaults(value: Json, defaults: Readonly<Record<string, Json | undefined>>): JsonObject {
  return withFields(withFields({}, defaults), isJsonObject(value) ? value : {});
}

export const required = (path: string, detail = ''): FieldError => ({ type: 'Required', path, detail });
export const invalidValue = (path: string, value: Json, detail: string): FieldError => ({
  type: 'Invalid',
  path,
  value,
  detail,
});
export const forbiddenField = (path: string, detail: string): FieldError => ({
  type: 'Forbidden',
  path,
  detail,
});

/** A mistake where `value` is there and none of `supported`. */
export function notOneOf(
  path: string,
  value: Json | undefined,
  supported: readonly string[],
): readonly FieldError[] {
  if (value === undefined || supported.some((item) => item === value)) return [];
  const detail = `supported values: ${supported.map((item) => JSON.stringify(item)).join(', ')}`;
  return [{ type: 'NotSupported', path, value, detail }];
}

/** A mistake for each of these paths where the object is no longer as it was. */
export function immutable(
  given: JsonObject,
  old: JsonObject | undefined,
  paths: readonly string[],
): readonly FieldError[] {
  return paths.flatMap((path) => {
    const [value, before] = [given, old].map((of) => at(of, ...path.split('.')));
    return old === undefined || before === undefined || jsonEqual(value, before)
      ? []
      : [invalidValue(path, value ?? null, 'field is immutable')];
  });
}

/** RFC 3339 in whole seconds. */
export function rfc3339(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
