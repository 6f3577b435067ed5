import { isJsonObject, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { fieldElement, formatPath, type PathElement } from './field-set.ts';
import { fieldType, isAtomic, isOpen, itemType, keysOf, scalarOf, shapeOf } from './field-type.ts';
import { isJsonArray } from './json.ts';
import { itemElement, keyOf } from './typed-value.ts';

/**
 * Whether an applied configuration can be of a type, as structured-merge-diff checks it: not the whole of validation,
 * only what fields and items are. Returns what is wrong, worded as Kubernetes words it, or undefined.
 */
export function checkType(type: StructuralSchema, value: Json): string | undefined {
  const problems = [...check(type, value, '')];
  const [first] = problems;
  return problems.length > 1 ? ['errors:', ...problems.map((problem) => `  ${problem}`)].join('\n') : first;
}

/** `isFree`: below x-kubernetes-preserve-unknown-fields, which holds for all that is below it. */
function* check(type: StructuralSchema, value: Json, path: string, isFree = false): Generator<string> {
  // Null is allowed everywhere but in lists that are owned item by item.
  if (value === null) return;
  const shape = shapeOf(type, value);
  const found = isJsonArray(value) ? 'list' : isJsonObject(value) ? 'map' : typeof value;
  const wanted = shape === 'scalar' ? scalarOf(type) : shape;
  if (wanted === 'untyped' ? typeof value === 'object' : wanted !== found) {
    yield at(path, `expected ${wanted === 'untyped' ? 'any scalar' : wanted}, got ${JSON.stringify(value)}`);
    return;
  }
  const isFreeBelow = isFree || type['x-kubernetes-preserve-unknown-fields'] === true;
  if (isJsonObject(value)) yield* checkMap(type, value, path, isFreeBelow);
  else if (isJsonArray(value)) yield* checkList(type, value, path, isFreeBelow);
}

function* checkMap(
  map: StructuralSchema,
  value: JsonObject,
  path: string,
  isFree: boolean,
): Generator<string> {
  for (const [name, child] of Object.entries(value)) {
    const childPath = path + formatPath(fieldElement(name));
    if (!Object.hasOwn(map.properties ?? {}, name) && !isOpen(map) && !isFree) {
      yield at(childPath, 'field not declared in schema');
      return;
    }
    yield* check(fieldType(map, name), child, childPath, isFree);
  }
}

function* checkList(
  list: StructuralSchema,
  value: readonly Json[],
  path: string,
  isFree: boolean,
): Generator<string> {
  const seen = new Set<PathElement>();
  for (const [index, item] of value.entries()) {
    const problem = isAtomic(list, 'list') ? undefined : checkItem(list, item);
    if (problem !== undefined) {
      yield at(path, `element ${index}: ${problem}`);
      return;
    }
    const element = isAtomic(list, 'list') ? (`i:${index}` as const) : itemElement(list, item);
    if (seen.has(element)) yield at(path, `duplicate entries for key ${formatPath(element)}`);
    seen.add(element);
    yield* check(itemType(list), item, path + formatPath(element), isFree);
  }
}

/** What keeps an item from being told from the others, by its keys or by its value. */
function checkItem(list: StructuralSchema, item: Json): string | undefined {
  if (keysOf(list).length === 0) {
    return typeof item === 'object'
      ? 'associative list without keys has an element that is no scalar'
      : undefined;
  }
  if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements';
  if (keysOf(list).some((key) => keyOf(list, item, key) !== undefined)) return undefined;
  return `associative list with keys has an element that omits all key fields ${keysOf(list).join(', ')}`;
}

const at = (path: string, problem: string): string => (path === '' ? problem : `${path}: ${problem}`);
