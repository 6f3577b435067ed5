import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { childrenOf } from '../schema/structural.ts';
import { rulesOf, type DefinitionRules } from './definition-rules.ts';
import { forbiddenField, notOneOf, required, withDefaults } from './read.ts';
import { definitionName } from './recorded.ts';

/** An object of a built-in kind with what Kubernetes fills in. */
export function filled(schema: StructuralSchema, value: JsonObject): JsonObject {
  // What comes of an object is one.
  return fill(schema, value) as JsonObject;
}

function fill(schema: StructuralSchema, value: Json): Json {
  if (isJsonArray(value)) return value.map((item) => fill(schema.items ?? {}, item));
  if (!isJsonObject(value)) return value;
  const { defaults = {} } = rulesOf(definitionName(schema)) ?? {};
  const given = withDefaults(value, typeof defaults === 'function' ? defaults(value) : defaults);
  const { properties = {} } = schema;
  return objectOf(Object.entries(given).map(([name, child]) => [name, fill(properties[name] ?? {}, child)]));
}

/** What is wrong with an object of a built-in kind by the rules of its definitions, status excepted. */
export function mistakes(schema: StructuralSchema, value: Json, path = ''): readonly FieldError[] {
  const rules = rulesOf(definitionName(schema));
  return [
    ...(rules && isJsonObject(value) ? ruleErrors(rules, value, path === '' ? '' : `${path}.`) : []),
    ...childrenOf(schema, value, path)
      .filter((child) => child.path !== 'status')
      .flatMap((child) => mistakes(child.schema, child.value, child.path)),
  ];
}

function ruleErrors(rules: DefinitionRules, value: JsonObject, prefix: string): readonly FieldError[] {
  const missing = (rules.required ?? []).filter((field) => isMissing(value[field]));
  const unknown = (rules.unknown ?? []).filter((field) => Boolean(value[field]));
  return [
    ...missing.map((field) => required(prefix + field)),
    ...unknown.map((field) => forbiddenField(prefix + field, 'the playground does not know it')),
    ...Object.entries(rules.supported ?? {}).flatMap(([field, supported]) =>
      notOneOf(prefix + field, value[field], supported),
    ),
  ];
}

function isMissing(value: Json | undefined): boolean {
  return (value ?? '') === '' || (isJsonArray(value) && value.length === 0);
}
