import { fieldOf, isJsonArray, jsonEqual } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type StructuralSchema } from '../kind.ts';
import { checkRules, hasRules } from './rules.ts';
import { correlation, identityOf, schemaOf } from './structural.ts';

/** While one of these is there, no rule is evaluated: it could not rely on the shape of what it reads. */
const BLOCKING = new Set<FieldError['type']>([
  'NotSupported',
  'Required',
  'TooLong',
  'TooMany',
  'TypeInvalid',
]);

const RULES_NOT_CHECKED: FieldError = {
  type: 'Invalid',
  path: '',
  value: null,
  detail:
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

/**
 * Everything that is wrong with a custom object: values, duplicates in sets and list-maps, rules. `old` is what it was
 * before; an unchanged part is not judged again, and rules that compare see it. With `onlyStatus` the values of status
 * alone are checked, and all rules.
 */
export function validateCustom(
  schema: StructuralSchema,
  object: Json,
  old: Json | undefined,
  onlyStatus: boolean,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  const [checked, field] = onlyStatus ? [schema.properties?.['status'] ?? {}, 'status'] : [schema, ''];
  const [value, before] = onlyStatus ? [fieldOf(object, field) ?? null, fieldOf(old, field)] : [object, old];
  if (value !== null) checkValue(checked, value, before, field, errors);
  if (!hasRules(schema)) return errors;
  const isBlocked = errors.some(({ type }) => BLOCKING.has(type));
  return [...errors, ...(isBlocked ? [RULES_NOT_CHECKED] : checkRules(schema, object, old))];
}

type Report = (type: FieldError['type'], detail: string, shown?: Json) => void;

/** Adds to `errors` what is wrong with a value, without rules. */
function checkValue(
  schema: StructuralSchema,
  value: Json,
  old: Json | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (old !== undefined && jsonEqual(value, old)) return;
  const report: Report = (type, detail, shown = value) =>
    errors.push({
      type,
      path,
      value: shown,
      detail: type === 'TooLong' ? detail : `${path} in body ${detail}`,
    });
  const wanted = wantedTypes(schema);
  const type = typeOf(value);
  const isNull = value === null && schema.nullable === true;
  // A whole number is both.
  const isFit = wanted.includes(type) || (type === 'integer' && wanted.includes('number'));
  if (wanted.length > 0 && !isFit && !isNull) {
    report('TypeInvalid', `must be of type ${wanted.join(',')}: "${type}"`, type);
    return;
  }
  if (typeof value === 'string') checkString(schema, value, report);
  if (typeof value === 'number') checkNumber(schema, value, report);
  if (schema.enum !== undefined && !isNull && !schema.enum.some((item) => jsonEqual(item, value))) {
    const detail = `supported values: ${schema.enum.map((item) => JSON.stringify(item)).join(', ')}`;
    errors.push({ type: 'NotSupported', path, value, detail });
  }
  if (isJsonArray(value)) {
    const { minItems, maxItems, items } = schema;
    checkSize(value.length, { least: minItems, most: maxItems, what: 'items' }, report, path, errors);
    const oldItem = correlation(schema, old);
    const seen = new Set<string>();
    for (const [index, item] of value.entries()) {
      const place = `${path}[${index}]`;
      const identity = identityOf(schema, item);
      const text = JSON.stringify(identity);
      if (identity !== undefined && seen.has(text)) {
        errors.push({ type: 'Duplicate', path: place, value: identity, detail: '' });
      }
      seen.add(text);
      if (items) checkValue(items, item, oldItem(item), place, errors);
    }
  } else if (isJsonObject(value)) {
    const { minProperties, maxProperties, required = [] } = schema;
    const limits = { least: minProperties, most: maxProperties, what: 'properties' };
    checkSize(Object.keys(value).length, limits, report, path, errors);
    for (const name of required) {
      if (!Object.hasOwn(value, name)) errors.push({ type: 'Required', path: below(path, name), detail: '' });
    }
    for (const [name, item] of Object.entries(value)) {
      const known = schemaOf(schema, name);
      if (known) checkValue(known, item, fieldOf(old, name), below(path, name), errors);
    }
  }
}

function checkSize(
  size: number,
  limits: { readonly least: number | undefined; readonly most: number | undefined; readonly what: string },
  report: Report,
  path: string,
  errors: FieldError[],
): void {
  const { least = 0, most = Infinity, what } = limits;
  if (size < least) report('Invalid', `should have at least ${least} ${what}`, size);
  if (size > most)
    errors.push({ type: 'TooMany', path, value: size, detail: `must have at most ${most} items` });
}

const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function checkString(schema: StructuralSchema, value: string, report: Report): void {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  // Characters, not UTF-16 units.
  const length = Array.from(value).length;
  // The first mistake in a text is the only one that is told.
  if (length > maxLength) report('TooLong', `may not be more than ${maxLength} bytes`);
  else if (length < minLength) report('Invalid', `should be at least ${minLength} chars long`);
  else if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) {
    report('Invalid', `should match '${pattern}'`);
  }
  if (format === 'date-time' && (!TIME.test(value) || Number.isNaN(Date.parse(value)))) {
    report('TypeInvalid', `must be of type ${format}: ${JSON.stringify(value)}`);
  }
}

function checkNumber(schema: StructuralSchema, value: number, report: Report): void {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  if (value > maximum) report('Invalid', `should be less than or equal to ${maximum}`);
  if (value < minimum) report('Invalid', `should be greater than or equal to ${minimum}`);
}

function wantedTypes(schema: StructuralSchema): readonly string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return schema.type === undefined ? [] : [schema.type];
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  if (isJsonArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

const below = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
