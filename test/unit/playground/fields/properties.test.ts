import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  decodeSet,
  encodeSet,
  withoutTrees,
  type FieldSet,
} from '../../../../src/playground/api-server/fields/field-set.ts';
import { fieldOf, withFields } from '../../../../src/playground/api-server/fields/json.ts';
import { compare, fieldSetOf } from '../../../../src/playground/api-server/fields/typed-value.ts';
import type { JsonObject } from '../../../../src/playground/api-server/kind.ts';
import { object as objectOf } from '../../../../src/playground/api-server/kinds/read.ts';
import { apply, entriesOf, gadget, gadgetOf, specOf, tryApply, update } from './gadget.ts';

const word = fc.constantFrom('a', 'b', 'c');
const mapOf = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc.dictionary(word, value, { minKeys: 1, maxKeys: 3, noNullPrototype: true });
const free = fc.oneof(word, fc.integer(), fc.array(word), mapOf(fc.oneof(word, mapOf(word))));
const spec = fc.record(
  {
    title: word,
    nested: fc.record({ x: word, y: word }, { requiredKeys: ['x'], noNullPrototype: true }),
    labels: mapOf(word),
    pair: fc.record({ a: word, b: word }, { requiredKeys: [], noNullPrototype: true }),
    args: fc.array(word, { maxLength: 3 }),
    tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
    ports: fc.uniqueArray(
      fc.record(
        { port: fc.integer({ min: 1, max: 3 }), protocol: fc.constantFrom('TCP', 'UDP'), name: word },
        { requiredKeys: ['port'], noNullPrototype: true },
      ),
      { minLength: 1, selector: ({ port, protocol = 'TCP' }) => `${port}/${protocol}` },
    ),
    free: mapOf(free),
  },
  { requiredKeys: [], noNullPrototype: true },
) as fc.Arbitrary<JsonObject>; // Records of strings, lists and the like are JSON.

const manager = fc.constantFrom('one', 'two', 'three');
const step = fc.record({ manager, spec, isApply: fc.boolean() });

/** An object that several managers have written to. */
const live = fc.array(step, { minLength: 1, maxLength: 5 }).map((steps) => {
  let object: JsonObject | undefined;
  for (const { manager: by, spec: wanted, isApply } of steps) {
    object = isApply
      ? apply(object, wanted, { manager: by, force: true })
      : update(object, { ...(object ?? gadgetOf()), spec: wanted }, { manager: by });
  }
  return object ?? gadgetOf();
});

test('a forced apply always wins: the object has all of it, and a second apply changes nothing', () => {
  fc.assert(
    fc.property(live, spec, (object, wanted) => {
      const forced = apply(object, wanted, { manager: 'four', force: true });
      const type = gadget.schema;
      const wins = compare(type, gadgetOf(wanted), withFields(forced, { metadata: { name: 'it' } }));
      const applied = fieldSetOf(type, gadgetOf(wanted));
      assert.ok(applied.isDisjointFrom(wins.removed.union(wins.modified)));
      const again = apply(forced, wanted, { manager: 'four', time: '2026-02-01T00:00:00Z' });
      assert.deepEqual(again, forced);
    }),
  );
});

test('an apply without force is the forced one, or a conflict that leaves all as it was', () => {
  fc.assert(
    fc.property(live, spec, (object, wanted) => {
      const before = structuredClone(object);
      const result = tryApply(object, wanted, { manager: 'four' });
      const forced = apply(object, wanted, { manager: 'four', force: true });
      if ('object' in result) assert.deepEqual(result.object, forced);
      else assert.ok('conflict' in result && result.conflict.causes.length > 0);
      assert.deepEqual(object, before);
    }),
  );
});

test('what nobody applies any more is gone, and what another applied is left', () => {
  fc.assert(
    fc.property(spec, spec, (ones, twos) => {
      const both = apply(apply(undefined, ones), twos, { manager: 'two', force: true });
      const left = apply(both, undefined);
      assert.deepEqual(specOf(left), specOf(apply(undefined, twos)));
      assert.deepEqual(apply(left, undefined, { manager: 'two' }), gadgetOf());
    }),
  );
});

test('every field that an update changes belongs to the one who changed it alone', () => {
  fc.assert(
    fc.property(live, spec, (object, wanted) => {
      const after = update(object, { ...object, spec: wanted }, { manager: 'four' });
      const { modified, added } = compare(gadget.schema, { spec: specOf(object) }, { spec: wanted });
      const changed = modified.union(added);
      for (const entry of entriesOf(after)) {
        const fields = decodeSet(objectOf(entry, 'fieldsV1'));
        if (fieldOf(entry, 'manager') === 'four') assert.deepEqual(encodeSet(fields), encodeSet(changed));
        else assert.ok(fields.isDisjointFrom(changed));
      }
    }),
  );
});

const set: fc.Arbitrary<FieldSet> = spec.map((value) => fieldSetOf(gadget.schema, { spec: value }));

test('sets of fields are written and read back, and lose what is below others', () => {
  fc.assert(
    fc.property(set, set, (a, b) => {
      assert.deepEqual(decodeSet(encodeSet(a)), a);
      assert.ok(withoutTrees(a, b).isSubsetOf(a.difference(b)));
    }),
  );
});
