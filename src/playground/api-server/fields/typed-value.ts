import { isJsonObject, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import {
  elementsOf,
  fieldElement,
  fieldName,
  keyElement,
  pathTo,
  stepsOf,
  valueElement,
  type FieldPath,
  type FieldSet,
  type PathElement,
} from './field-set.ts';
import { schemaOf } from '../schema/structural.ts';
import { fieldOf, isJsonArray, jsonEqual, objectOf } from './json.ts';

/** What a schema says of who owns what. Of what it says nothing of, maps are owned field by field, lists as one value. */
type Shape = 'map' | 'scalar' | 'list';

/** Whether a value is owned as one: else maps are by their fields, and lists by their items. */
function isAtomic(schema: StructuralSchema, shape: Shape): boolean {
  if (shape === 'map') return schema['x-kubernetes-map-type'] === 'atomic';
  return shape === 'scalar' || (schema['x-kubernetes-list-type'] ?? 'atomic') === 'atomic';
}

/** By which the items of a list are told apart; by their value where there are none. */
function keysOf(schema: StructuralSchema): readonly string[] {
  return (schema['x-kubernetes-list-type'] === 'map' && schema['x-kubernetes-list-map-keys']) || [];
}

/** Fields that should not be there are taken for free ones. */
const fieldType = (schema: StructuralSchema, name: string): StructuralSchema => schemaOf(schema, name) ?? {};

const itemType = (schema: StructuralSchema): StructuralSchema => schema.items ?? {};

/** The shape that a value has; of what is not allowed and of null, the one of the schema. */
function shapeOf({ type }: StructuralSchema, value: Json): Shape {
  if (type !== undefined) return type === 'object' ? 'map' : type === 'array' ? 'list' : 'scalar';
  if (isJsonArray(value)) return 'list';
  return isJsonObject(value) || value === null ? 'map' : 'scalar';
}

/**
 * The step to an item of a list that is owned item by item. Keys that the item leaves out count by their defaults, as
 * the protocol of a port does, or not at all.
 */
function itemElement(list: StructuralSchema, item: Json): PathElement {
  const keys = keysOf(list);
  if (keys.length === 0) return valueElement(item);
  return keyElement(objectOf(keys.map((key) => [key, keyOf(list, item, key)])));
}

function keyOf(list: StructuralSchema, item: Json, key: string): Json | undefined {
  const value = fieldOf(item, key);
  return value === undefined ? fieldType(itemType(list), key).default : value;
}

/** The fields or items of a value. */
type Parts = ReadonlyMap<PathElement, Json>;

/** Undefined for what is owned as one value. What is of another shape has no parts. */
function partsOf(type: StructuralSchema, shape: Shape, value: Json | undefined): Parts | undefined {
  if (isAtomic(type, shape)) return undefined;
  if (shape === 'list') {
    return new Map((isJsonArray(value) ? value : []).map((item) => [itemElement(type, item), item]));
  }
  const fields = isJsonObject(value) ? Object.entries(value) : [];
  return new Map(fields.map(([name, child]) => [fieldElement(name), child]));
}

function partType(type: StructuralSchema, element: PathElement): StructuralSchema {
  const name = fieldName(element);
  return name === undefined ? itemType(type) : fieldType(type, name);
}

/** A field of the schema is owned through what is in it; one with a free name, or an item, by itself too. */
function isNamed(type: StructuralSchema, element: PathElement): boolean {
  const name = fieldName(element);
  return name !== undefined && Object.hasOwn(type.properties ?? {}, name);
}

/** The fields that a value has: what its owner owns. */
export function fieldSetOf(type: StructuralSchema, value: Json): FieldSet {
  return new Set(pathsIn(type, value, ''));
}

function* pathsIn(type: StructuralSchema, value: Json, path: FieldPath): Generator<FieldPath> {
  const parts = partsOf(type, shapeOf(type, value), value);
  if (parts === undefined && path !== '') yield path;
  for (const [element, part] of parts ?? []) {
    const place = pathTo(path, element);
    if (!isNamed(type, element) || part === null || isEmptyObject(part)) yield place;
    yield* pathsIn(partType(type, element), part, place);
  }
}

/** What is different between two values. */
export interface Comparison<Fields = FieldSet> {
  readonly removed: Fields;
  readonly modified: Fields;
  readonly added: Fields;
}

export function compare(type: StructuralSchema, before: Json, after: Json): Comparison {
  const into = { removed: new Set<FieldPath>(), modified: new Set<FieldPath>(), added: new Set<FieldPath>() };
  compareValues(type, before, after, '', into);
  return into;
}

function compareValues(
  type: StructuralSchema,
  before: Json | undefined,
  after: Json | undefined,
  path: FieldPath,
  into: Comparison<Set<FieldPath>>,
): void {
  const values = [before, after].filter((value) => value !== undefined);
  let isLeaf = false;
  for (const shape of new Set(values.map((value) => shapeOf(type, value)))) {
    const [old, fresh] = [partsOf(type, shape, before), partsOf(type, shape, after)];
    // Of two empty values, null and {} are told apart.
    if (old === undefined || fresh === undefined || old.size + fresh.size === 0) {
      isLeaf = true;
      continue;
    }
    for (const element of new Set([...old.keys(), ...fresh.keys()])) {
      const place = pathTo(path, element);
      compareValues(partType(type, element), old.get(element), fresh.get(element), place, into);
    }
  }
  if (path === '') return;
  if (values.length === 1) (before === undefined ? into.added : into.removed).add(path);
  else if (isLeaf && !jsonEqual(before, after)) into.modified.add(path);
}

/** A value with another one put over it. Nothing is taken away. */
export function merge(type: StructuralSchema, value: Json | undefined, over: Json): Json {
  const shape = shapeOf(type, over);
  const [ours, theirs] = [partsOf(type, shape, value), partsOf(type, shape, over)];
  if (ours === undefined || theirs === undefined || ours.size + theirs.size === 0) return over;
  const merged = (element: PathElement): Json => {
    const [part, theirPart] = [ours.get(element), theirs.get(element)];
    return theirPart === undefined ? (part ?? null) : merge(partType(type, element), part, theirPart);
  };
  if (shape === 'list') {
    const items = isJsonArray(value) ? value : [];
    return mergeItems(type, items, [...theirs.keys()], merged);
  }
  return objectOf([...ours.keys(), ...theirs.keys()].map((element) => [element.slice(2), merged(element)]));
}

/** The items of `right` in their order; those of `left` alone keep their places among them as well as can be. */
function mergeItems(
  list: StructuralSchema,
  left: readonly Json[],
  right: readonly PathElement[],
  merged: (element: PathElement) => Json,
): Json {
  const ours = left.map((item) => itemElement(list, item));
  const out: Json[] = [];
  let at = 0;
  /** Takes what is only in `left` up to a shared item; without one, up to the next that is shared. */
  const takeUpTo = (end: PathElement | undefined): void => {
    for (const [index, element] of ours.entries()) {
      if (index < at) continue;
      const isShared = right.includes(element);
      if (isShared && (end === undefined || element === end)) return;
      if (!isShared) out.push(...left.slice(index, index + 1));
      at = index + 1;
    }
  };
  for (const [index, element] of right.entries()) {
    const next = right.slice(index).find((other) => ours.includes(other));
    takeUpTo(next);
    out.push(merged(element));
    // Here is either this very item, or one that came before.
    if (next === undefined || next === element) at++;
  }
  const rest = left.slice(at).filter((_, index) => !right.includes(ours[at + index] ?? 'i:'));
  return [...out, ...rest];
}

/** The value without some fields and items. What has no fields left is null, as in Kubernetes. */
export function removeFields(type: StructuralSchema, value: Json, fields: FieldSet): Json {
  return remove(type, value, '', fields, new Set([...fields].flatMap(stepsOf)));
}

/** `steps`: the paths of all that is to go, and those that they lead through. */
function remove(
  type: StructuralSchema,
  value: Json,
  path: FieldPath,
  fields: FieldSet,
  steps: FieldSet,
): Json {
  const shape = shapeOf(type, value);
  if (shape === 'scalar') return value;
  const kept = (element: PathElement, part: Json): Json | undefined => {
    const place = pathTo(path, element);
    if (fields.has(place)) return undefined;
    return steps.has(place) ? remove(partType(type, element), part, place, fields, steps) : part;
  };
  if (isAtomic(type, shape)) return null;
  if (isJsonArray(value)) {
    const left = value
      .map((item) => kept(itemElement(type, item), item))
      .filter((item) => item !== undefined);
    return left.length === 0 ? null : left;
  }
  if (!isJsonObject(value)) return null;
  const left = objectOf(Object.entries(value).map(([name, part]) => [name, kept(fieldElement(name), part)]));
  return isEmptyObject(left) ? null : left;
}

/** The set with the fields of the schema that have members in them as members too. */
export function withNamedFields(type: StructuralSchema, set: FieldSet): FieldSet {
  const named = [...set].flatMap((path) => {
    let at = type;
    const elements = elementsOf(path);
    return stepsOf(path).filter((_, index) => {
      const element = elements[index] ?? 'f:';
      const isField = isNamed(at, element);
      at = partType(at, element);
      return isField;
    });
  });
  return set.union(new Set(named));
}

/**
 * What an object of a built-in kind has before anyone wrote to it: its structs, which are there even when they are
 * empty (their schema says `default: {}`), and null for the lists that must be there.
 */
export function structsOf(schema: StructuralSchema): JsonObject {
  const structs = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const isList = property.type === 'array' && schema.required?.includes(name) === true;
    const { default: given } = property;
    const zero = given === null || given === '' || given === 0 ? given : isList ? null : undefined;
    const value = isEmptyObject(given ?? null) ? structsOf(property) : zero;
    return [name, value] as const;
  });
  return objectOf(structs);
}

const isEmptyObject = (value: Json): boolean => isJsonObject(value) && Object.keys(value).length === 0;
