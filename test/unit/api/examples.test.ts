import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { isObject } from '../../../src/api/defaults.ts';
import { GROUP, USE_CREDENTIALS, USE_LABEL } from '../../../src/api/names.ts';
import { validateObject } from '../../../src/api/parse.ts';
import { resources } from '../../../src/api/resources.ts';

const folder = join(import.meta.dirname, '../../../examples');
const examples = readdirSync(folder).map((file) => ({
  file,
  objects: loadAll(readFileSync(join(folder, file), 'utf8')).filter(isObject),
}));

describe('The examples', () => {
  it('show every kind.', () => {
    const kinds = new Set(examples.flatMap(({ objects }) => objects.map(({ kind }) => kind)));
    for (const { kind } of resources) assert.ok(kinds.has(kind), kind);
  });

  for (const { file, objects } of examples) {
    it(`${file} fits the schemas.`, () => {
      assert.notEqual(objects.length, 0);
      for (const object of objects) {
        const definition = resources.find(({ kind }) => kind === object['kind']);
        if (definition) assert.deepEqual(validateObject(definition, object), []);
      }
    });
  }

  it('have no Secret that a Registry may not use.', () => {
    const use = { metadata: { labels: { [USE_LABEL]: USE_CREDENTIALS } } };
    for (const object of examples.flatMap(({ objects }) => objects)) {
      if (object['kind'] === 'Secret') assert.partialDeepStrictEqual(object, use);
      if (object['kind'] === 'ExternalSecret') {
        assert.partialDeepStrictEqual(object, { spec: { target: { template: use } } });
      }
    }
  });

  it('tell Argo CD of the health of every kind.', () => {
    const settings = examples
      .flatMap(({ objects }) => objects)
      .find(
        ({ kind, metadata }) =>
          kind === 'ConfigMap' && isObject(metadata) && metadata['name'] === 'argocd-cm',
      );
    assert.ok(isObject(settings?.['data']));
    assert.deepEqual(
      Object.keys(settings['data']).toSorted(),
      resources.map(({ kind }) => `resource.customizations.health.${GROUP}_${kind}`).toSorted(),
    );
  });
});
