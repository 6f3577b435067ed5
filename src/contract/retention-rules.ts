import { decodeObject, isRawObject, type ConfigProblem, type Findings } from './config/decode.ts';
import type { Decoded, ObjectField } from './config/fields.ts';
import { parseYaml } from './config/yaml.ts';
import { namePattern } from './name-pattern.ts';

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
          repositories: {
            type: 'list',
            of: {
              type: 'string',
              description: 'A pattern: `*` stands for anything but a slash, `**` for anything.',
            },
            description: 'The repositories that the rule is about.',
          },
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

/**
 * Parses rules of retention, YAML or JSON. A key that is not known is an error: a rule that was misspelt would delete more
 * than its author meant.
 * @throws Error that tells every problem with its path
 */
export function parseRetentionRules(text: string): readonly RetentionRule[] {
  const found: Findings = { errors: [], warnings: [], notices: [], files: [] };
  const document = parseYaml(text, '(document)', found);
  if (document !== undefined && !isRawObject(document)) {
    found.errors.push({ path: '(document)', message: 'must be a map with the key retention' });
  }
  // decodeObject follows the schema, which is what the type is inferred from.
  const file = decodeObject(
    retentionFile,
    isRawObject(document) ? document : null,
    '',
    found,
  ) as RetentionFile;
  const problems: readonly ConfigProblem[] = [
    ...found.errors,
    ...found.warnings.map(({ path, message }) => ({ path, message: message.replace(' and is ignored', '') })),
    ...(found.errors.length + found.warnings.length === 0 ? findMistakes(file) : []),
  ];
  if (problems.length > 0)
    throw new Error(problems.map(({ path, message }) => `${path} ${message}`).join('; '));
  return file.retention.map(({ repositories, keepTags }) => ({
    repositories: namePattern(repositories),
    keepTags: {
      ...keepTags,
      patterns: keepTags.patterns.length > 0 ? namePattern(keepTags.patterns) : undefined,
    },
  }));
}

function findMistakes({ retention }: RetentionFile): readonly ConfigProblem[] {
  if (retention.length === 0) return [{ path: 'retention', message: 'is required: a list of rules' }];
  return retention.flatMap(({ repositories, keepTags }, index) => {
    const problem = (key: string, message: string): ConfigProblem => ({
      path: `retention.${index}.${key}`,
      message,
    });
    const conditions = [keepTags.mostRecent, keepTags.pushedWithin, keepTags.pulledWithin];
    const isEmpty = keepTags.patterns.length === 0 && conditions.every((value) => value === undefined);
    const unmatched = (key: string, patterns: readonly string[], allowed: RegExp): ConfigProblem[] =>
      patterns
        .filter((pattern) => !allowed.test(pattern))
        .map((pattern) => problem(key, `has ${JSON.stringify(pattern)}, which no name can match`));
    return [
      ...(repositories.length === 0 ? [problem('repositories', 'is required, as in ["**"] for all')] : []),
      ...(isEmpty
        ? [
            problem(
              'keepTags',
              'is required: patterns, mostRecent, pushedWithin or pulledWithin; without one every tag would go',
            ),
          ]
        : []),
      ...unmatched('repositories', repositories, /^[a-z0-9._\-/*]+$/),
      ...unmatched('keepTags.patterns', keepTags.patterns, /^[\w.\-*]+$/),
    ];
  });
}
