import { isObject } from './defaults.ts';
import type { ArraySchema, MapSchema, ObjectSchema, Schema, StringSchema } from './schema.ts';

export interface ValidationError {
  /** As the API server writes it: `spec.auth.htpasswd.users[0].name`. */
  readonly path: string;
  readonly message: string;
}

export interface ValidationOptions {
  /** What to do with a field that the schema does not know: the API server drops it, a check of a file names it. */
  readonly unknownFields: 'error' | 'ignore';
}

/**
 * Every structural error of `value`: types, required fields, enums, patterns, bounds, duplicates. CEL rules are not
 * evaluated. Apply defaults first: a default may satisfy `required`.
 */
export function validate(
  schema: Schema,
  value: unknown,
  path: string,
  options: ValidationOptions,
): readonly ValidationError[] {
  return [...check(schema, value, path, options)];
}

function* check(
  schema: Schema,
  value: unknown,
  path: string,
  options: ValidationOptions,
): Generator<ValidationError> {
  if (!('type' in schema)) {
    if (typeof value === 'string') yield* checkString(schema, value, path);
    else if (!Number.isSafeInteger(value))
      yield { path, message: `must be an integer or a string, not ${kindOf(value)}` };
    return;
  }
  switch (schema.type) {
    case 'object':
      if (!isObject(value)) yield { path, message: `must be an object, not ${kindOf(value)}` };
      else if ('properties' in schema) yield* checkObject(schema, value, path, options);
      else if ('additionalProperties' in schema) yield* checkMap(schema, value, path, options);
      return;
    case 'array':
      if (!Array.isArray(value)) yield { path, message: `must be a list, not ${kindOf(value)}` };
      else yield* checkArray(schema, value, path, options);
      return;
    case 'string':
      if (typeof value !== 'string') yield { path, message: `must be a string, not ${kindOf(value)}` };
      else yield* checkString(schema, value, path);
      return;
    case 'boolean':
      if (typeof value !== 'boolean') yield { path, message: `must be true or false, not ${kindOf(value)}` };
      return;
    case 'integer': {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
        yield { path, message: `must be an integer, not ${kindOf(value)}` };
        return;
      }
      const { minimum = -Infinity, maximum = Infinity } = schema;
      if (value < minimum) yield { path, message: `must be at least ${minimum}` };
      if (value > maximum) yield { path, message: `must be at most ${maximum}` };
    }
  }
}

function* checkObject(
  schema: ObjectSchema,
  value: Readonly<Record<string, unknown>>,
  path: string,
  options: ValidationOptions,
): Generator<ValidationError> {
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) yield { path: member(path, key), message: 'is required' };
  }
  for (const [key, entry] of Object.entries(value)) {
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property !== undefined) yield* check(property, entry, member(path, key), options);
    else if (options.unknownFields === 'error') yield { path: member(path, key), message: 'is not a field' };
  }
}

function* checkMap(
  schema: MapSchema,
  value: Readonly<Record<string, unknown>>,
  path: string,
  options: ValidationOptions,
): Generator<ValidationError> {
  const entries = Object.entries(value);
  const { maxProperties = Infinity } = schema;
  if (entries.length > maxProperties) yield { path, message: `must have at most ${maxProperties} entries` };
  for (const [key, entry] of entries) {
    yield* check(schema.additionalProperties, entry, `${path}[${key}]`, options);
  }
}

function* checkArray(
  schema: ArraySchema,
  value: readonly unknown[],
  path: string,
  options: ValidationOptions,
): Generator<ValidationError> {
  const { minItems = 0, maxItems = Infinity } = schema;
  if (value.length < minItems) yield { path, message: `must have at least ${minItems} items` };
  if (value.length > maxItems) yield { path, message: `must have at most ${maxItems} items` };
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const itemPath = `${path}[${index}]`;
    yield* check(schema.items, item, itemPath, options);
    const key = identity(schema, item);
    if (key === undefined) continue;
    if (seen.has(key)) yield { path: itemPath, message: `is there twice: ${key}` };
    seen.add(key);
  }
}

/** What makes an item of a set or of a list-map the same as another. Nothing does in an atomic list. */
function identity(schema: ArraySchema, item: unknown): string | undefined {
  if (schema['x-kubernetes-list-type'] === 'set') return JSON.stringify(item);
  const keys = schema['x-kubernetes-list-map-keys'];
  if (keys === undefined || !isObject(item)) return undefined;
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])));
}

function* checkString(
  schema: Pick<StringSchema, 'enum' | 'pattern' | 'minLength' | 'maxLength' | 'format'>,
  value: string,
  path: string,
): Generator<ValidationError> {
  if (schema.enum && !schema.enum.includes(value)) {
    yield { path, message: `must be one of ${schema.enum.join(', ')}` };
  }
  const { minLength = 0, maxLength = Infinity } = schema;
  // As the API server counts: characters, not UTF-16 units.
  const length = Array.from(value).length;
  if (length < minLength) yield { path, message: `must have at least ${minLength} characters` };
  if (length > maxLength) yield { path, message: `must have at most ${maxLength} characters` };
  if (schema.pattern && !new RegExp(schema.pattern.expression, 'u').test(value)) {
    yield { path, message: `is ${schema.pattern.message}` };
  }
  if (schema.format === 'date-time' && !isDateTime(value)) {
    yield { path, message: 'must be a time as RFC 3339 writes it, such as 2026-01-31T03:00:00Z' };
  }
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function isDateTime(value: string): boolean {
  return DATE_TIME.test(value) && !Number.isNaN(Date.parse(value));
}

function member(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}
