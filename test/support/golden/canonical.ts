import type { Json, JsonObject } from './scenario.ts';

/** Leaves out groups, resources and verbs that only one of the servers has, and sorts those of a group, which come in no order. */
export function reduceDiscovery(body: Json): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  if ('paths' in body) return { paths: ourDocuments(body['paths'] as JsonObject) };
  const { kind, groups, resources } = body as Readonly<Record<string, readonly JsonObject[] | undefined>>;
  if (typeof kind !== 'string' || !/^API(Group|Resource)List$/.test(kind)) return body;
  const ofGroups = groups?.filter(({ name }) => GROUPS.has(name));
  const ofResources = resources
    ?.filter(({ name }) => isOurs(name))
    .toSorted(byKey(({ name }) => name))
    .map(ourPart);
  const reduced = {
    ...(ofGroups && { groups: ofGroups }),
    ...(ofResources && { resources: ofResources }),
  };
  return Object.assign({}, body, reduced);
}

/** Of the index of OpenAPI documents. */
function ourDocuments(paths: JsonObject): JsonObject {
  const isOurGroup = (path: string): boolean =>
    path === 'api/v1' || GROUPS.has(/^apis\/([^/]+)\//.exec(path)?.[1] ?? '-');
  return Object.fromEntries(Object.entries(paths).filter(([path]) => isOurGroup(path)));
}

const GROUPS: ReadonlySet<Json | undefined> = new Set(
  ['', 'apps', 'batch', 'policy', 'stevedore.dev'].concat(
    ['apiextensions', 'coordination', 'discovery', 'events', 'networking'].map((name) => `${name}.k8s.io`),
  ),
);
const RESOURCES: ReadonlySet<string> = new Set(
  [
    ['configmaps', 'events', 'namespaces', 'nodes', 'persistentvolumeclaims', 'pods', 'secrets', 'services'],
    ['serviceaccounts', 'deployments', 'jobs', 'leases', 'endpointslices', 'poddisruptionbudgets'],
    [
      'networkpolicies',
      'ingresses',
      'customresourcedefinitions',
      'registries',
      'registrygcs',
      'registrymirrors',
    ],
  ].flat(),
);
const SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'scale']);

function byKey<T>(key: (item: T) => Json | undefined): (a: T, b: T) => number {
  return (a, b) => (JSON.stringify(key(a)) < JSON.stringify(key(b)) ? -1 : 1);
}

function isOurs(name: Json | undefined): boolean {
  if (typeof name !== 'string') return false;
  const [resource = '', subresource = 'status'] = name.split('/');
  return RESOURCES.has(resource) && SUBRESOURCES.has(subresource);
}

/** Without deletecollection, and without the hash of how it is stored. */
function ourPart(resource: JsonObject): JsonObject {
  const verbs = (resource['verbs'] as readonly string[]).filter((verb) => verb !== 'deletecollection').sort();
  const entries = Object.entries({ ...resource, verbs }).filter(([key]) => key !== 'storageVersionHash');
  return Object.fromEntries(entries);
}

/** Keeps the first of bookmarks in a row: how many come depends on the moment. */
export function mergeBookmarks(events: readonly Json[]): readonly Json[] {
  const isBookmark = (event: Json | undefined): boolean =>
    (event as JsonObject | undefined)?.['type'] === 'BOOKMARK';
  return events.filter((event, index) => !isBookmark(event) || !isBookmark(events[index - 1]));
}

/** As the server does it for changes in one second. */
export function sortManagers(managers: readonly JsonObject[]): readonly JsonObject[] {
  const key = (entry: JsonObject): string =>
    JSON.stringify(['operation', 'manager', 'apiVersion', 'subresource'].map((name) => entry[name] ?? ''));
  return managers.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

interface Invalid {
  readonly message: string;
  readonly details: { readonly causes: readonly { readonly field: string; readonly message: string }[] };
}

/** Of `X is invalid: [a, b]`, in the message and in the causes. */
export function sortCauses(body: Json): Json {
  const { message, details } = (body ?? {}) as Partial<Invalid>;
  if (message === undefined || details?.causes === undefined || details.causes.length < 2) return body;
  const line = ({ field, message: text }: Invalid['details']['causes'][number]): string =>
    `${field}: ${text}`;
  const sorted = details.causes.toSorted((a, b) => (line(a) < line(b) ? -1 : 1));
  const [start = ''] = message.split(' is invalid: [');
  const rewritten = `${start} is invalid: [${sorted.map(line).join(', ')}]`;
  if (rewritten.length !== message.length) return body;
  return Object.assign({}, body, { message: rewritten, details: { ...details, causes: sorted } });
}
