import { isJsonObject, type Json } from '../kind.ts';
import { fieldElement, formatPath, type PathElement } from './field-set.ts';
import { fieldType, itemType, shapeOf, type FieldType, type ListType, type MapType } from './field-type.ts';
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
  const found = isJsonArray(value) ? 'list' : isJsonObject(value) ? 'map' : typeof value;
  const wanted = shape === 'scalar' ? type.scalar : shape;
  if (wanted === 'untyped' ? typeof value === 'object' : wanted !== found) {
    yield at(path, `expected ${wanted === 'untyped' ? 'any scalar' : wanted}, got ${JSON.stringify(value)}`);
  } else if (type.map && isJsonObject(value)) yield* checkMap(type.map, value, path);
  else if (type.list && isJsonArray(value)) yield* checkList(type.list, value, path);
}

function* checkMap(map: MapType, value: { readonly [key: string]: Json }, path: string): Generator<string> {
  for (const [name, child] of Object.entries(value)) {
    const childPath = path + formatPath(fieldElement(name));
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
    if (seen.has(element)) yield at(path, `duplicate entries for key ${formatPath(element)}`);
    seen.add(element);
    yield* check(itemType(list), item, path + formatPath(element));
  }
}

/** What keeps an item from being told from the others, by its keys or by its value. */
function checkItem(list: ListType, item: Json): string | undefined {
  if (list.keys.length === 0) {
    return typeof item === 'object'
      ? 'associative list without keys has an element that is no scalar'
      : undefined;
  }
  if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements';
  if (list.keys.some((key) => keyOf(list, item, key) !== undefined)) return undefined;
  return `associative list with keys has an element that omits all key fields ${list.keys.join(', ')}`;
}

const at = (path: string, problem: string): string => (path === '' ? problem : `${path}: ${problem}`);
