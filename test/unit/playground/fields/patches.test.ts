import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergePatch } from '../../../../src/playground/api-server/fields/merge-patch.ts';
import {
  PatchError,
  strategicMergePatch,
} from '../../../../src/playground/api-server/fields/strategic-merge-patch.ts';
import type { JsonObject } from '../../../../src/playground/api-server/kind.ts';
import { builtInKinds } from '../../../../src/playground/api-server/kinds/built-in-kinds.ts';

test('a merge patch merges objects, replaces all else, and removes what is null', () => {
  const target = { a: { b: 1, c: 2 }, list: [1, 2], gone: 1, text: 'x' };
  const patch = {
    a: { b: 3, c: null, d: { e: null, f: 1 } },
    list: [{ x: null }],
    gone: null,
    text: { y: 1 },
  };
  assert.deepEqual(mergePatch(target, patch), { a: { b: 3, d: { f: 1 } }, list: [{}], text: { y: 1 } });
});

test('the examples of RFC 7386 come out as it says', () => {
  const examples: [JsonObject, JsonObject, JsonObject][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of examples) assert.deepEqual(mergePatch(target, patch), result);
});

function strategic(name: string, target: JsonObject, patch: JsonObject): JsonObject {
  const kind = builtInKinds.find((other) => other.kind === name);
  assert.ok(kind);
  return strategicMergePatch(kind.schema, target, patch);
}

test('a strategic patch of data sets, removes and replaces entries', () => {
  const target = { data: { a: '1', b: '2' } };
  assert.deepEqual(strategic('ConfigMap', target, { data: { a: null, c: '3' } }), {
    data: { b: '2', c: '3' },
  });
  assert.deepEqual(strategic('ConfigMap', target, { data: { $patch: 'replace', c: '3' } }), {
    data: { c: '3' },
  });
  assert.deepEqual(strategic('Secret', target, { data: { $patch: 'delete' } }), { data: {} });
  assert.deepEqual(strategic('Secret', target, { data: null }), {});
});

test('lists of values are merged, and items taken out, in the order that kubectl gives', () => {
  const target = { metadata: { finalizers: ['a/a', 'a/b', 'a/c'] } };
  const finalizers = (metadata: JsonObject): unknown => strategic('ConfigMap', target, { metadata });
  assert.deepEqual(finalizers({ finalizers: ['a/d'] }), {
    metadata: { finalizers: ['a/d', 'a/a', 'a/b', 'a/c'] },
  });
  assert.deepEqual(
    finalizers({
      finalizers: ['a/d'],
      '$deleteFromPrimitiveList/finalizers': ['a/a'],
      '$setElementOrder/finalizers': ['a/c', 'a/d'],
    }),
    { metadata: { finalizers: ['a/b', 'a/c', 'a/d'] } },
  );
});

test('lists of objects are merged by their key', () => {
  const owner = (uid: string, name: string): JsonObject => ({ uid, name });
  const target = { metadata: { ownerReferences: [owner('1', 'a'), owner('2', 'b'), owner('3', 'c')] } };
  const patch = {
    metadata: {
      ownerReferences: [owner('3', 'd'), { uid: '1', $patch: 'delete' }, owner('4', 'e')],
      '$setElementOrder/ownerReferences': [{ uid: '3' }, { uid: '4' }],
    },
  };
  assert.deepEqual(strategic('Secret', target, patch), {
    metadata: { ownerReferences: [owner('2', 'b'), owner('3', 'd'), owner('4', 'e')] },
  });
  const replace = { metadata: { ownerReferences: [{ $patch: 'replace' }, owner('9', 'z')] } };
  assert.deepEqual(strategic('Secret', target, replace), {
    metadata: { ownerReferences: [owner('9', 'z')] },
  });
});

test('a union such as a strategy keeps only the fields that the patch retains', () => {
  const target = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
  const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } };
  assert.deepEqual(strategic('Deployment', target, patch), { spec: { strategy: { type: 'Recreate' } } });
});

test('a strategic patch without a meaning is refused', () => {
  const target = { metadata: { ownerReferences: [{ uid: '1' }] } };
  assert.throws(() => strategic('Secret', target, { metadata: { $patch: 'what' } }), PatchError);
  const patch = { metadata: { ownerReferences: [{ name: 'a' }] } };
  assert.throws(() => strategic('Secret', target, patch), /does not contain declared merge key: uid/);
});
