import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  anything,
  array,
  assert as check,
  boolean,
  constant,
  constantFrom,
  dictionary,
  integer,
  oneof,
  option,
  property,
  record,
  string,
  type Arbitrary,
} from 'fast-check';
import { dump } from 'js-yaml';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { effectiveConfig } from '../../../../src/contract/config/effective.ts';
import type { Field, StringFormat } from '../../../../src/contract/config/fields.ts';
import { configSchema } from '../../../../src/contract/config/schema.ts';

const sound = { version: 0.1, storage: { filesystem: {} }, http: { addr: ':0' } };

/** What may stand where a field is: something of its kind, or of any other. */
function valueOf(field: Field): Arbitrary<unknown> {
  const scalar = oneof(
    string(),
    integer(),
    boolean(),
    constant(null),
    constantFrom('1h', 'on', '0x10', '*a'),
  );
  if (field.type === 'object') {
    const fields = Object.entries(field.fields).map(
      ([key, child]) => [key, option(valueOf(child), { nil: undefined, freq: 2 })] as const,
    );
    return oneof(
      { weight: 9, arbitrary: record(Object.fromEntries(fields)) },
      { weight: 1, arbitrary: scalar },
    );
  }
  if (field.type === 'list') return oneof(array(valueOf(field.of), { maxLength: 3 }), scalar);
  if (field.type === 'map') return oneof(dictionary(string(), oneof(scalar, array(string()))), scalar);
  if (field.type === 'string' && field.values) return oneof(constantFrom(...field.values), scalar);
  return oneof(scalar, anything());
}

/** Something that is right for a field, or nothing. */
function rightValueOf(field: Field): Arbitrary<unknown> {
  switch (field.type) {
    case 'object': {
      const fields = Object.entries(field.fields).map(([key, child]) => [key, rightValueOf(child)] as const);
      return oneof({ weight: 4, arbitrary: record(Object.fromEntries(fields)) }, constant(undefined));
    }
    case 'list':
      return array(rightValueOf(field.of), { maxLength: 3 });
    case 'map':
      return dictionary<unknown>(word, field.of === 'list' ? array(word) : word, { maxKeys: 3 });
    case 'string':
      return field.values ? constantFrom(...field.values) : constantFrom(...texts[field.format ?? 'any']);
    case 'integer':
      return integer({ min: field.minimum, max: field.maximum ?? 2 ** 40 });
    case 'duration':
      return integer({ min: 0, max: 10_000 }).map((seconds) => `${seconds}s`);
    case 'boolean':
      return boolean();
    case 'obsolete':
      break;
  }
  return anything();
}

const word = string({ unit: constantFrom(...'abcxyz-0123'.split('')), minLength: 1, maxLength: 8 });

const texts: Readonly<Record<StringFormat | 'any', readonly string[]>> = {
  any: ['a', 'yes', '1h', '0x10', '*a', '{', 'null', ' a: b ', '#', 'é\n', '~'],
  address: [':1', '127.0.0.1:65535', '[::1]:0'],
  file: ['/a'],
  'absolute-path': ['/', '/a b'],
  'url-path': ['/', 'a/b/'],
  url: ['https://a.example/b', 'http://ann:secret@127.0.0.1:5000'],
  regexp: ['^a', '(?i)b'],
};

test('any text is told to be right or wrong, and nothing is thrown', () => {
  check(
    property(string({ unit: 'grapheme', maxLength: 200 }), string(), (text, value) => {
      const parsed = parseConfig(text, { REGISTRY_HTTP: value, REGISTRY_LOG_FIELDS_A: value });
      assert.ok(parsed.config !== undefined || parsed.errors.length > 0);
    }),
  );
});

test('any document of the right shape is told to be right or wrong, with a path', () => {
  check(
    property(valueOf(configSchema), (document) => {
      const { config, errors } = parseConfig(JSON.stringify(document) ?? '');
      assert.ok(config !== undefined || errors.length > 0);
      for (const { path } of errors) assert.notEqual(path, '');
    }),
  );
});

test('what is in force can be written down and read again', () => {
  check(
    property(rightValueOf(configSchema), (document) => {
      const { config } = parseConfig(JSON.stringify({ ...(document as object), ...sound }));
      // Rules that concern several fields refuse some.
      if (config === undefined) return;
      const shown = effectiveConfig(config);
      const again = parseConfig(dump(shown)).config;
      assert.ok(again);
      assert.deepEqual(effectiveConfig(again), shown);
    }),
    { numRuns: 300 },
  );
});

test('any variable is applied, refused or ignored', () => {
  const names = string({ unit: constantFrom(...'ABCDEHGTPSLO_09'.split('')) });
  check(
    property(dictionary(names, string()), (variables) => {
      const environment = Object.fromEntries(
        Object.entries(variables).map(([name, value]) => [`REGISTRY_${name}`, value]),
      );
      const { config, errors } = parseConfig(JSON.stringify(sound), environment);
      assert.ok(config !== undefined || errors.length > 0);
    }),
  );
});
