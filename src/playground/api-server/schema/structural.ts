import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';

/** The schema of a field of an object: by its name, or that of all others. */
export function schemaOf(schema: StructuralSchema, name: string): StructuralSchema | undefined {
  const { properties = {}, additionalProperties } = schema;
  if (Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

/** A value in another, that the schema knows. */
interface Child {
  readonly schema: StructuralSchema;
  /** Of an object the name of the field. */
  readonly key: string;
  readonly value: Json;
  /** As `spec.ports[0].name` or `spec.labels[a]`. */
  readonly path: string;
}

/** The values in a value at `path` that the schema knows; fields in the order of their names. */
export function childrenOf(schema: StructuralSchema, value: Json, path: string): readonly Child[] {
  if (isJsonArray(value)) {
    const { items } = schema;
    if (items === undefined) return [];
    return value.map((item, index) => ({
      schema: items,
      key: String(index),
      value: item,
      path: `${path}[${index}]`,
    }));
  }
  if (!isJsonObject(value)) return [];
  const { properties = {} } = schema;
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return fields.flatMap(([key, item]) => {
    const known = schemaOf(schema, key);
    const named = path === '' ? key : `${path}.${key}`;
    const place = Object.hasOwn(properties, key) ? named : `${path}[${key}]`;
    return known === undefined ? [] : [{ schema: known, key, value: item, path: place }];
  });
}

/**
 * `value` without the fields that the schema does not know, whose paths go to `unknown`, and without nulls where the
 * schema has no `nullable`.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
 */
export function prune(schema: StructuralSchema, value: Json, path: string, unknown: string[]): Json {
  if (isJsonArray(value)) {
    const { items } = schema;
    return items ? value.map((item, index) => prune(items, item, `${path}[${index}]`, unknown)) : value;
  }
  if (!isJsonObject(value)) return value;
  const keepsUnknown =
    schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  const fields: (readonly [string, Json])[] = [];
  for (const [name, child] of Object.entries(value)) {
    const childPath = path === '' ? name : `${path}.${name}`;
    const known = schemaOf(schema, name);
    if (known !== undefined) {
      if (child !== null || known.nullable === true) {
        fields.push([name, prune(known, child, childPath, unknown)]);
      }
    } else if (keepsUnknown) fields.push([name, child]);
    else unknown.push(childPath);
  }
  return objectOf(fields);
}

/** `value` with the defaults of the schema where a field is absent. */
export function applyDefaults(schema: StructuralSchema, value: Json): Json {
  if (isJsonArray(value)) {
    const { items } = schema;
    return items ? value.map((item) => applyDefaults(items, item)) : value;
  }
  if (!isJsonObject(value)) return value;
  const fields = Object.entries(value).map(([name, child]) => {
    const known = schemaOf(schema, name);
    return [name, known ? applyDefaults(known, child) : child] as const;
  });
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default === undefined || Object.hasOwn(value, name)) continue;
    fields.push([name, applyDefaults(property, property.default)]);
  }
  return objectOf(fields);
}

/** What makes an item of a set or a list-map the same as another; undefined in other lists. */
export function identityOf(schema: StructuralSchema, item: Json): Json | undefined {
  if (schema['x-kubernetes-list-type'] === 'set') return item;
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || keys === undefined || !isJsonObject(item))
    return undefined;
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = item[key] ?? schema.items?.properties?.[key]?.default;
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** Which old item an item of a list is compared with: that of the same keys; in other lists none. */
export function correlation(
  schema: StructuralSchema,
  old: Json | undefined,
): (item: Json) => Json | undefined {
  if (!isJsonArray(old) || schema['x-kubernetes-list-type'] !== 'map') return () => undefined;
  const byIdentity = new Map(old.map((item) => [JSON.stringify(identityOf(schema, item)), item]));
  return (item) => byIdentity.get(JSON.stringify(identityOf(schema, item)));
}
