import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';
import { schemaOf } from '../schema/structural.ts';
import { isJsonArray } from './json.ts';

/** What a schema says of who owns what. Of what it says nothing of, maps are owned field by field, lists as one value. */
export type Shape = 'map' | 'scalar' | 'list';

/** Whether a value is owned as one: else maps are by their fields, and lists by their items. */
export function isAtomic(schema: StructuralSchema, shape: Shape): boolean {
  if (shape === 'map') return schema['x-kubernetes-map-type'] === 'atomic';
  return shape === 'scalar' || (schema['x-kubernetes-list-type'] ?? 'atomic') === 'atomic';
}

/** By which the items of a list are told apart; by their value where there are none. */
export function keysOf(schema: StructuralSchema): readonly string[] {
  return (schema['x-kubernetes-list-type'] === 'map' && schema['x-kubernetes-list-map-keys']) || [];
}

/** Fields that should not be there are taken for free ones. */
export const fieldType = (schema: StructuralSchema, name: string): StructuralSchema =>
  schemaOf(schema, name) ?? {};

export const itemType = (schema: StructuralSchema): StructuralSchema => schema.items ?? {};

/** The shape that a value has; of what is not allowed and of null, the one of the schema. */
export function shapeOf({ type }: StructuralSchema, value: Json): Shape {
  if (type !== undefined) return type === 'object' ? 'map' : type === 'array' ? 'list' : 'scalar';
  if (isJsonArray(value)) return 'list';
  return isJsonObject(value) || value === null ? 'map' : 'scalar';
}
