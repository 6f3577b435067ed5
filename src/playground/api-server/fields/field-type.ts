import type { Json, StructuralSchema } from '../kind.ts';
import { isJsonObject } from '../kind.ts';
import { isJsonArray } from './json.ts';

/**
 * What a value may be, as far as ownership goes. A type may be several of the three, such as an int-or-string; a value
 * then says which.
 */
export interface FieldType {
  readonly scalar?: 'numeric' | 'string' | 'boolean' | 'untyped';
  readonly list?: ListType;
  readonly map?: MapType;
  /** Of a key in a list of maps: it stands in for the key where an item has none. */
  readonly default?: Json;
}

export interface ListType {
  /** Owned as one value; else item by item, by `keys`, or by value where there are none. */
  readonly atomic: boolean;
  readonly keys: readonly string[];
  readonly items: FieldType;
}

export interface MapType {
  readonly atomic: boolean;
  /** Fields with a name in the schema. */
  readonly fields: ReadonlyMap<string, FieldType>;
  /** All other fields; undefined where the schema has no others. */
  readonly others?: FieldType;
}

export type Shape = 'map' | 'scalar' | 'list';

/** Below a list that the schema says nothing of, all is one value. */
const untyped: FieldType = {
  scalar: 'untyped',
  list: {
    atomic: true,
    keys: [],
    get items() {
      return untyped;
    },
  },
  map: {
    atomic: true,
    fields: new Map(),
    get others() {
      return untyped;
    },
  },
};

/** Of fields that the schema says nothing of: maps field by field, lists as one value. */
export const deducedType: FieldType = {
  scalar: 'untyped',
  list: { atomic: true, keys: [], items: untyped },
  map: {
    atomic: false,
    fields: new Map(),
    get others() {
      return deducedType;
    },
  },
};

const compiled = new WeakMap<StructuralSchema, FieldType>();

/** The type of the objects of a schema. Computed once for each schema object. */
export function typeOf(schema: StructuralSchema): FieldType {
  let type = compiled.get(schema);
  if (type === undefined) {
    type = compile(schema, false);
    compiled.set(schema, type);
  }
  return type;
}

/** x-kubernetes-preserve-unknown-fields holds for all that is below it. */
function compile(schema: StructuralSchema, preservedAbove: boolean): FieldType {
  const preserved = preservedAbove || schema['x-kubernetes-preserve-unknown-fields'] === true;
  const rest = schema.default === undefined ? {} : { default: schema.default };
  switch (schema.type) {
    case 'object':
      return { map: compileMap(schema, preserved), ...rest };
    case 'array':
      return { list: compileList(schema, preserved), ...rest };
    case 'integer':
    case 'number':
      return { scalar: 'numeric', ...rest };
    case 'boolean':
      return { scalar: 'boolean', ...rest };
    case 'string':
      // Times and the like have forms of their own; Kubernetes takes them for anything.
      return { scalar: [undefined, 'byte'].includes(schema.format) ? 'string' : 'untyped', ...rest };
    default:
      return {
        scalar: 'untyped',
        list: compileList(schema, preserved),
        map: compileMap(schema, preserved),
        ...rest,
      };
  }
}

function compileMap(schema: StructuralSchema, preserved: boolean): MapType {
  const properties = Object.entries(schema.properties ?? {});
  const map = {
    atomic: schema['x-kubernetes-map-type'] === 'atomic',
    fields: new Map(properties.map(([name, property]) => [name, compile(property, preserved)])),
  };
  const additional = schema.additionalProperties;
  if (typeof additional === 'object') return { ...map, others: compile(additional, preserved) };
  const open = additional ?? (preserved || properties.length === 0);
  return open ? { ...map, others: deducedType } : map;
}

function compileList(schema: StructuralSchema, preserved: boolean): ListType {
  return {
    atomic: (schema['x-kubernetes-list-type'] ?? 'atomic') === 'atomic',
    keys: schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : [],
    items: schema.items === undefined ? untyped : compile(schema.items, preserved),
  };
}

/** The type of a field. Fields that should not be there are taken for free ones. */
export function fieldType(map: MapType, name: string): FieldType {
  return map.fields.get(name) ?? map.others ?? deducedType;
}

/** Which of its shapes a type has for a value: that of the value, or of what is not allowed or null, the type's first. */
export function shapeOf(type: FieldType, value: Json | undefined): Shape {
  if (isJsonArray(value)) {
    if (type.list !== undefined) return 'list';
  } else if (isJsonObject(value)) {
    if (type.map !== undefined) return 'map';
  } else if (value !== undefined && value !== null && type.scalar !== undefined) {
    return 'scalar';
  }
  if (type.map !== undefined) return 'map';
  return type.scalar !== undefined ? 'scalar' : 'list';
}
