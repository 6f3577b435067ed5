import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { applyDefaults } from '../../../src/api/defaults.ts';
import { registryDefinition } from '../../../src/api/registry.ts';
import type { ObjectSchema } from '../../../src/api/schema.ts';

const schema = {
  type: 'object',
  description: 'A schema with a default of each kind.',
  properties: {
    count: { type: 'integer', format: 'int32', default: 3, description: 'A number.' },
    nested: {
      type: 'object',
      default: {},
      description: 'An object that is made, and then filled.',
      properties: { mode: { type: 'string', default: 'on', description: 'A text.' } },
    },
    optional: {
      type: 'object',
      description: 'An object that is not made.',
      properties: { mode: { type: 'string', default: 'on', description: 'A text.' } },
    },
    items: {
      type: 'array',
      'x-kubernetes-list-type': 'atomic',
      description: 'Items with a default inside.',
      items: {
        type: 'object',
        description: 'An item.',
        properties: { key: { type: 'string', default: 'password', description: 'A key.' } },
      },
    },
    byName: {
      type: 'object',
      description: 'A map with a default inside its values.',
      additionalProperties: {
        type: 'object',
        description: 'A value.',
        properties: { key: { type: 'string', default: 'password', description: 'A key.' } },
      },
    },
  },
} as const satisfies ObjectSchema;

const cases: readonly (readonly [title: string, value: unknown, expected: unknown])[] = [
  ['fills what is absent, and what was made by a default', {}, { count: 3, nested: { mode: 'on' } }],
  ['takes null for absent', { count: null, optional: null }, { count: 3, nested: { mode: 'on' } }],
  ['keeps what is there', { count: 0, nested: { mode: 'off' } }, { count: 0, nested: { mode: 'off' } }],
  [
    'fills an object that is there, and makes none',
    { optional: {} },
    { count: 3, nested: { mode: 'on' }, optional: { mode: 'on' } },
  ],
  [
    'fills items of lists and values of maps',
    { items: [{}, { key: 'a' }], byName: { a: {} } },
    {
      count: 3,
      nested: { mode: 'on' },
      items: [{ key: 'password' }, { key: 'a' }],
      byName: { a: { key: 'password' } },
    },
  ],
  [
    'leaves wrong types and unknown fields for validation',
    { count: 'x', nested: 7, unknown: null },
    { count: 'x', nested: 7, unknown: null },
  ],
  ['leaves what is no object', 'text', 'text'],
];

describe('applyDefaults', () => {
  for (const [title, value, expected] of cases) {
    it(`${title}.`, () => {
      assert.deepEqual(applyDefaults(schema, value), expected);
    });
  }

  it('changes neither its argument nor the schema.', () => {
    const value = { items: [{}] };
    const first = applyDefaults(schema, value);
    assert.deepEqual(value, { items: [{}] });
    assert.deepEqual(applyDefaults(schema, value), first);
    assert.deepEqual(schema.properties.nested.default, {});
  });

  it('is idempotent on any value.', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        const once = applyDefaults(registryDefinition.spec, spec);
        assert.deepEqual(applyDefaults(registryDefinition.spec, once), once);
      }),
    );
  });
});
