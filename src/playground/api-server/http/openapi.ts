import { createHash } from 'node:crypto';
import { apiVersionOf, type Json, type JsonObject, type Kind } from '../kind.ts';
import { openApiDefinitions, recordedKind } from '../kinds/recorded.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';

const REFERENCE = '#/components/schemas/';
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** `/openapi/v3`: where the document of each group and version is. The hash is of its content, so that clients keep it. */
export function documentIndex(kinds: ServedKinds): JsonObject {
  const paths = groupVersions(kinds).map(([path, kindsOf]) => {
    const hash = createHash('sha256')
      .update(JSON.stringify(kindsOf.map(({ schema, plural }) => [plural, schema])))
      .digest('hex');
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` }] as const;
  });
  return { paths: Object.fromEntries(paths) };
}

function groupVersions(kinds: ServedKinds): readonly (readonly [string, readonly Kind[]])[] {
  const groups = Map.groupBy(kinds.all, pathOf);
  return [...groups];
}

const pathOf = (kind: Kind): string =>
  kind.group === '' ? `api/${kind.version}` : `apis/${apiVersionOf(kind)}`;

/** `/openapi/v3/apis/GROUP/VERSION`: schemas for `kubectl explain`, and what `kubectl apply` asks before it sends. */
export function openApiDocument(kinds: ServedKinds, path: string): JsonObject | undefined {
  const own = groupVersions(kinds).find(([place]) => place === path)?.[1];
  if (own === undefined) return undefined;
  const all = openApiDefinitions();
  const schemas: Record<string, Json> = {};
  const copy = (name: string): void => {
    const definition = all[name];
    if (schemas[name] !== undefined || definition === undefined) return;
    schemas[name] = definition;
    for (const [, other = ''] of JSON.stringify(definition).matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      copy(other);
  };
  for (const kind of own) {
    const name = definitionOf(kind);
    if (kind.custom) schemas[name] = customSchema(kind);
    else copy(name);
  }
  copy(META);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'unversioned' },
    paths: Object.fromEntries(own.flatMap((kind) => pathsOf(kind, path))),
    components: { schemas },
  };
}

function definitionOf(kind: Kind): string {
  if (!kind.custom) return recordedKind(kind.group, kind.plural).definition;
  return [...kind.group.split('.').reverse(), kind.version, kind.kind].join('.');
}

const gvk = ({ group, version, kind }: Kind): JsonObject => ({ group, version, kind });

function customSchema(kind: Kind): JsonObject {
  const { metadata: _, ...properties } = kind.schema.properties ?? {};
  // A schema is JSON.
  const schema = { ...kind.schema, properties } as unknown as JsonObject;
  const withMeta = {
    ...(schema['properties'] as JsonObject),
    metadata: { allOf: [{ $ref: REFERENCE + META }] },
  };
  return { ...schema, properties: withMeta, 'x-kubernetes-group-version-kind': [gvk(kind)] };
}

/** Of the operations, only what clients look for: the kind, and the parameters and types of a patch. */
function pathsOf(kind: Kind, path: string): readonly (readonly [string, JsonObject])[] {
  const collection = `/${path}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`;
  const named = { 'x-kubernetes-group-version-kind': gvk(kind) };
  const content = { 'application/json': { schema: { $ref: REFERENCE + definitionOf(kind) } } };
  const responses = { '200': { description: 'OK', content } };
  const query = (name: string) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } });
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map(query);
  const types = [
    'application/apply-patch+yaml',
    'application/merge-patch+json',
    ...(kind.custom ? [] : ['application/strategic-merge-patch+json']),
  ];
  const requestBody = { content: Object.fromEntries(types.map((type) => [type, {}])) };
  const get = { ...named, 'x-kubernetes-action': 'get', responses };
  return [
    [
      collection,
      {
        get: { ...get, 'x-kubernetes-action': 'list' },
        post: { ...named, 'x-kubernetes-action': 'post', parameters, responses },
      },
    ],
    [
      `${collection}/{name}`,
      {
        get,
        put: { ...named, 'x-kubernetes-action': 'put', parameters, responses },
        patch: {
          ...named,
          'x-kubernetes-action': 'patch',
          parameters: [...parameters, query('force')],
          requestBody,
          responses,
        },
        delete: { ...named, 'x-kubernetes-action': 'delete', responses },
      },
    ],
  ];
}
