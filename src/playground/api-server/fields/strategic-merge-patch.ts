import { isJsonObject, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { fieldOf, isJsonArray, jsonEqual, objectOf, withFields } from './json.ts';

/** A patch that cannot be: status `code`, and no reason where that is 500. */
export class PatchError extends Error {
  override readonly name = 'PatchError';
  readonly code: 400 | 500;
  constructor(code: 400 | 500, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Strategic merge patch, Kubernetes' own: objects are merged, null removes a field, and lists are merged where the
 * schema has `x-kubernetes-patch-strategy: merge`, with the directives that kubectl writes.
 *
 * @throws {PatchError} where the patch has no meaning.
 */
export function strategicMergePatch(
  schema: StructuralSchema,
  target: JsonObject,
  patch: JsonObject,
): JsonObject {
  const directive = patch.$patch;
  if (directive === 'replace') return withFields(patch, { $patch: undefined });
  if (directive === 'delete') return {};
  if (directive !== undefined) throw unknownDirective(directive);
  const retained = patch.$retainKeys;
  const kept = Object.entries(target).filter(([name]) => !isJsonArray(retained) || retained.includes(name));
  const names = new Set(
    Object.keys(patch).map((key) => key.replace(/^\$(setElementOrder|deleteFromPrimitiveList)\//, '')),
  );
  names.delete('$retainKeys');
  const fields = [...names].map((name): [string, Json | undefined] => {
    const change = {
      value: fieldOf(patch, name),
      order: fieldOf(patch, `$setElementOrder/${name}`),
      removed: fieldOf(patch, `$deleteFromPrimitiveList/${name}`),
    };
    return [name, patchField(propertyOf(schema, name), fieldOf(target, name), change)];
  });
  return objectOf([...kept, ...fields]);
}

interface FieldChange {
  readonly value: Json | undefined;
  readonly order: Json | undefined;
  readonly removed: Json | undefined;
}

function patchField(
  schema: StructuralSchema,
  current: Json | undefined,
  change: FieldChange,
): Json | undefined {
  const { value, order, removed } = change;
  if (value === null) return undefined;
  let patched = current;
  if (isJsonObject(current) && isJsonObject(value)) patched = strategicMergePatch(schema, current, value);
  else if (isJsonArray(current) && isJsonArray(value) && isMerged(schema))
    patched = mergeList(schema, current, value);
  else if (value !== undefined) patched = withoutDirectives(value);
  if (isJsonArray(order) && isJsonArray(patched)) {
    patched = inOrder(schema, patched, order, isJsonArray(current) ? current : []);
  }
  return isJsonArray(removed) && isJsonArray(patched)
    ? patched.filter((item) => !removed.includes(item))
    : patched;
}

const isMerged = (schema: StructuralSchema): boolean =>
  schema['x-kubernetes-patch-strategy']?.split(',').includes('merge') === true;

function propertyOf(schema: StructuralSchema, name: string): StructuralSchema {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, name))
    return schema.properties[name] ?? {};
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
}

/** What tells an item of a list from the others. */
function identityOf(schema: StructuralSchema, item: Json): Json {
  const key = schema['x-kubernetes-patch-merge-key'];
  if (key === undefined) return item;
  const identity = fieldOf(item, key);
  if (identity !== undefined) return identity;
  throw new PatchError(500, `map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
}

function mergeList(
  schema: StructuralSchema,
  current: readonly Json[],
  patch: readonly Json[],
): readonly Json[] {
  const [plain, special] = [
    patch.filter((item) => fieldOf(item, '$patch') === undefined),
    patch.filter((item) => fieldOf(item, '$patch') !== undefined),
  ];
  let merged = [...current];
  for (const item of special) {
    const directive = fieldOf(item, '$patch');
    if (directive === 'replace') return plain;
    if (directive !== 'delete') throw unknownDirective(directive);
    merged = merged.filter((other) => !isSame(schema, other, item));
  }
  const order = merged;
  for (const item of plain) {
    const index = merged.findIndex((other) => isSame(schema, other, item));
    const same = merged[index];
    if (same === undefined) merged = [...merged, item];
    else if (isJsonObject(same) && isJsonObject(item)) {
      merged = merged.with(index, strategicMergePatch(schema.items ?? {}, same, item));
    }
  }
  return inOrder(schema, merged, plain, order);
}

const isSame = (schema: StructuralSchema, a: Json, b: Json): boolean =>
  jsonEqual(identityOf(schema, a), identityOf(schema, b));

/** Items that `order` has are in its order; the others keep their places among them as far as `before` has both. */
function inOrder(
  schema: StructuralSchema,
  items: readonly Json[],
  order: readonly Json[],
  before: readonly Json[],
): readonly Json[] {
  const placeIn = (list: readonly Json[], item: Json): number =>
    list.findIndex((other) => isSame(schema, other, item));
  const isBefore = (item: Json, next: Json): boolean =>
    placeIn(before, item) >= 0 && placeIn(before, item) < placeIn(before, next);
  const ordered = items
    .filter((item) => placeIn(order, item) >= 0)
    .toSorted((a, b) => placeIn(order, a) - placeIn(order, b));
  const others = items.filter((item) => placeIn(order, item) < 0);
  const out: Json[] = [];
  for (const item of ordered) {
    const end = others.findIndex((other) => !isBefore(other, item));
    out.push(...others.splice(0, end < 0 ? others.length : end), item);
  }
  return [...out, ...others];
}

/** What is new is taken as it is, but for nulls, which remove nothing, and what is to be deleted. */
function withoutDirectives(value: Json): Json | undefined {
  if (isJsonArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isJsonObject(value)) return value;
  if (value.$patch !== undefined) return undefined;
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return objectOf(kept.map(([name, item]) => [name, withoutDirectives(item)]));
}

const unknownDirective = (directive: Json | undefined): PatchError =>
  new PatchError(500, `unknown patch type: ${JSON.stringify(directive)}`);
