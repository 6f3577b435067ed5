import { createHash } from 'node:crypto';
import { apiVersionOf, type Json, type JsonObject, type Kind } from '../kind.ts';
import { openApiDefinitions, recordedKind } from '../kinds/recorded.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';

const REFERENCE = '#/components/schemas/';
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** `/openapi/v3`: where the document of each group and version is. The hash is of its content, so that clients keep it. */
export function documentIndex(kinds: ServedKinds): JsonObject {
  const paths = [...groupVersions(kinds)].map(([path, kindsOf]) => {
    const hash = createHash('sha256')
      .update(JSON.stringify(kindsOf.map(({ schema, plural }) => [plural, schema])))
      .digest('hex');
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` }] as const;
  });
  return { paths: Object.fromEntries(paths) };
}

const groupVersions = (kinds: ServedKinds) => Map.groupBy(kinds.all, pathOf);

const pathOf = (kind: Kind): string =>
  kind.group === '' ? `api/${kind.version}` : `apis/${apiVersionOf(kind)}`;

/** `/openapi/v3/apis/GROUP/VERSION`: schemas for `kubectl explain`, and what `kubectl apply` asks before it sends. */
export function openApiDocument(kinds: ServedKinds, path: string): JsonObject | undefined {
  const own = groupVersions(kinds).get(path);
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

/** Of the operations, only what kubectl looks for: the kind, and that a patch is checked for unknown fields. */
function pathsOf(kind: Kind, path: string): readonly (readonly [string, JsonObject])[] {
  const collection = `/${path}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`;
  const named = { 'x-kubernetes-group-version-kind': gvk(kind) };
  const content = { 'application/json': { schema: { $ref: REFERENCE + definitionOf(kind) } } };
  const responses = { '200': { description: 'OK', content } };
  const query = (name: string) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } });
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map(query);
  return [
    [collection, { get: { ...named, 'x-kubernetes-action': 'list', responses } }],
    [`${collection}/{name}`, { patch: { ...named, 'x-kubernetes-action': 'patch', parameters, responses } }],
  ];
}
