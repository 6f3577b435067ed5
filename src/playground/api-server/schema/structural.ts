import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';
import { definedSchema } from '../kinds/recorded.ts';

const META = definedSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

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
  const isEmbedded = schema['x-kubernetes-embedded-resource'] === true;
  for (const [name, child] of Object.entries(value)) {
    const childPath = path === '' ? name : `${path}.${name}`;
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    // An embedded object has its identity, whether or not the schema names these fields.
    const identity = isEmbedded ? { metadata: META, apiVersion: {}, kind: {} }[name] : undefined;
    const others = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    const known = identity ?? property ?? others;
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
