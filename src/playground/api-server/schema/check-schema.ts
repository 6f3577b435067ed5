import { isJsonObject, type FieldError, type JsonObject, type StructuralSchema } from '../kind.ts';
import { compile, RuleError } from './cel.ts';

/** What a schema may say here; anything else would not be checked. */
const KEYWORDS = new Set([
  'additionalProperties',
  'anyOf',
  'default',
  'description',
  'enum',
  'format',
  'items',
  'maxItems',
  'maxLength',
  'maxProperties',
  'maximum',
  'minItems',
  'minLength',
  'minProperties',
  'minimum',
  'nullable',
  'pattern',
  'properties',
  'required',
  'title',
  'type',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
]);

/**
 * What keeps a schema from being served: words that are not known here, no type, and rules that cannot be compiled.
 * `path` is where it is in the CustomResourceDefinition.
 */
export function schemaErrors(schema: JsonObject, path: string, isItem = false): readonly FieldError[] {
  // Read field by field.
  const given = schema as StructuralSchema;
  const isFree =
    given['x-kubernetes-int-or-string'] === true || given['x-kubernetes-preserve-unknown-fields'] === true;
  const where = isItem ? 'array items' : 'object fields';
  const errors: FieldError[] = Object.keys(schema)
    // The two types of an int-or-string are said by anyOf once more.
    .filter((key) => !KEYWORDS.has(key) || (key === 'anyOf' && given['x-kubernetes-int-or-string'] !== true))
    .map((key) => ({ type: 'Forbidden', path: `${path}.${key}`, detail: 'this server does not know it' }));
  if (given.type === undefined && !isFree) {
    const detail = `must not be empty for specified ${where}`;
    errors.push({ type: 'Required', path: `${path}.type`, detail });
  }
  return [...errors, ...ruleErrors(given, path), ...childErrors(schema, path)];
}

function childErrors(schema: JsonObject, path: string): readonly FieldError[] {
  const { items, additionalProperties, properties } = schema;
  return [
    ...Object.entries(isJsonObject(properties) ? properties : {}).flatMap(([name, child]) =>
      isJsonObject(child) ? schemaErrors(child, `${path}.properties[${name}]`) : [],
    ),
    ...(isJsonObject(items) ? schemaErrors(items, `${path}.items`, true) : []),
    ...(isJsonObject(additionalProperties)
      ? schemaErrors(additionalProperties, `${path}.additionalProperties`)
      : []),
  ];
}

function ruleErrors(schema: StructuralSchema, path: string): readonly FieldError[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  return rules.flatMap(({ rule }, index): readonly FieldError[] => {
    try {
      compile(rule);
      return [];
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      const place = `${path}.x-kubernetes-validations[${index}].rule`;
      return [{ type: 'Invalid', path: place, value: rule, detail: error.message }];
    }
  });
}
