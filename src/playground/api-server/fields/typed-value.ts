import { isJsonObject, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import {
  fieldElement,
  FieldSetBuilder,
  keyElement,
  valueElement,
  type FieldPath,
  type FieldSet,
  type PathElement,
} from './field-set.ts';
import { fieldType, shapeOf, type FieldType, type ListType, type Shape } from './field-type.ts';
import { fieldOf, isJsonArray, jsonEqual, objectOf } from './json.ts';

/**
 * The step to an item of a list that is owned item by item. Keys that the item leaves out count by their defaults, as
 * the protocol of a port does, or not at all.
 */
export function itemElement(list: ListType, item: Json): PathElement {
  if (list.keys.length === 0) return valueElement(item);
  return keyElement(objectOf(list.keys.map((key) => [key, fieldOf(item, key) ?? keyDefault(list, key)])));
}

const keyDefault = (list: ListType, key: string): Json | undefined =>
  list.items.map?.fields.get(key)?.default;

/** The fields that a value has: what its owner owns. */
export function fieldSetOf(type: FieldType, value: Json): FieldSet {
  const builder = new FieldSetBuilder();
  collectFields(type, value, [], builder);
  return builder.build();
}

function collectFields(type: FieldType, value: Json, path: FieldPath, into: FieldSetBuilder): void {
  const { list, map } = type;
  const shape = shapeOf(type, value);
  if (shape === 'map' && map?.atomic === false) {
    if (!isJsonObject(value)) return;
    for (const [name, child] of Object.entries(value)) {
      const childPath = [...path, fieldElement(name)];
      collectFields(fieldType(map, name), child, childPath, into);
      // A field of the schema is owned through what is in it; one with a free name, or with nothing in it, by itself.
      if (!map.fields.has(name) || child === null || isEmptyObject(child)) into.insert(childPath);
    }
  } else if (shape === 'list' && list?.atomic === false) {
    for (const [element, items] of itemsByElement(list, value)) {
      const childPath = [...path, element];
      if (items.length === 1) collectFields(list.items, items[0] ?? null, childPath, into);
      into.insert(childPath);
    }
  } else {
    into.insert(path);
  }
}

/** Items that cannot be told apart are kept together; only the API of old allows them. */
function itemsByElement(list: ListType, value: Json | undefined): Map<PathElement, readonly Json[]> {
  return Map.groupBy(isJsonArray(value) ? value : [], (item) => itemElement(list, item));
}

/** What is different between two values. No field is in two of the sets. */
export interface Comparison {
  readonly removed: FieldSet;
  readonly modified: FieldSet;
  readonly added: FieldSet;
}

export function compare(type: FieldType, before: Json, after: Json): Comparison {
  const into = {
    removed: new FieldSetBuilder(),
    modified: new FieldSetBuilder(),
    added: new FieldSetBuilder(),
  };
  compareValues(type, before, after, [], into);
  return { removed: into.removed.build(), modified: into.modified.build(), added: into.added.build() };
}

interface ComparisonBuilder {
  readonly removed: FieldSetBuilder;
  readonly modified: FieldSetBuilder;
  readonly added: FieldSetBuilder;
}

type Maybe = Json | undefined;

function compareValues(
  type: FieldType,
  before: Maybe,
  after: Maybe,
  path: FieldPath,
  into: ComparisonBuilder,
): void {
  const shapes = new Set(
    [before, after].filter((value) => value !== undefined).map((value) => shapeOf(type, value)),
  );
  let isLeaf = false;
  for (const shape of shapes) {
    // Of two empty values, null and {} are told apart.
    const areEmpty = isEmpty(shape, before) && isEmpty(shape, after);
    if (shape === 'map' && type.map?.atomic === false && !areEmpty) {
      for (const name of keysOf(before, after)) {
        const child = [...path, fieldElement(name)];
        compareValues(fieldType(type.map, name), fieldOf(before, name), fieldOf(after, name), child, into);
      }
    } else if (shape === 'list' && type.list?.atomic === false && !areEmpty) {
      compareItems(type.list, before, after, path, into);
    } else {
      isLeaf = true;
    }
  }
  if (before === undefined) into.added.insert(path);
  else if (after === undefined) into.removed.insert(path);
  else if (isLeaf && !jsonEqual(before, after)) into.modified.insert(path);
}

function compareItems(
  list: ListType,
  before: Maybe,
  after: Maybe,
  path: FieldPath,
  into: ComparisonBuilder,
): void {
  const befores = itemsByElement(list, before);
  const afters = itemsByElement(list, after);
  for (const element of new Set([...befores.keys(), ...afters.keys()])) {
    const child = [...path, element];
    const [old = [], fresh = []] = [befores.get(element), afters.get(element)];
    // Several items of one key are compared as one value.
    if (old.length > 1 && fresh.length > 1) {
      if (!jsonEqual(old, fresh)) into.modified.insert(child);
      continue;
    }
    const [single, next] = [old.length > 1 ? undefined : old[0], fresh.length > 1 ? undefined : fresh[0]];
    if (single !== undefined || next !== undefined) compareValues(list.items, single, next, child, into);
    if (old.length > 1) into.removed.insert(child);
    if (fresh.length > 1) into.added.insert(child);
  }
}

/** The value with what another one has put over it. Nothing is taken away. Undefined if there is nothing. */
export function merge(type: FieldType, value: Maybe, over: Maybe): Maybe {
  const shape = shapeOf(type, over === undefined ? value : over);
  if (!isEmpty(shape, value) || !isEmpty(shape, over)) {
    const { map, list } = type;
    if (shape === 'map' && map?.atomic === false) {
      return objectOf(
        keysOf(value, over).map((name) => [
          name,
          merge(fieldType(map, name), fieldOf(value, name), fieldOf(over, name)),
        ]),
      );
    }
    if (shape === 'list' && list?.atomic === false) return mergeItems(list, value, over);
  }
  return over === undefined ? value : over;
}

/** Items of both are in the order of `over`; those of `value` alone keep their places among them as well as can be. */
function mergeItems(list: ListType, value: Maybe, over: Maybe): Json {
  const left = itemsOf(list, value);
  const right = itemsOf(list, over);
  const shared = right.filter(({ element }) => left.some((item) => item.element === element));
  const merged = new Set<PathElement>();
  const out: Maybe[] = [];
  const take = (element: PathElement): void => {
    merged.add(element);
    const [same, ...others] = left.filter((item) => item.element === element);
    const ours = others.length > 0 ? null : same?.item;
    out.push(merge(list.items, ours, right.find((item) => item.element === element)?.item));
    if (shared[0]?.element === element) shared.shift();
  };
  const isInRight = (element: PathElement): boolean => right.some((item) => item.element === element);
  for (let l = 0, r = 0; l < left.length || r < right.length;) {
    const [ours, theirs] = [left[l], right[r]];
    if (ours !== undefined && ours.element === theirs?.element) {
      take(ours.element);
      l++;
      r++;
      continue;
    }
    if (ours !== undefined && !isInRight(ours.element)) {
      out.push(ours.item);
      l++;
      continue;
    }
    if (
      ours !== undefined &&
      theirs !== undefined &&
      shared[0] !== undefined &&
      shared[0].element !== ours.element
    ) {
      // Of both, but it comes later.
      l++;
      continue;
    }
    if (ours !== undefined && merged.has(ours.element)) l++;
    if (theirs !== undefined) {
      take(theirs.element);
      r++;
    }
  }
  return out.filter((item) => item !== undefined);
}

function itemsOf(list: ListType, value: Maybe): { readonly element: PathElement; readonly item: Json }[] {
  return (isJsonArray(value) ? value : []).map((item) => ({ element: itemElement(list, item), item }));
}

/** The value without some fields and items. What has no fields left is null, as in Kubernetes. */
export function removeFields(type: FieldType, value: Json, fields: FieldSet): Json {
  const { map, list } = type;
  const shape = shapeOf(type, value);
  const kept = (element: PathElement, childType: FieldType, child: Json): Json | undefined => {
    const childFields = fields.children.get(element);
    if (childFields === undefined) return child;
    return childFields.member ? undefined : removeFields(childType, child, childFields);
  };
  if (shape === 'map' && map !== undefined) {
    if (map.atomic || !isJsonObject(value)) return null;
    const left = objectOf(
      Object.entries(value).map(([name, child]) => [
        name,
        kept(fieldElement(name), fieldType(map, name), child),
      ]),
    );
    return isEmptyObject(left) ? null : left;
  }
  if (shape === 'list' && list !== undefined) {
    if (list.atomic || !isJsonArray(value)) return null;
    const left = value
      .map((item) => kept(itemElement(list, item), list.items, item))
      .filter((item) => item !== undefined);
    return left.length === 0 ? null : left;
  }
  return value;
}

/** The set with the fields of the schema that have members in them as members too. */
export function withNamedFields(type: FieldType | undefined, set: FieldSet): FieldSet {
  const children = new Map<PathElement, FieldSet>();
  for (const [element, child] of set.children) {
    const name = element.startsWith('f:') ? element.slice(2) : undefined;
    const isNamed = name !== undefined && type?.map?.fields.has(name) === true;
    const inner = withNamedFields(childType(type, element), child);
    children.set(element, { member: child.member || isNamed, children: inner.children });
  }
  return { member: set.member, children };
}

function childType(type: FieldType | undefined, element: PathElement): FieldType | undefined {
  if (element.startsWith('f:')) return type?.map && fieldType(type.map, element.slice(2));
  return element.startsWith('k:') ? type?.list?.items : undefined;
}

/**
 * What an object of a built-in kind has before anyone wrote to it: its structs, which are there even when they are
 * empty (their schema says `default: {}`), and null for the lists that must be there.
 */
export function structsOf(schema: StructuralSchema): JsonObject {
  return objectOf(
    Object.entries(schema.properties ?? {}).map(([name, property]) => {
      if (property.default !== undefined && isEmptyObject(property.default))
        return [name, structsOf(property)];
      return [name, property.type === 'array' && schema.required?.includes(name) === true ? null : undefined];
    }),
  );
}

/** Whether a value has no fields or items in it; what is of another shape has none. */
function isEmpty(shape: Shape, value: Maybe): boolean {
  if (shape === 'map') return !isJsonObject(value) || Object.keys(value).length === 0;
  return !isJsonArray(value) || value.length === 0;
}

const isEmptyObject = (value: Json): boolean => isJsonObject(value) && isEmpty('map', value);

const keysOf = (...values: readonly Maybe[]): string[] => [
  ...new Set(values.flatMap((value) => (isJsonObject(value) ? Object.keys(value) : []))),
];
