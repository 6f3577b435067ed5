import type { ConfigProblem } from './config/decode.ts';
import type { Decoded, ObjectField } from './config/fields.ts';
import { namePattern } from './name-pattern.ts';
import { checkPatterns, checkRepositories, readRules, repositoriesField } from './rules-file.ts';

/** The file of `garbage-collect --retention`, and what a RegistryGC says in `spec.retention`: which tags stay. */
const retentionFile = {
  type: 'object',
  description: 'Which tags stay.',
  fields: {
    retention: {
      type: 'list',
      description:
        'The first rule whose repositories match a repository decides. Without one all its tags stay.',
      of: {
        type: 'object',
        description: 'A rule.',
        fields: {
          repositories: repositoriesField,
          keepTags: {
            type: 'object',
            description: 'A tag stays when one of these says so; the others go.',
            fields: {
              patterns: {
                type: 'list',
                of: { type: 'string', description: 'A pattern: `*` stands for anything.' },
                description: 'Tags with such a name.',
              },
              mostRecent: {
                type: 'integer',
                optional: true,
                minimum: 1,
                description: 'So many tags that were pushed last.',
              },
              pushedWithin: {
                type: 'duration',
                optional: true,
                description: 'Tags that were pushed within this time.',
              },
              pulledWithin: {
                type: 'duration',
                optional: true,
                description: 'Tags that were pulled or pushed within this time.',
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

type RetentionFile = Decoded<typeof retentionFile>;

/** The conditions of a rule; a tag stays when one of them holds. */
export interface KeepTags {
  readonly patterns: RegExp | undefined;
  readonly mostRecent: number | undefined;
  /** Milliseconds. */
  readonly pushedWithin: number | undefined;
  /** Milliseconds. */
  readonly pulledWithin: number | undefined;
}

export interface RetentionRule {
  readonly repositories: RegExp;
  readonly keepTags: KeepTags;
}

/** Parses rules of retention, YAML or JSON. @throws Error that tells every problem with its path */
export function parseRetentionRules(text: string): readonly RetentionRule[] {
  return readRules(retentionFile, text, checkRules).retention.map(({ repositories, keepTags }) => ({
    repositories: namePattern(repositories),
    keepTags: {
      ...keepTags,
      patterns: keepTags.patterns.length > 0 ? namePattern(keepTags.patterns) : undefined,
    },
  }));
}

function checkRules({ retention }: RetentionFile): readonly ConfigProblem[] {
  if (retention.length === 0) return [{ path: 'retention', message: 'is required: a list of rules' }];
  return retention.flatMap(({ repositories, keepTags }, index) => {
    const path = `retention.${index}`;
    const { patterns, mostRecent, pushedWithin, pulledWithin } = keepTags;
    const isEmpty = patterns.length === 0 && (mostRecent ?? pushedWithin ?? pulledWithin) === undefined;
    const message =
      'is required: patterns, mostRecent, pushedWithin or pulledWithin; without one every tag would go';
    return [
      ...checkRepositories(`${path}.repositories`, repositories),
      ...(isEmpty ? [{ path: `${path}.keepTags`, message }] : []),
      ...checkPatterns(`${path}.keepTags.patterns`, patterns, /^[\w.\-*]+$/),
    ];
  });
}
