import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { nameProblems } from '../metadata.ts';
import { childrenOf } from '../schema/structural.ts';
import { rulesOf, type DefinitionRules } from './definition-rules.ts';
import { invalidValue, notOneOf, required, text, withDefaults } from './read.ts';
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
  const check = (
    fields: readonly string[] = [],
    problems: (field: string, path: string) => readonly FieldError[],
  ) => fields.flatMap((field) => problems(field, prefix + field));
  return [
    ...check(rules.required, (field, path) => (isMissing(value[field]) ? [required(path)] : [])),
    ...check(rules.labels, (field, path) => labelErrors(text(value, field), path)),
    ...check(rules.counts, (field, path) => countErrors(path, value[field])),
    ...check(rules.ports, (field, path) => portErrors(path, value[field] ?? 0)),
    ...Object.entries(rules.supported ?? {}).flatMap(([field, supported]) =>
      notOneOf(prefix + field, value[field], supported),
    ),
  ];
}

function isMissing(value: Json | undefined): boolean {
  return (value ?? '') === '' || (isJsonArray(value) && value.length === 0);
}

function labelErrors(value: string, path: string): readonly FieldError[] {
  if (value === '') return [required(path)];
  return nameProblems('label', value).map((detail) => invalidValue(path, value, detail));
}

function countErrors(path: string, value: Json | undefined): readonly FieldError[] {
  return typeof value === 'number' && value < 0
    ? [invalidValue(path, value, 'must be greater than or equal to 0')]
    : [];
}

function portErrors(path: string, value: Json): readonly FieldError[] {
  if (typeof value === 'number' && value >= 1 && value <= 65535) return [];
  return [invalidValue(path, value, 'must be between 1 and 65535, inclusive')];
}
