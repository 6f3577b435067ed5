import { isJsonObject, type Json, type JsonObject } from '../kind.ts';
import { formatValue, goJson, parseJson } from './json.ts';

/**
 * One step from an object to its fields, as FieldsV1 writes it: `f:` a field by name, `k:` an item of a list by its
 * keys, `v:` an item of a set, `i:` an item by index. Two steps are the same exactly if their texts are.
 */
export type PathElement = `${'f' | 'k' | 'v' | 'i'}:${string}`;

/** The steps to a field, with a character between that none of them has; empty for the object itself. */
export type FieldPath = string;

/** Some fields of one object. A field can be a member while the fields in it are not, and the other way round. */
export type FieldSet = ReadonlySet<FieldPath>;

const SEPARATOR = '\0';

export const fieldElement = (name: string): PathElement => `f:${name}`;
export const fieldName = (element: PathElement): string | undefined =>
  element.startsWith('f:') ? element.slice(2) : undefined;
export const keyElement = (keys: JsonObject): PathElement => `k:${goJson(keys)}`;
export const valueElement = (value: Json): PathElement => `v:${goJson(value)}`;

export const pathTo = (path: FieldPath, element: PathElement): FieldPath =>
  path === '' ? element : path + SEPARATOR + element;

/** The set of one field, by the names that lead to it. */
export const fieldAt = (...names: readonly string[]): FieldSet =>
  new Set([names.map(fieldElement).join(SEPARATOR)]);

// What is between separators was an element.
export const elementsOf = (path: FieldPath): readonly PathElement[] => path.split(SEPARATOR) as PathElement[];

/** The path and those that it leads through. */
export function stepsOf(path: FieldPath): readonly FieldPath[] {
  const elements = elementsOf(path);
  return elements.map((_, index) => elements.slice(0, index + 1).join(SEPARATOR));
}

/** What is in `a` and neither in `b` nor below a field of `b`. */
export function withoutTrees(a: FieldSet, b: FieldSet): FieldSet {
  return new Set([...a].filter((path) => !stepsOf(path).some((step) => b.has(step))));
}

/** All members, in Kubernetes' order: those of one level before those of the levels below. */
export function sortedPaths(set: FieldSet): readonly FieldPath[] {
  const keyed = [...set].map((path) => ({ path, elements: elementsOf(path) }));
  return keyed.toSorted((a, b) => comparePaths(a.elements, b.elements)).map(({ path }) => path);
}

function comparePaths(a: readonly PathElement[], b: readonly PathElement[]): number {
  const place = a.findIndex((element, index) => element !== b[index]);
  const [left, right] = [a[place], b[place]];
  if (left === undefined || right === undefined) return a.length - b.length;
  const isLast = (elements: readonly PathElement[]) => Number(elements.length === place + 1);
  return isLast(b) - isLast(a) || compareElements(left, right);
}

/** A path as messages show it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function formatPath(path: FieldPath): string {
  return path === '' ? '' : elementsOf(path).map(formatElement).join('');
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

interface Tree {
  [element: string]: Tree;
}

/** FieldsV1: a member is an empty object, or has a `.` where it has fields of its own. */
export function encodeSet(set: FieldSet): JsonObject {
  const root: Tree = {};
  for (const path of sortedPaths(set)) {
    let node = root;
    // Those above come first, so what is met on the way is a member and has fields below it.
    for (const element of elementsOf(path)) node = node[element] ??= {};
  }
  for (const path of set) {
    let node: Tree | undefined = root;
    for (const element of elementsOf(path)) node = node?.[element];
    if (node !== undefined && Object.keys(node).length > 0) node['.'] = {};
  }
  return root;
}

/** The inverse of encodeSet. */
export function decodeSet(fields: JsonObject): FieldSet {
  return new Set(membersOf(fields, ''));
}

function* membersOf(fields: JsonObject, path: FieldPath): Generator<FieldPath> {
  const isMember = Object.hasOwn(fields, '.') || Object.keys(fields).length === 0;
  if (isMember && path !== '') yield path;
  for (const [element, below] of Object.entries(fields)) {
    // What is no `.` was an element.
    if (element !== '.') yield* membersOf(below as JsonObject, pathTo(path, element as PathElement));
  }
}

/** Names, then keys, values and indexes. */
function compareElements(a: PathElement, b: PathElement): number {
  const rank = (element: PathElement) => 'fkvi'.indexOf(element.charAt(0));
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
