import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Infer, ObjectSchema } from '../../../src/api/schema.ts';

const schema = {
  type: 'object',
  description: 'One field of each kind.',
  required: ['name', 'list'],
  properties: {
    name: { type: 'string', description: 'Required.' },
    mode: { type: 'string', enum: ['On', 'Off'], default: 'On', description: 'Defaulted.' },
    count: { type: 'integer', format: 'int32', description: 'Optional.' },
    size: { 'x-kubernetes-int-or-string': true, description: 'A number or a string.' },
    labels: {
      type: 'object',
      additionalProperties: { type: 'string', description: 'A value.' },
      description: 'A map.',
    },
    list: {
      type: 'array',
      'x-kubernetes-list-type': 'atomic',
      description: 'A list of objects.',
      items: {
        type: 'object',
        description: 'An item.',
        properties: { on: { type: 'boolean', default: false, description: 'Defaulted.' } },
      },
    },
  },
} as const satisfies ObjectSchema;

interface Expected {
  readonly name: string;
  readonly mode: 'On' | 'Off';
  readonly list: readonly { readonly on: boolean }[];
  readonly count?: number;
  readonly size?: number | string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** `true` when each type can stand for the other. */
type Same<A, B> = [A, B] extends [B, A] ? true : false;

it('A schema gives the type that one would write by hand.', () => {
  // The type checker is the test; at run time there is nothing to see.
  const same: Same<Infer<typeof schema>, Expected> = true;
  assert.equal(same, true);
});

it('A schema gives a type that refuses what the schema refuses.', () => {
  const valid: Infer<typeof schema> = { name: 'a', mode: 'On', list: [{ on: true }] };
  // @ts-expect-error a value that is not in the enum
  const unknownMode: Infer<typeof schema> = { ...valid, mode: 'Auto' };
  // @ts-expect-error a required field is missing
  const unnamed: Infer<typeof schema> = { mode: 'On', list: [] };
  // @ts-expect-error an optional field is absent or set, never undefined
  const undefinedCount: Infer<typeof schema> = { ...valid, count: undefined };
  assert.equal([valid, unknownMode, unnamed, undefinedCount].length, 4);
});
