import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';

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
  const { properties = {}, additionalProperties } = schema;
  const keepsUnknown =
    schema['x-kubernetes-preserve-unknown-fields'] === true || additionalProperties === true;
  const fields: (readonly [string, Json])[] = [];
  for (const [name, child] of Object.entries(value)) {
    const childPath = path === '' ? name : `${path}.${name}`;
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const known = property ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    if (known !== undefined) {
      if (child !== null || known.nullable === true)
        fields.push([name, prune(known, child, childPath, unknown)]);
    } else if (keepsUnknown) fields.push([name, child]);
    else if (!isEmbedded(schema, name)) unknown.push(childPath);
    else fields.push([name, child]);
  }
  return objectOf(fields);
}

/** An embedded object keeps its identity, whether or not the schema names these fields. */
function isEmbedded(schema: StructuralSchema, name: string): boolean {
  return (
    schema['x-kubernetes-embedded-resource'] === true && ['apiVersion', 'kind', 'metadata'].includes(name)
  );
}

/** `value` with the defaults of the schema where a field is absent. */
export function applyDefaults(schema: StructuralSchema, value: Json): Json {
  if (isJsonArray(value)) {
    const { items } = schema;
    return items ? value.map((item) => applyDefaults(items, item)) : value;
  }
  if (!isJsonObject(value)) return value;
  const { properties = {}, additionalProperties } = schema;
  const fields = Object.entries(value).map(([name, child]) => {
    const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    return [name, typeof known === 'object' ? applyDefaults(known, child) : child] as const;
  });
  for (const [name, property] of Object.entries(properties)) {
    if (property.default === undefined || Object.hasOwn(value, name)) continue;
    fields.push([name, applyDefaults(property, property.default)]);
  }
  return objectOf(fields);
}
