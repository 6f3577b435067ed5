import type { Schema } from './schema.ts';

/**
 * `value` with the defaults of `schema`, as the API server applies them when it reads an object: a field that is
 * absent gets its default, and a `null` where the schema has none is taken for absent. Wrong types are passed on for
 * validation to name. The argument is not changed.
 */
export function applyDefaults(schema: Schema, value: unknown): unknown {
  if (!('type' in schema)) return value;
  if (schema.type === 'array') {
    return Array.isArray(value) ? value.map((item) => applyDefaults(schema.items, item)) : value;
  }
  if (schema.type !== 'object' || 'x-kubernetes-preserve-unknown-fields' in schema || !isObject(value)) {
    return value;
  }
  if ('additionalProperties' in schema) {
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, applyDefaults(schema.additionalProperties, entry)]),
    );
  }
  const result: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(value)) {
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property === undefined) result[key] = entry;
    else if (entry !== null) result[key] = applyDefaults(property, entry);
  }
  for (const [key, property] of Object.entries(schema.properties)) {
    if (Object.hasOwn(result, key) || !('default' in property)) continue;
    result[key] = applyDefaults(property, structuredClone(property.default));
  }
  return result;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
