import type { Field } from './fields.ts';
import { configSchema } from './schema.ts';

/** docs/reference/configuration.md, from the schema. */
export function configurationPage(): string {
  const rows = optionRows(configSchema, '');
  return `<!-- Generated from src/contract/config/schema.ts by \`make generate\`. Do not edit. -->

# Configuration of the registry server

\`stevedore serve CONFIG\` reads docker distribution's \`config.yml\`. Without CONFIG the file is the one that
\`REGISTRY_CONFIGURATION_PATH\` names. Every error is printed with its path, and the process exits with 2 before anything
starts. A key that is not an option is a warning with a suggestion; \`serve --strict\` and \`stevedore check\` take it for an error.

An environment variable overrides an option: \`REGISTRY_\` and the path in capitals, joined with \`_\`, as in
\`REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY\`. Its value is YAML, so that a map or a list can be given inline; an item of a
list is named by its number. Variables that Kubernetes sets for a Service called \`registry\` are ignored.

Durations are written as in Go (\`30s\`, \`1h30m\`); a bare number is nanoseconds.

| option | type | default | what it does |
| --- | --- | --- | --- |
${rows.join('\n')}

## Options of docker distribution without effect

Accepted whatever they hold, and named when the server starts:

${obsoleteOptions(configSchema, '').join('\n')}
`;
}

function obsoleteOptions(field: Field, path: string): string[] {
  if (field.type === 'obsolete') return [`- \`${path}\`: ${field.description}`];
  return childrenOf(field, path).flatMap(([child, childPath]) => obsoleteOptions(child, childPath));
}

function childrenOf(field: Field, path: string): [Field, string][] {
  if (field.type === 'list') return field.of.type === 'object' ? childrenOf(field.of, `${path}[]`) : [];
  if (field.type !== 'object') return [];
  return Object.entries(field.fields).map(([key, child]) => [child, path === '' ? key : `${path}.${key}`]);
}

function optionRows(field: Field, path: string): string[] {
  if (field.type === 'obsolete') return [];
  const below = childrenOf(field, path).flatMap(([child, childPath]) => optionRows(child, childPath));
  if (field.type === 'object') {
    return field.optional ? [row(path, 'map', 'off', field.description), ...below] : below;
  }
  return [row(path, typeName(field), defaultText(field), field.description), ...below];
}

function row(path: string, type: string, whenAbsent: string, description: string): string {
  return `| \`${path}\` | ${type} | ${whenAbsent} | ${description} |`;
}

type Value = Exclude<Field, { readonly type: 'object' | 'obsolete' }>;

function typeName(field: Value): string {
  if (field.type === 'list') return field.of.type === 'object' ? 'list of maps' : `list of ${field.of.type}s`;
  if (field.type === 'map') return field.of === 'list' ? 'map of lists' : 'map of strings';
  if (field.type === 'string' && field.values) return field.values.map((value) => `\`${value}\``).join(', ');
  return field.type;
}

function defaultText(field: Value): string {
  if (field.type === 'map' || field.type === 'list') return '–';
  if (field.default !== undefined) return `\`${field.default}\``;
  return field.optional ? '–' : 'required';
}
