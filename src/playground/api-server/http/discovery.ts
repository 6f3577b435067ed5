import { apiVersionOf, type JsonObject, type Kind } from '../kind.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
const SUBRESOURCE_VERBS = ['get', 'patch', 'update'];

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

/** `/apis/GROUP/VERSION`, or `/api/v1`. */
export function resourceList(kinds: ServedKinds, group: string, version: string): JsonObject | undefined {
  const own = kinds.all.filter((kind) => kind.group === group && kind.version === version);
  if (own.length === 0) return undefined;
  const resources = own.flatMap((kind) => {
    const { plural, singular, namespaced } = kind;
    return [
      {
        name: plural,
        singularName: singular,
        namespaced,
        kind: kind.kind,
        verbs: VERBS,
        ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
        ...(kind.categories.length > 0 && { categories: kind.categories }),
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
    resources,
  };
}

function groupsOf(kinds: ServedKinds): readonly JsonObject[] {
  const named = Map.groupBy(kinds.all, ({ group }) => group);
  named.delete('');
  return [...named.entries()].map(([name, [kind]]) => {
    // Every kind of a group has the same version, and a group has a kind.
    const { version = '' } = kind ?? {};
    const only = { groupVersion: `${name}/${version}`, version };
    return { name, versions: [only], preferredVersion: only };
  });
}

/** `/apis/GROUP`. */
export function group(kinds: ServedKinds, name: string): JsonObject | undefined {
  const found = groupsOf(kinds).find((group) => group['name'] === name);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...found };
}

/** `/apis`. */
export function groupList(kinds: ServedKinds): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(kinds) };
}

/** `/api`. */
export function coreVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}
