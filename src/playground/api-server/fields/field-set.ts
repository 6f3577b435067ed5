import { isJsonObject, type Json, type JsonObject } from '../kind.ts';
import { formatValue, goJson, parseJson } from './go-format.ts';

/**
 * One step from an object to its fields, as FieldsV1 writes it: `f:` a field by name, `k:` an item of a list by its
 * keys, `v:` an item of a set, `i:` an item by index. Two steps are the same exactly if their texts are.
 */
export type PathElement = `${'f' | 'k' | 'v' | 'i'}:${string}`;
export type FieldPath = readonly PathElement[];

/**
 * Some fields of one object, as a tree. A field can be a member while the fields in it are not, and the other way
 * round. A node has a member in it somewhere, the root of an empty set excepted; the root itself is never a member.
 */
export interface FieldSet {
  readonly member: boolean;
  readonly children: ReadonlyMap<PathElement, FieldSet>;
}

export const emptySet: FieldSet = { member: false, children: new Map() };

export const fieldElement = (name: string): PathElement => `f:${name}`;
export const fieldName = (element: PathElement): string | undefined =>
  element.startsWith('f:') ? element.slice(2) : undefined;
export const keyElement = (keys: JsonObject): PathElement => `k:${goJson(keys)}`;
export const valueElement = (value: Json): PathElement => `v:${goJson(value)}`;

/** Collects paths into a set. */
export class FieldSetBuilder {
  readonly #root = { member: false, children: new Map<PathElement, FieldSet>() };

  insert(path: FieldPath): void {
    let node: Growing = this.#root;
    for (const element of path) {
      // Every node under the root was made here, so it may grow.
      let next = node.children.get(element) as Growing | undefined;
      if (next === undefined) {
        next = { member: false, children: new Map() };
        node.children.set(element, next);
      }
      node = next;
    }
    if (path.length > 0) node.member = true;
  }

  build(): FieldSet {
    return this.#root;
  }
}

interface Growing {
  member: boolean;
  readonly children: Map<PathElement, FieldSet>;
}

export function setOf(...paths: FieldPath[]): FieldSet {
  const builder = new FieldSetBuilder();
  for (const path of paths) builder.insert(path);
  return builder.build();
}

export const isEmpty = (set: FieldSet): boolean => !set.member && set.children.size === 0;

/** What is in either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map(a.children);
  for (const [element, theirs] of b.children) {
    const ours = children.get(element);
    children.set(element, ours === undefined ? theirs : union(ours, theirs));
  }
  return { member: a.member || b.member, children };
}

/** What is in both. */
export const intersection = (a: FieldSet, b: FieldSet): FieldSet => difference(a, difference(a, b));

/** What is in `a` and not in `b`. A field in `b` takes nothing from the fields below it: see withoutTrees. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return {
    member: a.member && !b.member,
    children: childrenOf(a, (element, ours) => {
      const theirs = b.children.get(element);
      return theirs === undefined ? ours : difference(ours, theirs);
    }),
  };
}

/** What is in `a` and neither in `b` nor below a field of `b`. */
export function withoutTrees(a: FieldSet, b: FieldSet): FieldSet {
  return {
    member: a.member && !b.member,
    children: childrenOf(a, (element, ours) => {
      const theirs = b.children.get(element);
      if (theirs === undefined) return ours;
      return theirs.member ? emptySet : withoutTrees(ours, theirs);
    }),
  };
}

function childrenOf(
  set: FieldSet,
  map: (element: PathElement, child: FieldSet) => FieldSet,
): Map<PathElement, FieldSet> {
  const children = new Map<PathElement, FieldSet>();
  for (const [element, child] of set.children) {
    const mapped = map(element, child);
    if (!isEmpty(mapped)) children.set(element, mapped);
  }
  return children;
}

/** All members, in Kubernetes' order: those of one level before those of the levels below. */
export function pathsOf(set: FieldSet, prefix: FieldPath = []): FieldPath[] {
  const children = sortedChildren(set);
  return [
    ...children.filter(([, child]) => child.member).map(([element]) => [...prefix, element]),
    ...children.flatMap(([element, child]) => pathsOf(child, [...prefix, element])),
  ];
}

/** A path as messages show it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function formatPath(path: FieldPath): string {
  return path.map(formatElement).join('');
}

function formatElement(element: PathElement): string {
  const content = element.slice(2);
  if (element.startsWith('f:')) return `.${content}`;
  if (element.startsWith('i:')) return `[${content}]`;
  const value = parseJson(content) ?? null;
  if (element.startsWith('v:')) return `[=${formatValue(value)}]`;
  const keys = isJsonObject(value) ? Object.entries(value) : [];
  return `[${keys.map(([name, key]) => `${name}=${formatValue(key)}`).join(',')}]`;
}

/** FieldsV1: a member is an empty object, or has a `.` where it has fields of its own. */
export function encodeSet(set: FieldSet): JsonObject {
  const children = sortedChildren(set).map(([element, child]): [string, Json] => [element, encodeSet(child)]);
  return Object.fromEntries(set.member && children.length > 0 ? [['.', {}], ...children] : children);
}

/** The inverse of encodeSet. Undefined for what is not FieldsV1; kinds of steps that are not known are left out. */
export function decodeSet(fields: Json): FieldSet | undefined {
  const set = decodeNode(fields);
  return set && { member: false, children: set.children };
}

function decodeNode(fields: Json): FieldSet | undefined {
  if (!isJsonObject(fields)) return undefined;
  const children = new Map<PathElement, FieldSet>();
  for (const [key, value] of Object.entries(fields)) {
    if (key === '.') continue;
    if (key[1] !== ':') return undefined;
    if (!/^[fkvi]/.test(key)) continue;
    const element = parseElement(key);
    const child = decodeNode(value);
    if (element === undefined || child === undefined) return undefined;
    if (!isEmpty(child)) children.set(element, child);
  }
  return { member: Object.hasOwn(fields, '.') || children.size === 0, children };
}

/** In the one spelling of its value, so that equal steps are equal texts. */
function parseElement(text: string): PathElement | undefined {
  const content = text.slice(2);
  if (text.startsWith('f:')) return fieldElement(content);
  const value = parseJson(content);
  if (value === undefined) return undefined;
  if (text.startsWith('v:')) return valueElement(value);
  if (text.startsWith('i:')) return Number.isInteger(value) ? `i:${content}` : undefined;
  return isJsonObject(value) ? keyElement(value) : undefined;
}

function sortedChildren(set: FieldSet): [PathElement, FieldSet][] {
  return [...set.children].toSorted(([a], [b]) => compareElements(a, b));
}

/** Names, then keys, values and indexes. Keys compare by name and value, one after the other. */
function compareElements(a: PathElement, b: PathElement): number {
  const [left, right] = [sortKey(a), sortKey(b)];
  const index = left.findIndex((value, place) => compareValues(value, right[place]) !== 0);
  return index < 0 ? left.length - right.length : compareValues(left[index], right[index]);
}

function sortKey(element: PathElement): readonly Json[] {
  const kind = 'fkvi'.indexOf(element.charAt(0));
  const value = fieldName(element) ?? parseJson(element.slice(2)) ?? null;
  return [kind, ...(isJsonObject(value) ? Object.entries(value).flat() : [value])];
}

/** Numbers, then strings, booleans, the rest; what is not there is least. */
function compareValues(a: Json | undefined, b: Json | undefined): number {
  const kinds = rank(a) - rank(b);
  if (kinds !== 0 || a === b) return kinds;
  return typeof a !== 'object' && typeof b !== 'object' && a !== undefined && b !== undefined && a < b
    ? -1
    : 1;
}

const rank = (value: Json | undefined): number =>
  ['undefined', 'number', 'string', 'boolean', 'object'].indexOf(typeof value);
