import { fieldOf, isJsonArray, jsonEqual } from '../fields/json.ts';
import type { FieldError, Json, StructuralSchema, ValidationRule } from '../kind.ts';
import { evaluate, RuleError } from './cel.ts';
import { childrenOf, correlation } from './structural.ts';

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
  const oldItem = correlation(schema, old);
  for (const child of childrenOf(schema, value, path)) {
    const before = isJsonArray(value) ? oldItem(child.value) : fieldOf(old, child.key);
    walk(child.schema, child.value, before, child.path, errors);
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
  if (isTransition && old === undefined) return undefined;
  if (!isTransition && old !== undefined && jsonEqual(value, old)) return undefined;
  const type = TYPES[rule.reason ?? 'FieldValueInvalid'];
  // As the API server, which shows the type in place of the value.
  const shown = schema.type ?? '';
  const text = rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`;
  try {
    if (evaluate(rule.rule, { schema, self: value, oldSelf: old }) === true) return undefined;
    // Of a duplicate the value alone is told.
    return {
      type,
      path: path + (rule.fieldPath ?? ''),
      value: shown,
      detail: type === 'Duplicate' ? '' : text,
    };
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
