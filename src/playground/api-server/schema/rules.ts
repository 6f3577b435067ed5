import { fieldOf, isJsonArray, jsonEqual } from '../fields/json.ts';
import {
  isJsonObject,
  type FieldError,
  type Json,
  type StructuralSchema,
  type ValidationRule,
} from '../kind.ts';
import { evaluate, RuleError } from './cel.ts';
import { correlation } from './list-items.ts';

/**
 * Every rule that does not hold, outer ones first. Rules that read `oldSelf` are checked where there is an old value
 * to compare; others are not checked again where nothing has changed.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
 */
export function checkRules(
  schema: StructuralSchema,
  object: Json,
  old: Json | undefined,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  walk(schema, object, old, '', errors);
  return errors;
}

function walk(
  schema: StructuralSchema,
  value: Json,
  old: Json | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (value === null || !hasRules(schema)) return;
  for (const rule of schema['x-kubernetes-validations'] ?? []) {
    const error = checkRule(schema, rule, value, old, path);
    if (error !== undefined) errors.push(error);
  }
  if (isJsonArray(value)) {
    const { items } = schema;
    const oldItem = correlation(schema, old);
    if (items === undefined) return;
    for (const [index, item] of value.entries()) {
      walk(items, item, oldItem(item, index), `${path}[${index}]`, errors);
    }
  } else if (isJsonObject(value)) {
    const { properties = {}, additionalProperties } = schema;
    // As the API server: in the order of names.
    for (const [name, item] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const isNamed = Object.hasOwn(properties, name);
      const known = isNamed ? properties[name] : additionalProperties;
      if (typeof known !== 'object') continue;
      const itemPath = isNamed ? (path === '' ? name : `${path}.${name}`) : `${path}[${name}]`;
      walk(known, item, fieldOf(old, name), itemPath, errors);
    }
  }
}

const TYPES = {
  FieldValueInvalid: 'Invalid',
  FieldValueForbidden: 'Forbidden',
  FieldValueRequired: 'Required',
  FieldValueDuplicate: 'Duplicate',
} as const;

function checkRule(
  schema: StructuralSchema,
  rule: ValidationRule,
  value: Json,
  old: Json | undefined,
  path: string,
): FieldError | undefined {
  const isTransition = /\boldSelf\b/.test(rule.rule);
  const isOptional = rule.optionalOldSelf === true;
  if (isTransition && old === undefined && !isOptional) return undefined;
  if (!isTransition && old !== undefined && jsonEqual(value, old)) return undefined;
  const type = TYPES[rule.reason ?? 'FieldValueInvalid'];
  // As the API server, which shows the type in place of the value.
  const shown = schema.type ?? '';
  const text = rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`;
  try {
    const variables = { schema, self: value, oldSelf: old, isOptional };
    if (evaluate(rule.rule, variables) === true) return undefined;
    const expression = rule.messageExpression;
    const message = expression === undefined ? text : messageOf(expression, variables, text);
    // Of a duplicate the value alone is told.
    const detail = type === 'Duplicate' ? '' : message;
    return { type, path: path + (rule.fieldPath ?? ''), value: shown, detail };
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    return {
      type: 'Invalid',
      path,
      value: shown,
      detail: `${error.message} evaluating rule: ${rule.message ?? rule.rule}`,
    };
  }
}

function messageOf(expression: string, variables: Parameters<typeof evaluate>[1], otherwise: string): string {
  try {
    const message = evaluate(expression, variables);
    return typeof message === 'string' && message.trim() !== '' ? message.trim() : otherwise;
  } catch {
    return otherwise;
  }
}

const known = new WeakMap<StructuralSchema, boolean>();

/** Whether there is a rule at or below a schema. */
export function hasRules(schema: StructuralSchema): boolean {
  let answer = known.get(schema);
  if (answer === undefined) {
    const { properties = {}, additionalProperties, items } = schema;
    const children = [...Object.values(properties), additionalProperties, items];
    answer =
      schema['x-kubernetes-validations'] !== undefined ||
      children.some((child) => typeof child === 'object' && hasRules(child));
    known.set(schema, answer);
  }
  return answer;
}
