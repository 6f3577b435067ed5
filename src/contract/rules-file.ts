import { decodeObject, isRawObject, type ConfigProblem, type Findings } from './config/decode.ts';
import type { Decoded, Field, ObjectField } from './config/fields.ts';
import { parseYaml } from './config/yaml.ts';

/** `repositories` of a rule. */
export const repositoriesField = {
  type: 'list',
  of: {
    type: 'string',
    description: 'A pattern: `*` stands for anything but a slash, `**` for anything.',
  },
  description: 'The repositories that the rule is about.',
} as const satisfies Field;

/**
 * Reads a file of rules, YAML or JSON. Unlike in the configuration, a key that is not known is an error: a rule that was
 * misspelt would do something else than its author meant.
 * @param check what is wrong with rules that can be read
 * @throws Error that tells every problem with its path
 */
export function readRules<F extends ObjectField>(
  field: F,
  text: string,
  check: (file: Decoded<F>) => readonly ConfigProblem[],
): Decoded<F> {
  const found: Findings = { errors: [], warnings: [], notices: [], files: [] };
  const document = parseYaml(text, '(document)', found);
  // What is there for a moment while a file is written must not be taken for rules.
  if (document === null)
    found.errors.push({ path: '(document)', message: 'is empty: write {} for no rules' });
  else if (document !== undefined && !isRawObject(document)) {
    found.errors.push({ path: '(document)', message: 'must be a map' });
  }
  // decodeObject follows the schema, which is what the type is inferred from.
  const file = decodeObject(field, isRawObject(document) ? document : null, '', found) as Decoded<F>;
  const unreadable = [
    ...found.errors,
    ...found.warnings.map(({ path, message }) => ({ path, message: message.replace(' and is ignored', '') })),
  ];
  const problems = unreadable.length > 0 ? unreadable : check(file);
  if (problems.length === 0) return file;
  throw new Error(problems.map(({ path, message }) => `${path} ${message}`).join('; '));
}

/** What is wrong with the `repositories` of a rule. */
export function checkRepositories(path: string, patterns: readonly string[]): ConfigProblem[] {
  if (patterns.length === 0) return [{ path, message: 'is required, as in ["**"] for all' }];
  return checkPatterns(path, patterns, /^[a-z0-9._\-/*]+$/);
}

/** @param possible what a pattern that can match may be */
export function checkPatterns(path: string, patterns: readonly string[], possible: RegExp): ConfigProblem[] {
  return patterns
    .filter((pattern) => !possible.test(pattern))
    .map((pattern) => ({ path, message: `has ${JSON.stringify(pattern)}, which no name can match` }));
}
