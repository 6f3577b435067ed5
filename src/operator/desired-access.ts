import { dump } from 'js-yaml';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import type { UserProblem } from './password.ts';
import type { Served } from './served.ts';

export const ACCESS_KEY = 'access.yml';

/** Whether the server has rules at all: where an issuer of tokens decides, it refuses them. */
export function hasAccessRules({ spec: { auth } }: Served): boolean {
  return auth !== undefined && auth.token === undefined;
}

/** The rules of the server, which re-reads them when they change: docs/reference/access-rules.md. */
export function accessFile(registry: Served): string {
  const { anonymous = 'None', access = [], htpasswd } = registry.spec.auth ?? {};
  // Each group that a rule names is there: the server refuses rules for one that is not.
  const names = new Set([
    ...(htpasswd?.users ?? []).flatMap(({ groups = [] }) => groups),
    ...access.flatMap(({ groups = [] }) => groups),
  ]);
  const groups = [...names].toSorted().map((name) => [name, membersOf(registry, name)] as const);
  const rules = access.map(({ actions, ...rule }) => ({
    ...rule,
    actions: actions.map((action) => action.toLowerCase()),
  }));
  const file = { anonymous: anonymous.toLowerCase(), groups: Object.fromEntries(groups), access: rules };
  return dump(file, { lineWidth: -1, noRefs: true });
}

export function desiredAccess(registry: Stored<Served>): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry).access),
    data: { [ACCESS_KEY]: accessFile(registry) },
  };
}

/** Rules for groups that nobody is in: most likely a slip of the pen. */
export function accessProblems(registry: Served): readonly UserProblem[] {
  return (registry.spec.auth?.access ?? []).flatMap(({ groups = [] }, index) =>
    groups
      .filter((group) => membersOf(registry, group).length === 0)
      .map((group): UserProblem => ({
        name: `access[${index}]`,
        reason: 'UnknownGroup',
        message: `The rule access[${index}] is for the group ${group}, which no user of htpasswd.users is in.`,
      })),
  );
}

function membersOf({ spec }: Served, group: string): readonly string[] {
  const users = spec.auth?.htpasswd?.users ?? [];
  return users.filter(({ groups = [] }) => groups.includes(group)).map(({ name }) => name);
}
