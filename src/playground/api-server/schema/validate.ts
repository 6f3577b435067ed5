import { fieldOf, isJsonArray, jsonEqual } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type StructuralSchema } from '../kind.ts';
import { metadataErrors } from '../metadata.ts';
import { correlation, identityOf } from './list-items.ts';
import { checkRules, hasRules } from './rules.ts';

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
  const status = schema.properties?.['status'];
  if (onlyStatus) {
    const value = fieldOf(object, 'status');
    // As Kubernetes, which leaves `status.` out of the message.
    if (status && value !== undefined)
      checkValue(status, value, fieldOf(old, 'status'), { path: 'status', body: '' }, errors);
  } else checkValue(schema, object, old, { path: '', body: '' }, errors);
  checkEmbedded(schema, object, '', errors);
  checkDuplicates(schema, object, '', errors);
  if (!hasRules(schema)) return errors;
  const isBlocked = errors.some(({ type }) => BLOCKING.has(type));
  return [...errors, ...(isBlocked ? [RULES_NOT_CHECKED] : checkRules(schema, object, old))];
}

interface Place {
  readonly path: string;
  /** The path in `… in body must be …`. */
  readonly body: string;
}

/** Adds to `errors` what is wrong with a value, without rules. */
export function checkValue(
  schema: StructuralSchema,
  value: Json,
  old: Json | undefined,
  at: Place,
  errors: FieldError[],
): void {
  if (old !== undefined && jsonEqual(value, old)) return;
  const invalid = (detail: string, shown: Json = value) =>
    errors.push({ type: 'Invalid', path: at.path, value: shown, detail: `${at.body} in body ${detail}` });
  const wanted = wantedTypes(schema);
  if (
    wanted !== undefined &&
    !wanted.includes(typeOf(value)) &&
    !(value === null && schema.nullable === true)
  ) {
    // A whole number is both.
    if (!(typeOf(value) === 'integer' && wanted.includes('number'))) {
      const name = typeOf(value);
      const detail = `${at.body} in body must be of type ${wanted.join(',')}: "${name}"`;
      errors.push({ type: 'TypeInvalid', path: at.path, value: name, detail });
      return;
    }
  }
  checkCombinations(schema, value, old, at, errors);
  if (typeof value === 'string') checkString(schema, value, at, errors, invalid);
  if (typeof value === 'number') checkNumber(schema, value, invalid);
  if (schema.enum !== undefined && value !== null && !schema.enum.some((item) => jsonEqual(item, value))) {
    const values = schema.enum.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
    const detail = `supported values: ${values.map((item) => JSON.stringify(item)).join(', ')}`;
    errors.push({ type: 'NotSupported', path: at.path, value, detail });
  }
  if (isJsonArray(value)) {
    const { minItems = 0, maxItems = Infinity, items, uniqueItems } = schema;
    if (value.length < minItems) invalid(`should have at least ${minItems} items`, value.length);
    if (value.length > maxItems) errors.push(tooMany(at.path, value.length, maxItems));
    if (
      uniqueItems === true &&
      value.some((item, index) => value.slice(0, index).some((other) => jsonEqual(item, other)))
    ) {
      invalid("shouldn't contain duplicates");
    }
    const oldItem = correlation(schema, old);
    for (const [index, item] of value.entries()) {
      if (items) checkValue(items, item, oldItem(item, index), child(at, `[${index}]`), errors);
    }
  } else if (isJsonObject(value)) {
    const keys = Object.keys(value);
    const { minProperties = 0, maxProperties = Infinity, properties = {}, additionalProperties } = schema;
    if (keys.length < minProperties) invalid(`should have at least ${minProperties} properties`, keys.length);
    if (keys.length > maxProperties) errors.push(tooMany(at.path, keys.length, maxProperties));
    for (const name of schema.required ?? []) {
      if (!Object.hasOwn(value, name))
        errors.push({ type: 'Required', path: child(at, `.${name}`).path, detail: '' });
    }
    for (const [name, item] of Object.entries(value)) {
      const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
      if (typeof known === 'object')
        checkValue(known, item, fieldOf(old, name), child(at, `.${name}`), errors);
    }
  }
}

function checkString(
  schema: StructuralSchema,
  value: string,
  at: Place,
  errors: FieldError[],
  invalid: (detail: string) => void,
): void {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  // Characters, not UTF-16 units.
  const length = Array.from(value).length;
  if (length > maxLength) {
    errors.push({ type: 'TooLong', path: at.path, detail: `may not be more than ${maxLength} bytes` });
  }
  // The first mistake in a text is the only one that is told.
  else if (length < minLength) invalid(`should be at least ${minLength} chars long`);
  else if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) {
    invalid(`should match '${pattern}'`);
  }
  if (format !== undefined && FORMATS[format]?.(value) === false) {
    const detail = `${at.body} in body must be of type ${format}: ${JSON.stringify(value)}`;
    errors.push({ type: 'TypeInvalid', path: at.path, value, detail });
  }
}

const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  ipv4: (value) =>
    /^(\d{1,3}\.){3}\d{1,3}$/.test(value) && value.split('.').every((part) => Number(part) < 256),
  uri: (value) => URL.canParse(value),
};

function checkNumber(schema: StructuralSchema, value: number, invalid: (detail: string) => void): void {
  const { minimum = -Infinity, maximum = Infinity, multipleOf } = schema;
  if (schema.exclusiveMaximum === true ? value >= maximum : value > maximum) {
    invalid(`should be less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`);
  }
  if (schema.exclusiveMinimum === true ? value <= minimum : value < minimum) {
    invalid(`should be greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`);
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf))
    invalid(`should be a multiple of ${multipleOf}`);
}

function checkCombinations(
  schema: StructuralSchema,
  value: Json,
  old: Json | undefined,
  at: Place,
  errors: FieldError[],
): void {
  const attempts = (parts: readonly StructuralSchema[] = []) =>
    parts.map((part) => {
      const found: FieldError[] = [];
      checkValue(part, value, old, at, found);
      return found;
    });
  // These are not told with their place.
  const fail = (detail: string) =>
    errors.push({ type: 'Invalid', path: '', value: '', detail: `"${at.body}" must ${detail}` });
  const best = (all: readonly (readonly FieldError[])[]) =>
    all.toSorted((a, b) => a.length - b.length)[0] ?? [];
  // Int-or-string says so twice; the type has been checked.
  const any = attempts(schema['x-kubernetes-int-or-string'] === true ? [] : schema.anyOf);
  if (any.length > 0 && any.every((found) => found.length > 0)) {
    fail('validate at least one schema (anyOf)');
    errors.push(...best(any));
  }
  const one = attempts(schema.oneOf);
  const fitting = one.filter((found) => found.length === 0).length;
  if (one.length > 0 && fitting !== 1) {
    fail(
      `validate one and only one schema (oneOf). Found ${fitting === 0 ? 'none valid' : `${fitting} valid alternatives`}`,
    );
    if (fitting === 0) errors.push(...best(one));
  }
  const all = attempts(schema.allOf);
  errors.push(...all.flat());
  if (all.some((found) => found.length > 0)) {
    fail(
      `validate all the schemas (allOf)${all.some((found) => found.length === 0) ? '' : '. None validated'}`,
    );
  }
  if (schema.not !== undefined && attempts([schema.not])[0]?.length === 0)
    fail('not validate the schema (not)');
}

/** Objects within the object need what every object has. */
function checkEmbedded(schema: StructuralSchema, value: Json, path: string, errors: FieldError[]): void {
  for (const [known, item, itemPath] of childrenOf(schema, value, path)) {
    if (known['x-kubernetes-embedded-resource'] === true && isJsonObject(item)) {
      for (const field of ['apiVersion', 'kind']) {
        if (item[field] === undefined)
          errors.push({ type: 'Required', path: `${itemPath}.${field}`, detail: '' });
      }
      const named = {
        metadata: { name: 'embedded', ...(isJsonObject(item['metadata']) && item['metadata']) },
      };
      const found = metadataErrors(named, { nameRule: 'pathSegment', builtIn: false });
      errors.push(...found.map((error) => ({ ...error, path: `${itemPath}.${error.path}` })));
    }
    checkEmbedded(known, item, itemPath, errors);
  }
}

/** The values in a value that the schema knows, with their schema and path. */
function childrenOf(
  schema: StructuralSchema,
  value: Json,
  path: string,
): readonly (readonly [StructuralSchema, Json, string])[] {
  if (isJsonArray(value)) {
    const { items } = schema;
    return items ? value.map((item, index) => [items, item, `${path}[${index}]`] as const) : [];
  }
  const { properties = {}, additionalProperties } = schema;
  return Object.entries(isJsonObject(value) ? value : {}).flatMap(([name, item]) => {
    const isNamed = Object.hasOwn(properties, name);
    const known = isNamed ? properties[name] : additionalProperties;
    if (typeof known !== 'object') return [];
    return [[known, item, isNamed ? (path === '' ? name : `${path}.${name}`) : `${path}[${name}]`] as const];
  });
}

/** Of sets and list-maps, two items that are the same. */
function checkDuplicates(schema: StructuralSchema, value: Json, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, item] of (isJsonArray(value) ? value : []).entries()) {
    const identity = identityOf(schema, item);
    if (identity === undefined) continue;
    const text = JSON.stringify(identity);
    if (seen.has(text)) {
      errors.push({ type: 'Duplicate', path: `${path}[${index}]`, value: identity, detail: '' });
    }
    seen.add(text);
  }
  for (const [known, item, itemPath] of childrenOf(schema, value, path)) {
    checkDuplicates(known, item, itemPath, errors);
  }
}

function wantedTypes(schema: StructuralSchema): readonly string[] | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return schema.type === undefined ? undefined : [schema.type];
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  if (isJsonArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function tooMany(path: string, count: number, most: number): FieldError {
  return { type: 'TooMany', path, value: count, detail: `must have at most ${most} items` };
}

function child({ path, body }: Place, part: string): Place {
  const join = (parent: string) => (parent === '' ? part.replace(/^\./, '') : parent + part);
  return { path: join(path), body: join(body) };
}
