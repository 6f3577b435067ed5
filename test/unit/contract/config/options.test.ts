import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Field } from '../../../../src/contract/config/fields.ts';
import { configSchema } from '../../../../src/contract/config/schema.ts';
import { distributionOptions } from '../../../support/distribution-options.ts';
import { idleOptions, optionsByTest } from '../../../support/option-tests.ts';

const tests = join(import.meta.dirname, '../../..');

/** The field at a path, or what takes everything below it. */
function fieldAt(path: string): Field | undefined {
  let field: Field | undefined = configSchema;
  for (const part of path.split('.')) {
    if (field?.type === 'obsolete') return field;
    if (field?.type !== 'object') return undefined;
    const name = part.replace('[]', '');
    field = Object.hasOwn(field.fields, name) ? field.fields[name] : undefined;
    if (part !== name) field = field?.type === 'list' ? field.of : undefined;
  }
  return field;
}

/** What may be written in a configuration and has an effect. */
function* effective(field: Field, path: string): Generator<string> {
  if (field.type === 'obsolete') return;
  if (field.type === 'object') {
    if (field.optional && field.namedByKey) yield path;
    for (const [key, child] of Object.entries(field.fields)) {
      yield* effective(child, path === '' ? key : `${path}.${key}`);
    }
  } else if (field.type === 'list' && field.of.type === 'object') yield* effective(field.of, `${path}[]`);
  else yield path;
}

test('every option of docker distribution is an option, or has no effect by intent', () => {
  const missing = distributionOptions.filter((path) => fieldAt(path) === undefined);
  assert.deepEqual(missing, []);
});

test('every option that has an effect names a test that fails without it, and no other does', () => {
  const named = new Set([...Object.values(optionsByTest).flat(), ...idleOptions]);
  const all = new Set(effective(configSchema, ''));
  assert.deepEqual(
    [...all].filter((path) => !named.has(path)),
    [],
  );
  assert.deepEqual(
    [...named].filter((path) => !all.has(path) && fieldAt(path) === undefined),
    [],
  );
});

test('the tests that are named exist', () => {
  assert.deepEqual(
    Object.keys(optionsByTest).filter((file) => !existsSync(join(tests, file))),
    [],
  );
});
