import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { isObject } from '../../../src/api/defaults.ts';
import { USE_CREDENTIALS, USE_LABEL } from '../../../src/api/names.ts';
import { validateObject } from '../../../src/api/parse.ts';
import { resources } from '../../../src/api/resources.ts';

const folder = join(import.meta.dirname, '../../../examples');
const examples = readdirSync(folder).map((file) => ({
  file,
  objects: loadAll(readFileSync(join(folder, file), 'utf8')),
}));

describe('The examples', () => {
  it('show every kind.', () => {
    const kinds = new Set(
      examples.flatMap(({ objects }) => objects.map((object) => isObject(object) && object['kind'])),
    );
    for (const { kind } of resources) assert.ok(kinds.has(kind), kind);
  });

  for (const { file, objects } of examples) {
    it(`${file} fits the schemas.`, () => {
      for (const object of objects) {
        assert.ok(isObject(object));
        const definition = resources.find(({ kind }) => kind === object['kind']);
        if (definition) assert.deepEqual(validateObject(definition, object), []);
        else assertUsableSecret(object);
      }
    });
  }
});

/** The one other kind that examples have: a Secret that a Registry may use. */
function assertUsableSecret(object: Readonly<Record<string, unknown>>): void {
  assert.equal(object['kind'], 'Secret');
  assert.partialDeepStrictEqual(object, { metadata: { labels: { [USE_LABEL]: USE_CREDENTIALS } } });
}
