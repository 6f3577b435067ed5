import { fieldOf } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject, type StructuralSchema } from '../kind.ts';
import { compile, RuleError } from './cel.ts';
import { checkValue } from './validate.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/**
 * What keeps a schema from being structural, or its rules from being compiled. `path` is where it is in the
 * CustomResourceDefinition.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export function schemaErrors(schema: JsonObject, path: string, isItem = false): readonly FieldError[] {
  // Read field by field, and each is checked before it is relied on.
  const given = schema as StructuralSchema;
  const required = (field: string, detail: string): FieldError => ({
    type: 'Required',
    path: `${path}.${field}`,
    detail,
  });
  const invalid = (field: string, value: Json, detail: string): FieldError => ({
    type: 'Invalid',
    path: `${path}.${field}`,
    value,
    detail,
  });
  const isFree =
    given['x-kubernetes-int-or-string'] === true || given['x-kubernetes-preserve-unknown-fields'] === true;
  const errors: FieldError[] = [];
  if (given.type === undefined && !isFree) {
    errors.push(
      required('type', `must not be empty for specified ${isItem ? 'array items' : 'object fields'}`),
    );
  } else if (given.type !== undefined && !TYPES.includes(given.type)) {
    const detail = `supported values: ${TYPES.map((type) => JSON.stringify(type)).join(', ')}`;
    errors.push({ type: 'NotSupported', path: `${path}.type`, value: given.type, detail });
  }
  if (given.type === 'array' && given.items === undefined)
    errors.push(required('items', 'must be specified'));
  if (given.properties !== undefined && given.additionalProperties !== undefined) {
    const detail = 'additionalProperties and properties are mutual exclusive';
    errors.push({ type: 'Forbidden', path: `${path}.additionalProperties`, detail });
  }
  if (given['x-kubernetes-list-type'] === 'map' && (given['x-kubernetes-list-map-keys'] ?? []).length === 0) {
    errors.push(required('x-kubernetes-list-map-keys', 'must not be empty if x-kubernetes-list-type is map'));
  }
  if (given.pattern !== undefined) {
    const why = patternProblem(given.pattern);
    if (why !== undefined)
      errors.push(invalid('pattern', given.pattern, `must be a valid regular expression, but isn't: ${why}`));
  }
  if (given.default !== undefined && errors.length === 0) {
    checkValue(given, given.default, undefined, { path: `${path}.default`, body: '' }, errors);
  }
  return [...errors, ...ruleErrors(given, path), ...childErrors(schema, path)];
}

function childErrors(schema: JsonObject, path: string): readonly FieldError[] {
  const { items, additionalProperties } = schema;
  const properties = fieldOf(schema, 'properties');
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
  return (schema['x-kubernetes-validations'] ?? []).flatMap((rule, index): readonly FieldError[] => {
    const place = `${path}.x-kubernetes-validations[${index}].rule`;
    if ((rule.rule ?? '') === '') return [{ type: 'Required', path: place, detail: 'rule is not specified' }];
    try {
      compile(rule.rule);
      checkFields(schema, rule.rule);
      return [];
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      // As Go shows its own form of a rule.
      const value = {
        Rule: rule.rule,
        Message: rule.message ?? '',
        MessageExpression: rule.messageExpression ?? '',
        Reason: rule.reason ?? null,
        FieldPath: rule.fieldPath ?? '',
        OptionalOldSelf: rule.optionalOldSelf ?? null,
      };
      return [{ type: 'Invalid', path: place, value, detail: error.message }];
    }
  });
}

/** A field of self that the schema does not have, which no value can ever have. @throws {RuleError} */
function checkFields(schema: StructuralSchema, rule: string): void {
  const withoutStrings = rule.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, (text) =>
    ' '.repeat(text.length),
  );
  for (const match of withoutStrings.matchAll(/\b(?:self|oldSelf)((?:\.[A-Za-z_]\w*)+)(\()?/g)) {
    const [whole, path = '', call] = match;
    const names = path.slice(1).split('.');
    let at = match.index + whole.indexOf('.');
    let part: StructuralSchema | undefined = schema;
    for (const name of call === undefined ? names : names.slice(0, -1)) {
      const isOpen =
        part?.['x-kubernetes-preserve-unknown-fields'] === true || part?.additionalProperties !== undefined;
      if (part === undefined || isOpen || part.type !== 'object') break;
      const isIdentity = ['apiVersion', 'kind', 'metadata'].includes(name);
      const next: StructuralSchema | undefined = part.properties?.[name];
      if (next === undefined && !isIdentity) {
        const marker = `${'.'.repeat(at)}^`;
        throw new RuleError(
          `compilation failed: ERROR: <input>:1:${at + 1}: undefined field '${name}'\n | ${rule}\n | ${marker}`,
        );
      }
      part = isIdentity ? undefined : next;
      at += name.length + 1;
    }
  }
}

function patternProblem(pattern: string): string | undefined {
  try {
    void new RegExp(pattern, 'u');
    return undefined;
  } catch (error) {
    const isOpen = error instanceof Error && error.message.includes('Unterminated group');
    return `error parsing regexp: ${isOpen ? 'missing closing )' : 'invalid syntax'}: \`${pattern}\``;
  }
}
