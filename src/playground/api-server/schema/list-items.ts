import { isJsonArray } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';

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
