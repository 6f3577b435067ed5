import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resources } from '../../../src/api/resources.ts';
import type { Schema } from '../../../src/api/schema.ts';
import { validationRules } from '../../../src/api/validation-rules.ts';
import { acceptances, refusals } from '../../e2e/refusals.ts';
import type { Manifest } from '../../e2e/refusals.ts';

function* schemasIn(path: string, schema: Schema): Generator<readonly [path: string, schema: Schema]> {
  yield [path, schema];
  if (!('type' in schema)) return;
  if (schema.type === 'array') yield* schemasIn(`${path}[]`, schema.items);
  if (schema.type !== 'object') return;
  if ('additionalProperties' in schema) yield* schemasIn(`${path}.*`, schema.additionalProperties);
  else if ('properties' in schema)
    for (const [key, child] of Object.entries(schema.properties)) yield* schemasIn(`${path}.${key}`, child);
}

for (const { kind, spec, status, rules } of resources) {
  const schemas = [...schemasIn('spec', spec), ...schemasIn('status', status)];

  describe(`The schema of ${kind}`, () => {
    it('describes every field in a sentence.', () => {
      const undescribed = schemas.filter(([, { description }]) => !/^[A-Z`].+[.]$/s.test(description));
      assert.deepEqual(
        undescribed.map(([path]) => path),
        [],
      );
    });

    it('bounds every list, map and text of the spec, so that the cost of its rules is bounded.', () => {
      const unbounded = [...schemasIn('spec', spec)].filter(([, schema]) => {
        if (!('type' in schema)) return schema.maxLength === undefined;
        if (schema.type === 'array') return schema.maxItems === undefined;
        if (schema.type === 'string') return schema.enum === undefined && schema.maxLength === undefined;
        return 'additionalProperties' in schema && schema.maxProperties === undefined;
      });
      assert.deepEqual(
        unbounded.map(([path]) => path),
        [],
      );
    });

    it('says in every rule what to write, on one line, without a stop.', () => {
      for (const { message } of [...rules, ...schemas.flatMap(([, schema]) => validationRules(schema))]) {
        assert.match(message, /^(set |[^\n]+: )[^\n]+[^.\n]$/);
      }
    });

    it('has only patterns that Go and JavaScript read alike.', () => {
      for (const [path, schema] of schemas) {
        if (!('pattern' in schema) || schema.pattern === undefined) continue;
        const { expression } = schema.pattern;
        assert.doesNotThrow(() => new RegExp(expression, 'u'), path);
        assert.match(expression, /^\^.*\$$/);
        // Shorthands such as \s and groups such as (?: differ; an empty class [] begins one that holds ] in Go.
        assert.doesNotMatch(expression, /\\[A-Za-z0-9]|\(\?|(?<!\\)\[\]/, path);
      }
    });

    it('requires only fields that it has.', () => {
      for (const [path, schema] of schemas) {
        if (!('properties' in schema)) continue;
        for (const key of schema.required ?? [])
          assert.ok(Object.hasOwn(schema.properties, key), `${path}.${key}`);
      }
    });

    it('has an object for the real API server to refuse for each of its own rules.', () => {
      const own = [...rules, ...schemas.flatMap(([, schema]) => schema['x-kubernetes-validations'] ?? [])];
      const untested = own.filter(
        ({ message }) =>
          !refusals.some((refusal) => refusal.manifest.kind === kind && message.includes(refusal.message)),
      );
      assert.deepEqual(untested, []);
    });

    it('has an object to refuse for each of its patterns in the spec.', () => {
      const patterns = schemas.flatMap(([, schema]) =>
        'pattern' in schema && schema.pattern ? [schema.pattern] : [],
      );
      const untested = patterns.filter(
        ({ message }) => !refusals.some((refusal) => message.includes(refusal.message)),
      );
      assert.deepEqual([...new Set(untested.map(({ message }) => message))], []);
    });
  });
}

describe('The tables for the real API server', () => {
  it('have a title of its own for each case.', () => {
    const titles = [...refusals, ...acceptances].map(({ title }) => title);
    assert.equal(new Set(titles).size, titles.length);
  });

  it('change one object, never rename it.', () => {
    const identity = ({ kind, metadata }: Manifest) => `${kind}/${metadata.name}`;
    for (const { before, manifest } of [...refusals, ...acceptances]) {
      if (before) assert.equal(identity(before), identity(manifest));
    }
  });
});
