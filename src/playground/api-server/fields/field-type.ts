import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';
import { isJsonArray } from './json.ts';

/**
 * What a value may be, as far as ownership goes. A type may be several of the three, such as an int-or-string; a value
 * then says which.
 */
export interface FieldType {
  readonly scalar?: 'number' | 'string' | 'boolean' | 'untyped';
  readonly list?: ListType;
  readonly map?: MapType;
  /** Of a key in a list of maps: it stands in for the key where an item has none. */
  readonly default?: Json;
}

export interface ListType {
  /** Owned as one value; else item by item, by `keys`, or by value where there are none. */
  readonly atomic: boolean;
  readonly keys: readonly string[];
  readonly items?: FieldType;
}

export interface MapType {
  readonly atomic: boolean;
  /** Fields with a name in the schema. */
  readonly fields: ReadonlyMap<string, FieldType>;
  /** Whether there may be other fields. */
  readonly open: boolean;
  readonly others?: FieldType;
}

export type Shape = (typeof shapes)[number];

/** Of what the schema says nothing of: maps are owned field by field, lists as one value. */
const deducedType: FieldType = {
  scalar: 'untyped',
  list: { atomic: true, keys: [] },
  map: { atomic: false, fields: new Map(), open: true },
};

const compiled = new WeakMap<StructuralSchema, FieldType>();

/** The type of the objects of a schema. Computed once for each schema object. */
export function typeOf(schema: StructuralSchema): FieldType {
  const type = compiled.get(schema) ?? compile(schema, false);
  compiled.set(schema, type);
  return type;
}

/** x-kubernetes-preserve-unknown-fields holds for all that is below it. */
function compile(schema: StructuralSchema, preservedAbove: boolean): FieldType {
  const preserved = preservedAbove || schema['x-kubernetes-preserve-unknown-fields'] === true;
  const list = compileList(schema, preserved);
  const map = compileMap(schema, preserved);
  const rest = schema.default === undefined ? {} : { default: schema.default };
  if (schema.type === 'object') return { map, ...rest };
  if (schema.type === 'array') return { list, ...rest };
  if (schema.type === 'boolean') return { scalar: 'boolean', ...rest };
  if (schema.type === undefined) return { scalar: 'untyped', list, map, ...rest };
  if (schema.type !== 'string') return { scalar: 'number', ...rest };
  // Times and the like have forms of their own; Kubernetes takes them for anything.
  return { scalar: [undefined, 'byte'].includes(schema.format) ? 'string' : 'untyped', ...rest };
}

function compileMap(schema: StructuralSchema, preserved: boolean): MapType {
  const properties = Object.entries(schema.properties ?? {});
  const additional = schema.additionalProperties ?? (preserved || properties.length === 0);
  return {
    atomic: schema['x-kubernetes-map-type'] === 'atomic',
    fields: new Map(properties.map(([name, property]) => [name, compile(property, preserved)])),
    open: additional !== false,
    ...(typeof additional === 'object' ? { others: compile(additional, preserved) } : {}),
  };
}

function compileList(schema: StructuralSchema, preserved: boolean): ListType {
  const kind = schema['x-kubernetes-list-type'] ?? 'atomic';
  return {
    atomic: kind === 'atomic',
    keys: (kind === 'map' ? schema['x-kubernetes-list-map-keys'] : undefined) ?? [],
    ...(schema.items === undefined ? {} : { items: compile(schema.items, preserved) }),
  };
}

/** The type of a field of a map. Fields that should not be there are taken for free ones. */
export const fieldType = (map: MapType | undefined, name: string): FieldType =>
  map?.fields.get(name) ?? map?.others ?? deducedType;

export const itemType = (list: ListType | undefined): FieldType => list?.items ?? deducedType;

const shapes = ['map', 'scalar', 'list'] as const;

/** The shape that a value has; of what is not allowed and of null, the first of the type. */
export function shapeOf(type: FieldType, value: Json): Shape {
  const own = isJsonArray(value)
    ? 'list'
    : isJsonObject(value)
      ? 'map'
      : value === null
        ? undefined
        : 'scalar';
  const allowed = shapes.filter((shape) => type[shape] !== undefined);
  return allowed.find((shape) => shape === own) ?? allowed[0] ?? 'scalar';
}
