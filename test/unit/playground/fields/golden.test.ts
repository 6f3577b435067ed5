import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { applyPatch, type Conflict } from '../../../../src/playground/api-server/fields/apply-patch.ts';
import { withFields } from '../../../../src/playground/api-server/fields/json.ts';
import { mergePatch } from '../../../../src/playground/api-server/fields/merge-patch.ts';
import {
  type OwnedKind,
  keepTimes,
  trackUpdate,
} from '../../../../src/playground/api-server/fields/ownership.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../../src/playground/api-server/kind.ts';
import { builtInKinds } from '../../../../src/playground/api-server/kinds/built-in-kinds.ts';

/**
 * Random sequences of writes by several managers to one object, with the answers of a real API server (Kubernetes
 * 1.34.3) but for uid, resourceVersion, generation, creationTimestamp and namespace.
 */
interface Golden {
  /** With its schema where it is a custom one. */
  readonly kind: Omit<OwnedKind, 'schema'> & Partial<OwnedKind>;
  readonly sequences: readonly (readonly Step[])[];
}

interface Step {
  /** `update`: a create or PUT. */
  readonly op: 'apply' | 'update' | 'merge' | 'strategic';
  readonly manager: string;
  readonly subresource?: string;
  readonly force?: boolean;
  readonly time: string;
  /** What was applied, or the patch. */
  readonly body?: JsonObject;
  /** The object in the answer; absent where the server refused. */
  readonly after?: JsonObject;
  readonly code?: number;
  readonly message?: string;
  readonly causes?: Conflict['causes'];
  /** What an apply or patch by itself leaves otherwise than `after` has it: the server adds and resets fields. */
  readonly result?: readonly Edit[];
  /** What is otherwise than in `after` when the server looks who owns what. */
  readonly tracked?: readonly Edit[];
  /** `metadata.managedFields` as the request had it. */
  readonly given?: Json;
}

/** The value at a path; without one there is none. */
type Edit = readonly [path: readonly string[], value?: Json];

const folder = new URL('../../../golden/fields/', import.meta.url);

for (const file of readdirSync(folder)) {
  // Written by a recorder of this very form.
  const golden = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Golden;
  const { kind: name } = golden.kind;
  test(`the owners and values of every ${name} are those of a real API server`, () => {
    const kind = kindOf(golden);
    for (const [number, sequence] of golden.sequences.entries()) {
      let before: JsonObject | undefined;
      for (const [index, step] of sequence.entries()) {
        const where = `sequence ${number}, step ${index}: ${step.op} by ${step.manager}`;
        if (step.op === 'apply') checkApply(kind, before, step, where);
        else checkUpdate(kind, before, step, where);
        before = step.after ?? before;
      }
    }
  });
}

function kindOf({ kind }: Golden): OwnedKind {
  const { schema } = kind;
  if (schema !== undefined) return { ...kind, schema };
  const builtIn = builtInKinds.find((other) => other.kind === kind.kind && other.group === kind.group);
  assert.ok(builtIn, `${kind.kind} is a kind`);
  return builtIn;
}

function checkApply(kind: OwnedKind, live: JsonObject | undefined, step: Step, where: string): void {
  const { body: applied = {}, force = false, after } = step;
  // That it cannot be of the kind is found before this.
  if (step.code === 500) return;
  const result = applyPatch({ ...step, kind, live, applied, force });
  if ('conflict' in result) {
    assert.equal(result.conflict.message, step.message, where);
    // The server's order of managers is a random one.
    assert.deepEqual(sorted(result.conflict.causes), sorted(step.causes ?? []), where);
  } else {
    assert.ok(after, `${where} is refused`);
    assert.deepEqual(withoutManaged(result.object), edited(withoutManaged(after), step.result), where);
    checkOwners(live, after, result.object, where);
  }
}

function checkUpdate(kind: OwnedKind, before: JsonObject | undefined, step: Step, where: string): void {
  const { after = {}, body = {}, given } = step;
  // The API server of the playground refuses such a request, and the next step goes on from the real answer.
  if (given !== undefined && !isDeepStrictEqual(given, metadataOf(before ?? {}).managedFields)) return;
  if (step.op === 'merge' && before !== undefined) {
    const patched = withoutManaged(mergePatch(before, body));
    assert.deepEqual(patched, edited(withoutManaged(after), step.result), where);
  }
  const object = edited(withoutManaged(after), step.tracked);
  const metadata = isJsonObject(object.metadata) ? object.metadata : {};
  const request = withFields(object, { metadata: withFields(metadata, { managedFields: given }) });
  checkOwners(before, after, trackUpdate({ ...step, kind, before, after: request }), where);
}

/** The owners as they are stored are those of `after`. */
function checkOwners(
  before: JsonObject | undefined,
  after: JsonObject,
  owned: JsonObject,
  where: string,
): void {
  const stored = withFields(after, {
    metadata: withFields(metadataOf(after), { managedFields: metadataOf(owned).managedFields }),
  });
  const kept = before === undefined ? stored : keepTimes(before, stored);
  assert.deepEqual(metadataOf(kept).managedFields, metadataOf(after).managedFields, where);
}

function metadataOf(object: JsonObject): JsonObject {
  return isJsonObject(object.metadata) ? object.metadata : {};
}

function withoutManaged(object: JsonObject): JsonObject {
  return withFields(object, { metadata: withFields(metadataOf(object), { managedFields: undefined }) });
}

function edited(object: JsonObject, edits: readonly Edit[] = []): JsonObject {
  const copy = structuredClone(object);
  for (const [path, value] of edits) {
    let at: unknown = copy;
    for (const key of path.slice(0, -1)) at = Reflect.get(Object(at), key);
    const last = path.at(-1) ?? '';
    if (value === undefined) Reflect.deleteProperty(Object(at), last);
    else Reflect.set(Object(at), last, value);
  }
  return copy;
}

function sorted(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value, ['reason', 'message', 'field'])).toSorted();
}
