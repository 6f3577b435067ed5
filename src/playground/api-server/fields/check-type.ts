import { isJsonObject, type Json } from '../kind.ts';
import { fieldElement, formatPath, type PathElement } from './field-set.ts';
import { fieldType, itemType, shapeOf, type FieldType, type ListType, type MapType } from './field-type.ts';
import { goPlain, goSyntax, goType } from './go-format.ts';
import { isJsonArray } from './json.ts';
import { itemElement, keyOf } from './typed-value.ts';

/**
 * Whether an applied configuration can be of a type, as structured-merge-diff checks it: not the whole of validation,
 * only what fields and items are. Returns what is wrong, worded as Kubernetes words it, or undefined.
 */
export function checkType(type: FieldType, value: Json): string | undefined {
  const problems = [...check(type, value, '')];
  const [first] = problems;
  return problems.length > 1 ? ['errors:', ...problems.map((problem) => `  ${problem}`)].join('\n') : first;
}

function* check(type: FieldType, value: Json, path: string): Generator<string> {
  // Null is allowed everywhere but in lists that are owned item by item.
  if (value === null) return;
  const shape = shapeOf(type, value);
  if (shape === 'map' && type.map !== undefined) {
    if (isJsonObject(value)) yield* checkMap(type.map, value, path);
    else yield at(path, `expected map, got &{${goPlain(value)}}`);
  } else if (shape === 'list' && type.list !== undefined) {
    if (isJsonArray(value)) yield* checkList(type.list, value, path);
    else yield at(path, `expected list, got &{${goPlain(value)}}`);
  } else {
    const problem = checkScalar(type.scalar ?? 'untyped', value);
    if (problem !== undefined) yield at(path, problem);
  }
}

function checkScalar(scalar: NonNullable<FieldType['scalar']>, value: Json): string | undefined {
  if (scalar === 'untyped')
    return typeof value === 'object' ? `expected any scalar, got &{${goPlain(value)}}` : undefined;
  if (scalar === (typeof value === 'number' ? 'numeric' : typeof value)) return undefined;
  if (scalar === 'numeric') return `expected numeric (int or float), got ${goType(value)}`;
  return scalar === 'string'
    ? `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`
    : `expected boolean, got &{${goPlain(value)}}`;
}

function* checkMap(map: MapType, value: { readonly [key: string]: Json }, path: string): Generator<string> {
  for (const [name, child] of Object.entries(value)) {
    const childPath = path + formatPath([fieldElement(name)]);
    if (!map.fields.has(name) && !map.open) {
      yield at(childPath, 'field not declared in schema');
      return;
    }
    yield* check(fieldType(map, name), child, childPath);
  }
}

function* checkList(list: ListType, value: readonly Json[], path: string): Generator<string> {
  const seen = new Set<PathElement>();
  for (const [index, item] of value.entries()) {
    const problem = list.atomic ? undefined : checkItem(list, item);
    if (problem !== undefined) {
      yield at(path, `element ${index}: ${problem}`);
      return;
    }
    const element = list.atomic ? (`i:${index}` as const) : itemElement(list, item);
    if (seen.has(element)) yield at(path, `duplicate entries for key ${formatPath([element])}`);
    seen.add(element);
    yield* check(itemType(list), item, path + formatPath([element]));
  }
}

function checkItem(list: ListType, item: Json): string | undefined {
  if (list.keys.length > 0) {
    if (item === null) return 'associative list with keys may not have a null element';
    if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements';
    const isKeyed = list.keys.some((key) => keyOf(list, item, key) !== undefined);
    const keys = `[${list.keys.map((key) => JSON.stringify(key)).join(' ')}]`;
    if (isKeyed) return undefined;
    return `associative list with keys has an element that omits all key fields ${keys} (and doesn't have default values for any key fields)`;
  }
  if (item === null) return "associative list without keys has an element that's an explicit null";
  if (isJsonObject(item)) return "associative list without keys has an element that's a map type";
  return isJsonArray(item) ? 'not supported: associative list with lists as elements' : undefined;
}

const at = (path: string, problem: string): string => (path === '' ? problem : `${path}: ${problem}`);
