import { isJsonObject, type FieldError, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { forbiddenField, invalidValue, object, required } from '../kinds/read.ts';
import { compile, RuleError } from './cel.ts';

/** What a schema may say here; anything else would not be checked. */
const KEYWORDS = new Set(
  'additionalProperties anyOf default description enum format items maxItems maxLength maxProperties maximum minItems minLength minProperties minimum nullable pattern properties required title type x-kubernetes-int-or-string x-kubernetes-list-map-keys x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields x-kubernetes-validations'.split(
    ' ',
  ),
);

/**
 * What keeps a schema from being served: words that are not known here, and rules that cannot be compiled.
 * `path` is where it is in the CustomResourceDefinition.
 */
export function schemaErrors(schema: JsonObject, path: string): readonly FieldError[] {
  // Read field by field.
  const given = schema as StructuralSchema;
  const unknown = Object.keys(schema)
    // The two types of an int-or-string are said by anyOf once more.
    .filter((key) => !KEYWORDS.has(key) || (key === 'anyOf' && given['x-kubernetes-int-or-string'] !== true));
  const isTyped =
    given.type !== undefined ||
    given['x-kubernetes-int-or-string'] === true ||
    given['x-kubernetes-preserve-unknown-fields'] === true;
  const children: readonly (readonly [place: string, child: Json | undefined])[] = [
    ...Object.entries(object(schema, 'properties')).map(
      ([name, child]) => [`properties[${name}]`, child] as const,
    ),
    ...['items', 'additionalProperties'].map((key) => [key, schema[key]] as const),
  ];
  return [
    ...unknown.map((key) => forbiddenField(`${path}.${key}`, 'this server does not know it')),
    ...(isTyped ? [] : [required(`${path}.type`, 'must not be empty for specified object fields')]),
    ...ruleErrors(given, path),
    ...children.flatMap(([key, child]) => (isJsonObject(child) ? schemaErrors(child, `${path}.${key}`) : [])),
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
      return [invalidValue(place, rule, error.message)];
    }
  });
}
