import { API_VERSION } from './names.ts';
import type { ResourceDefinition } from './resource.ts';
import type { Schema, ValidationRule } from './schema.ts';
import { validationRules } from './validation-rules.ts';

/**
 * The reference page of a kind as Markdown: each field with its type, default and bounds, what is refused and what to
 * write instead, the columns of `kubectl get`.
 *
 * @param example a manifest to begin the page with
 */
export function referencePage(definition: ResourceDefinition, example: string): string {
  const { kind, plural, shortNames, description, spec, status, rules, printerColumns } = definition;
  const refusals = [
    ...refusalsOf('', { ...spec, 'x-kubernetes-validations': rules }, 0),
    ...refusalsOf('spec', spec),
  ];
  return [
    `# ${kind}`,
    `\`${API_VERSION}\`, namespaced; \`kubectl get ${plural}\`, short ${shortNames.map((name) => `\`${name}\``).join(', ')}.`,
    description,
    `\`\`\`yaml\n${example.trimEnd()}\n\`\`\``,
    '## spec',
    fieldTable(fieldsOf('spec', spec)),
    '## What is refused',
    table(['Where', 'Message', 'When'], refusals),
    '## status',
    fieldTable(fieldsOf('status', status)),
    '## Columns',
    table(
      ['Column', 'Shows'],
      printerColumns.map((column) => [
        column.name,
        `${column.description}${column.priority ? ' With `-o wide`.' : ''}`,
      ]),
    ),
  ]
    .join('\n\n')
    .concat('\n');
}

interface Field {
  readonly path: string;
  readonly schema: Schema;
  readonly required: boolean;
}

/** The fields below `schema`, parents before their children, items as `path[]`, values of maps as `path.*`. */
function* fieldsOf(path: string, schema: Schema): Generator<Field> {
  if (!('type' in schema)) return;
  if (schema.type === 'array') {
    yield* fieldsOf(`${path}[]`, schema.items);
  } else if (schema.type === 'object' && 'properties' in schema) {
    for (const [key, property] of Object.entries(schema.properties)) {
      const field = `${path}.${key}`;
      yield { path: field, schema: property, required: schema.required?.includes(key) ?? false };
      yield* fieldsOf(field, property);
    }
  }
}

function fieldTable(fields: Iterable<Field>): string {
  return table(
    ['Field', 'Type', 'Default', 'Description'],
    [...fields].map(({ path, schema, required }) => [
      `\`${path}\``,
      typeOf(schema),
      required ? 'required' : defaultOf(schema),
      describe(schema),
    ]),
  );
}

function typeOf(schema: Schema): string {
  if (!('type' in schema)) return 'quantity';
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`;
  if (schema.type === 'object' && 'additionalProperties' in schema)
    return `map to ${typeOf(schema.additionalProperties)}`;
  if (schema.type === 'string' && schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.type === 'string' && schema.format === 'date-time') return 'time';
  return schema.type;
}

function defaultOf(schema: Schema): string {
  return 'default' in schema && JSON.stringify(schema.default) !== '{}'
    ? `\`${JSON.stringify(schema.default)}\``
    : '';
}

function describe(schema: Schema): string {
  const sentences = [schema.description];
  if ('type' in schema && schema.type === 'array' && schema.items.description !== '') {
    if (schema.items.description !== schema.description) sentences.push(`Each: ${schema.items.description}`);
  }
  const bounds = boundsOf(schema);
  if (bounds !== '') sentences.push(`${bounds}.`);
  return sentences.join(' ');
}

function boundsOf(schema: Schema): string {
  if (!('type' in schema)) return '';
  if (schema.type === 'integer') return range(schema.minimum, schema.maximum, '');
  if (schema.type === 'string') return schema.enum ? '' : range(undefined, schema.maxLength, ' characters');
  if (schema.type === 'array') return range(schema.minItems, schema.maxItems, ' items');
  return '';
}

function range(minimum: number | undefined, maximum: number | undefined, unit: string): string {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}${unit}`;
  if (maximum !== undefined) return `At most ${maximum}${unit}`;
  return minimum !== undefined && minimum !== 0 ? `At least ${minimum}${unit}` : '';
}

/** The rules of `schema` and, to `depth`, of what lies below it. */
function* refusalsOf(path: string, schema: Schema, depth = Infinity): Generator<readonly string[]> {
  for (const rule of validationRules(schema)) yield refusal(path, rule);
  if (depth === 0 || !('type' in schema)) return;
  if (schema.type === 'array') yield* refusalsOf(`${path}[]`, schema.items, depth - 1);
  if (schema.type !== 'object' || !('properties' in schema)) return;
  for (const [key, property] of Object.entries(schema.properties)) {
    yield* refusalsOf(`${path}.${key}`, property, depth - 1);
  }
}

function refusal(path: string, { rule, message, fieldPath = '' }: ValidationRule): readonly string[] {
  return [
    `\`${path === '' ? 'metadata.name' : `${path}${fieldPath}`}\``,
    message,
    rule.includes('oldSelf') ? 'on changes' : 'always',
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, header.map(() => '---'), ...rows];
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}
