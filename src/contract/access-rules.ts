import type { ConfigProblem } from './config/decode.ts';
import type { Decoded, ObjectField } from './config/fields.ts';
import { namePattern } from './name-pattern.ts';
import { checkRepositories, readRules, repositoriesField } from './rules-file.ts';

/** The file that `stevedore.auth.access` names: who may do what. docs/reference/access-rules.md. */
const accessFile = {
  type: 'object',
  description: 'Who may do what.',
  fields: {
    anonymous: {
      type: 'string',
      values: ['none', 'pull'],
      default: 'none',
      description: 'What clients without a password may do.',
    },
    groups: { type: 'map', of: 'list', description: 'Users by the name of a group.' },
    access: {
      type: 'list',
      description: 'Rules, each of which allows something. Without one each user may do everything.',
      of: {
        type: 'object',
        description: 'A rule.',
        fields: {
          repositories: repositoriesField,
          users: {
            type: 'list',
            of: { type: 'string', description: 'A user.' },
            description: 'Whom it allows something. With neither users nor groups: each user.',
          },
          groups: {
            type: 'list',
            of: { type: 'string', description: 'A group.' },
            description: 'The same by group.',
          },
          actions: {
            type: 'list',
            of: {
              type: 'string',
              values: ['pull', 'push', 'delete', 'list'],
              description: 'What is allowed.',
            },
            description: 'What they may do. A push needs pull as well; pull includes list.',
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

type AccessFile = Decoded<typeof accessFile>;
type Rule = AccessFile['access'][number];
/** What may be done with a repository. `list`: to see its name and its tags, which whoever may pull may as well. */
export type AccessAction = Rule['actions'][number];

/** Who may do what. */
export interface AccessRules {
  readonly anonymousMayPull: boolean;
  /** @param user undefined for somebody without credentials */
  permits(user: string | undefined, repository: string, action: AccessAction): boolean;
}

/** Without a file: whoever is known may do everything. */
export const everythingForUsers: AccessRules = {
  anonymousMayPull: false,
  permits: (user) => user !== undefined,
};

/** Parses the file of access rules. @throws Error that tells every problem with its path */
export function parseAccessRules(text: string): AccessRules {
  return compile(readRules(accessFile, text, checkRules));
}

function checkRules({ access, groups }: AccessFile): readonly ConfigProblem[] {
  return access.flatMap((rule, index) => {
    const path = `access.${index}`;
    const unknown = rule.groups.filter((group) => !Object.hasOwn(groups, group));
    return [
      ...checkRepositories(`${path}.repositories`, rule.repositories),
      ...(rule.actions.length === 0 ? [{ path: `${path}.actions`, message: 'is required' }] : []),
      ...unknown.map((group) => ({
        path: `${path}.groups`,
        message: `names ${JSON.stringify(group)}, which groups does not have`,
      })),
    ];
  });
}

interface CompiledRule {
  readonly repositories: RegExp;
  /** Undefined: each user. */
  readonly users: ReadonlySet<string> | undefined;
  readonly actions: ReadonlySet<AccessAction>;
}

function compile({ anonymous, groups, access }: AccessFile): AccessRules {
  const anonymousMayPull = anonymous === 'pull';
  const rules = access.map((rule) => compileRule(rule, groups));
  return {
    anonymousMayPull,
    permits(user, repository, action) {
      if (anonymousMayPull && (action === 'pull' || action === 'list')) return true;
      if (user === undefined) return false;
      if (rules.length === 0) return true;
      return rules.some(
        (rule) =>
          rule.actions.has(action) &&
          (rule.users === undefined || rule.users.has(user)) &&
          rule.repositories.test(repository),
      );
    },
  };
}

function compileRule(rule: Rule, groups: AccessFile['groups']): CompiledRule {
  const forAll = rule.users.length === 0 && rule.groups.length === 0;
  const members = rule.groups.flatMap((group) => groups[group] ?? []);
  const actions = new Set(rule.actions);
  if (actions.has('pull')) actions.add('list');
  return {
    repositories: namePattern(rule.repositories),
    users: forAll ? undefined : new Set([...rule.users, ...members]),
    actions,
  };
}
