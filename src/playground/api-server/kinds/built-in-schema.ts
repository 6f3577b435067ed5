import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { childrenOf } from '../schema/structural.ts';
import { rulesOf } from './definition-rules.ts';
import { forbiddenField, notOneOf, object, required, withDefaults } from './read.ts';
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

/** What is wrong with an object of a built-in kind by its schema and the rules of its definitions, status excepted. */
export function mistakes(schema: StructuralSchema, value: Json, path = ''): readonly FieldError[] {
  if (typeof value === 'string') {
    return value === '' ? [] : notOneOf(path, value, (schema.enum ?? [value]).map(String));
  }
  const { required: others = [], unknown = [] } = rulesOf(definitionName(schema)) ?? {};
  const prefix = path === '' ? '' : `${path}.`;
  const given = object(value);
  // A list that is required may be empty: Kubernetes means that it is written.
  const named = (schema.required ?? []).filter((field) => schema.properties?.[field]?.type !== 'array');
  const wanted = isJsonObject(value) ? [...named, ...others] : [];
  const missing = wanted.filter((field) => isMissing(given[field]));
  return [
    ...missing.map((field) => required(prefix + field)),
    ...unknown
      .filter((field) => Boolean(given[field]))
      .map((field) => forbiddenField(prefix + field, 'the playground does not know it')),
    ...childrenOf(schema, value, path)
      .filter((child) => child.path !== 'status')
      .flatMap((child) => mistakes(child.schema, child.value, child.path)),
  ];
}

function isMissing(value: Json | undefined): boolean {
  return (value ?? '') === '' || (isJsonArray(value) && value.length === 0);
}
