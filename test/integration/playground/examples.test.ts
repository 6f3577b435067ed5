import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAll } from 'js-yaml';
import { customResourceDefinition } from '../../../src/api/crd.ts';
import { GROUP } from '../../../src/api/names.ts';
import { resources } from '../../../src/api/resources.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import {
  customResourceDefinitions,
  namespaces,
  resourceType,
  type CustomResourceDefinition,
} from '../../../src/kube/resources.ts';
import { NAMESPACE, startTestPlayground } from '../../support/test-playground.ts';

const folder = join(import.meta.dirname, '../../../examples');

/** Plurals of the kinds of others that the examples have. */
const foreign: Readonly<Record<string, string>> = {
  Application: 'applications',
  GitRepository: 'gitrepositories',
  Kustomization: 'kustomizations',
  ExternalSecret: 'externalsecrets',
};
const builtIn: Readonly<Record<string, string>> = { Secret: 'secrets', ConfigMap: 'configmaps' };

function typeOf({ apiVersion, kind }: KubeObject) {
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  const plural =
    builtIn[kind] ?? foreign[kind] ?? resources.find((resource) => resource.kind === kind)?.plural ?? '';
  return resourceType<KubeObject>({ group, version, plural, kind, namespaced: true });
}

/** A definition that takes everything, of a kind of others. */
function openDefinition({ group, version, plural, kind }: ReturnType<typeof typeOf>) {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase() },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  };
}

test('every example is taken by an API server', async (t) => {
  const { client } = await startTestPlayground(t);
  const examples = readdirSync(folder).map((file) => ({
    file,
    // The files are ours.
    objects: loadAll(readFileSync(join(folder, file), 'utf8')) as KubeObject[],
  }));
  const all = examples.flatMap(({ objects }) => objects);
  const others = new Map(
    all.filter(({ kind }) => kind in foreign).map((object) => [object.kind, openDefinition(typeOf(object))]),
  );
  const ours = resources.map((resource) => {
    const { metadata, spec } = customResourceDefinition(resource);
    // As the API server will check.
    return { metadata, spec: spec as CustomResourceDefinition['spec'] };
  });
  for (const definition of [...others.values(), ...ours]) {
    await client.apply(customResourceDefinitions, definition);
  }
  for (const name of new Set(all.flatMap(({ metadata: { namespace } }) => namespace ?? []))) {
    await client.apply(namespaces, { metadata: { name } });
  }
  for (const { file, objects } of examples) {
    for (const { metadata, ...object } of objects) {
      const type = typeOf({ ...object, metadata });
      assert.ok(type.plural !== '', `${file}: ${object.kind}`);
      await client.apply(type, { ...object, metadata: { namespace: NAMESPACE, ...metadata } });
    }
  }
  assert.ok(all.some(({ apiVersion }) => apiVersion.startsWith(GROUP)));
});
