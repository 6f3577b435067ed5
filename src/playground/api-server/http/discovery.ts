import { createHash } from 'node:crypto';
import { apiVersionOf, type JsonObject, type Kind } from '../kind.ts';
import { recordedKind } from '../kinds/recorded.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';

const CUSTOM_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const SUBRESOURCE_VERBS = ['get', 'patch', 'update'];

function verbsOf(kind: Kind): readonly string[] {
  return kind.custom ? CUSTOM_VERBS : recordedKind(kind.group, kind.plural).verbs;
}

/** What a kind has below it: `status`, `scale`, `log`. */
function subresourcesOf(
  kind: Kind,
): readonly { readonly name: string; readonly kind: string; readonly verbs: readonly string[] }[] {
  return [
    ...(kind.kind === 'Pod' && !kind.custom ? [{ name: 'log', kind: 'Pod', verbs: ['get'] }] : []),
    ...(kind.scale ? [{ name: 'scale', kind: 'Scale', verbs: SUBRESOURCE_VERBS }] : []),
    ...(kind.status ? [{ name: 'status', kind: kind.kind, verbs: SUBRESOURCE_VERBS }] : []),
  ];
}

const namesOf = (kind: Kind) => ({
  ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
  ...(kind.categories.length > 0 && { categories: kind.categories }),
});

/** Changes when objects are stored in another form; the two kinds of Event share theirs. */
function storageHash({ group, version: served, kind, stored }: Kind): string {
  const version = kind === 'CustomResourceDefinition' ? 'v1beta1' : served;
  const place = [stored?.group ?? group, version, kind].join('/');
  return createHash('sha256').update(place).digest().subarray(0, 8).toString('base64');
}

/** Below /apis/authorization.k8s.io/v1: for `kubectl auth can-i`. */
export const REVIEW = {
  group: 'authorization.k8s.io',
  version: 'v1',
  resource: 'selfsubjectaccessreviews',
} as const;

const reviewResource = {
  name: REVIEW.resource,
  singularName: 'selfsubjectaccessreview',
  namespaced: false,
  kind: 'SelfSubjectAccessReview',
  verbs: ['create'],
};

/** `/apis/GROUP/VERSION`, or `/api/v1`. */
export function resourceList(kinds: ServedKinds, group: string, version: string): JsonObject | undefined {
  const own = kinds.all.filter((kind) => kind.group === group && kind.version === version);
  const isReview = group === REVIEW.group && version === REVIEW.version;
  if (own.length === 0 && !isReview) return undefined;
  const resources = own.flatMap((kind) => {
    const { plural, singular, namespaced } = kind;
    return [
      {
        name: plural,
        singularName: singular,
        namespaced,
        kind: kind.kind,
        verbs: verbsOf(kind),
        ...namesOf(kind),
        storageVersionHash: storageHash(kind),
      },
      ...subresourcesOf(kind).map((sub) => ({
        name: `${plural}/${sub.name}`,
        singularName: '',
        namespaced,
        ...(sub.name === 'scale' && { group: 'autoscaling', version: 'v1' }),
        kind: sub.kind,
        verbs: sub.verbs,
      })),
    ];
  });
  return {
    kind: 'APIResourceList',
    ...(group !== '' && { apiVersion: 'v1' }),
    groupVersion: apiVersionOf({ group, version }),
    resources: isReview ? [reviewResource] : resources,
  };
}

/** As the API server lists them; clients prefer the first of two kinds of one name. */
const GROUP_ORDER = [
  'apps',
  'events.k8s.io',
  'authorization.k8s.io',
  'batch',
  'networking.k8s.io',
  'policy',
  'apiextensions.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
];

function groupsOf(kinds: ServedKinds): readonly (readonly [string, readonly string[]])[] {
  const named = [...kinds.groups(), [REVIEW.group, [REVIEW.version]] as const].filter(
    ([group]) => group !== '',
  );
  const place = (name: string) =>
    GROUP_ORDER.includes(name) ? GROUP_ORDER.indexOf(name) : GROUP_ORDER.length;
  return named.toSorted(([a], [b]) => place(a) - place(b));
}

function apiGroup(name: string, versions: readonly string[]): JsonObject {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] ?? {} };
}

/** `/apis/GROUP`. */
export function group(kinds: ServedKinds, name: string): JsonObject | undefined {
  const found = groupsOf(kinds).find(([group]) => group === name);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(...found) };
}

/** `/apis`. */
export function groupList(kinds: ServedKinds): JsonObject {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupsOf(kinds).map((found) => apiGroup(...found)),
  };
}

/** `/api`. */
export function coreVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** `/api` or `/apis` in one answer, where a client asks for that (kubectl from 1.30 on). */
export function aggregated(kinds: ServedKinds, isCore: boolean): JsonObject {
  const groups = isCore ? [['', ['v1']] as const] : groupsOf(kinds);
  const items = groups.map(([name, versions]) => ({
    metadata: name === '' ? {} : { name },
    versions: versions.map((version) => ({
      version,
      resources: name === REVIEW.group ? [aggregatedReview] : aggregatedResources(kinds, name, version),
      freshness: 'Current',
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

const aggregatedReview = {
  resource: reviewResource.name,
  responseKind: { group: REVIEW.group, version: REVIEW.version, kind: reviewResource.kind },
  scope: 'Cluster',
  singularResource: reviewResource.singularName,
  verbs: reviewResource.verbs,
};

function aggregatedResources(kinds: ServedKinds, group: string, version: string): readonly JsonObject[] {
  const own = kinds.all.filter((kind) => kind.group === group && kind.version === version);
  return own.map((kind) => ({
    resource: kind.plural,
    responseKind: shownKind(kind),
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...namesOf(kind),
    ...(subresourcesOf(kind).length > 0 && {
      subresources: subresourcesOf(kind).map((sub) => ({
        subresource: sub.name,
        responseKind: sub.name === 'scale' ? SCALE : shownKind(kind),
        verbs: sub.verbs,
      })),
    }),
  }));
}

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

/** Of built-in kinds the group and version are those of the list. */
function shownKind({ group, version, kind, custom }: Kind): JsonObject {
  return { group: custom ? group : '', version: custom ? version : '', kind };
}

/** Whether an Accept header asks for the aggregated form, which older clients cannot read. */
export function wantsAggregated(accept: string): boolean {
  return (
    accept.includes('v=v2;as=APIGroupDiscoveryList') || accept.includes('as=APIGroupDiscoveryList;v=v2;')
  );
}

export const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
