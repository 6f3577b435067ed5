import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergePatch } from '../../../../src/playground/api-server/fields/merge-patch.ts';
import type { JsonObject } from '../../../../src/playground/api-server/kind.ts';

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
