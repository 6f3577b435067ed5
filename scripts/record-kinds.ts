/**
 * Reads the built-in kinds that the playground serves from a real API server and writes them, with their schemas and
 * table columns, to src/playground/api-server/kinds/recorded-kinds.json: `KUBECONFIG=… node scripts/record-kinds.ts`.
 * Of the descriptions the first sentence is kept.
 */
import { writeFileSync } from 'node:fs';
import { get as send, type RequestOptions } from 'node:https';
import { json } from 'node:stream/consumers';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

const KINDS: Readonly<Record<string, readonly string[]>> = {
  'api/v1': [
    'configmaps',
    'events',
    'namespaces',
    'nodes',
    'persistentvolumeclaims',
    'pods',
    'secrets',
    'serviceaccounts',
    'services',
  ],
  'apis/apps/v1': ['deployments'],
  'apis/batch/v1': ['jobs'],
  'apis/coordination.k8s.io/v1': ['leases'],
  'apis/discovery.k8s.io/v1': ['endpointslices'],
  'apis/events.k8s.io/v1': ['events'],
  'apis/networking.k8s.io/v1': ['ingresses', 'networkpolicies'],
  'apis/policy/v1': ['poddisruptionbudgets'],
  'apis/apiextensions.k8s.io/v1': ['customresourcedefinitions'],
};

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const REFERENCE = '#/components/schemas/';
const known = new Map<string, JsonObject>();
const definitions: Record<string, Json> = {};

const config = new KubeConfig();
config.loadFromDefault();
const resources: Json[] = [];
for (const [path, plurals] of Object.entries(KINDS)) {
  const document = object(await get(`/openapi/v3/${path}`));
  for (const [name, schema] of Object.entries(object(object(document['components'])['schemas']))) {
    known.set(name, object(schema));
  }
  const served = list(object(await get(`/${path}`))['resources']).map(object);
  const [, group = '', version = 'v1'] = path === 'api/v1' ? [] : path.split('/');
  for (const plural of plurals) {
    const resource = object(served.find(({ name }) => name === plural));
    const {
      kind = '',
      singularName = '',
      shortNames = [],
      categories = [],
      verbs = [],
      namespaced = false,
    } = resource;
    const definition = [...known].find(([, schema]) => isOf(schema, { group, version, kind }))?.[0];
    if (definition === undefined) throw new Error(`no schema of ${plural}`);
    copyDefinition(definition);
    const table = object(
      await get(`/${path}/${plural}?limit=1`, 'application/json;as=Table;v=v1;g=meta.k8s.io'),
    );
    const columns = table['columnDefinitions'] ?? [];
    resources.push({
      group,
      version,
      plural,
      singular: singularName,
      kind,
      shortNames,
      categories,
      verbs,
      namespaced,
      definition,
      columns,
    });
  }
}

const { gitVersion = '' } = object(await get('/version'));

const sorted = Object.entries(definitions).toSorted(([a], [b]) => (a < b ? -1 : 1));
const lines = (entries: readonly string[]) => entries.map((entry) => `    ${entry}`).join(',\n');
writeFileSync(
  join(import.meta.dirname, '../src/playground/api-server/kinds/recorded-kinds.json'),
  `{
  "kubernetes": ${JSON.stringify(gitVersion)},
  "resources": [
${lines(resources.map((resource) => JSON.stringify(resource)))}
  ],
  "definitions": {
${lines(sorted.map(([name, schema]) => `${JSON.stringify(name)}: ${JSON.stringify(schema)}`))}
  }
}
`,
);

async function get(path: string, accept = 'application/json'): Promise<Json> {
  const options: RequestOptions = { headers: { accept }, agent: false };
  await config.applyToHTTPSOptions(options);
  const url = new URL(path, config.getCurrentCluster()?.server);
  return new Promise((resolve, reject) => {
    // The API server's answers are JSON.
    send(url, options, (response) => resolve(json(response) as Promise<Json>)).on('error', reject);
  });
}

/** Takes a definition over, and all that it refers to. */
function copyDefinition(name: string): void {
  if (name in definitions) return;
  definitions[name] = null;
  definitions[name] = reduced(object(known.get(name)));
}

/** A schema with a reference by bare name and short descriptions. */
function reduced(schema: JsonObject): JsonObject {
  const { allOf, ...rest } = schema;
  const [only] = allOf === undefined ? [] : list(allOf);
  const result: JsonObject = {};
  for (const [key, value] of Object.entries({ ...rest, ...(only !== undefined && object(only)) })) {
    if (key === '$ref') {
      const name = text(value).slice(REFERENCE.length);
      copyDefinition(name);
      result[key] = name;
    } else if (key === 'description') result[key] = text(value).split(/(?<=[.]) |\n/)[0] ?? '';
    else if (key === 'properties') {
      const properties = Object.entries(object(value)).map(([name, child]) => [name, reduced(object(child))]);
      result[key] = Object.fromEntries(properties) as JsonObject;
    } else if (key === 'items' || key === 'additionalProperties') result[key] = reduced(object(value));
    else result[key] = value;
  }
  return result;
}

function isOf(schema: JsonObject, wanted: JsonObject): boolean {
  const places = list(schema['x-kubernetes-group-version-kind'] ?? []).map(object);
  return places.some((place) => Object.entries(wanted).every(([key, value]) => place[key] === value));
}

function object(value: Json | undefined): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object');
  return value;
}

function text(value: Json): string {
  if (typeof value !== 'string') throw new Error('not a string');
  return value;
}

function list(value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value;
}
