import { isJsonArray, jsonEqual } from './fields/json.ts';
import { type FieldError, type Json, type JsonObject, type NameRule } from './kind.ts';
import { at, forbiddenField, invalidValue, object as fieldsOf, required, text } from './kinds/read.ts';

/** What Kubernetes says where a text does not match, with its examples and its expression. */
function mismatch(what: string, expression: string, ...examples: readonly string[]): string {
  const all = examples.map((example) => `'${example}', `).join(' or ');
  return `${what} (e.g. ${all}regex used for validation is '${expression}')`;
}

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED})?`;

const NAMES: Readonly<
  Record<Exclude<NameRule, 'pathSegment'>, readonly [expression: string, most: number, message: string]>
> = {
  subdomain: [
    SUBDOMAIN,
    253,
    mismatch(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
      SUBDOMAIN,
      'example.com',
    ),
  ],
  label: [
    LABEL,
    63,
    mismatch(
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
      LABEL,
      'my-name',
      '123-abc',
    ),
  ],
  label1035: [
    LABEL_1035,
    63,
    mismatch(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
      LABEL_1035,
      'my-name',
      'abc-123',
    ),
  ],
};

const QUALIFIED_MESSAGE = mismatch(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  QUALIFIED,
  'MyName',
  'my.name',
  '123-abc',
);
const LABEL_VALUE_MESSAGE = mismatch(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  LABEL_VALUE,
  'MyValue',
  'my_value',
  '12345',
);

/** What is wrong with a name. */
function nameProblems(rule: NameRule, name: string): readonly string[] {
  if (rule === 'pathSegment') {
    return ['/', '%'].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`);
  }
  const [expression, most, message] = NAMES[rule];
  const isDotted = rule === 'label' && new RegExp(`^${SUBDOMAIN}$`).test(name);
  return [
    ...(name.length > most ? [`must be no more than ${most} characters`] : []),
    ...(new RegExp(`^(${expression})$`).test(name) ? [] : [isDotted ? 'must not contain dots' : message]),
  ];
}

/** What is wrong with the key of a label or annotation, or the name of a finalizer. */
export function qualifiedNameProblems(key: string): readonly string[] {
  const [name = '', ...prefix] = key.split('/').toReversed();
  return [
    ...prefix.flatMap((part) => nameProblems('subdomain', part)).map((why) => `prefix part ${why}`),
    ...(name.length > 63 ? ['name part must be no more than 63 characters'] : []),
    ...(new RegExp(`^${QUALIFIED}$`).test(name) ? [] : [`name part ${QUALIFIED_MESSAGE}`]),
  ];
}

function labelValueProblems(value: string): readonly string[] {
  return [
    ...(value.length > 63 ? ['must be no more than 63 characters'] : []),
    ...(new RegExp(`^${LABEL_VALUE}$`).test(value) ? [] : [LABEL_VALUE_MESSAGE]),
  ];
}

/** Mistakes in labels, wherever they are. */
function labelErrors(labels: Json | undefined, path: string): readonly FieldError[] {
  return [
    ...qualifiedNameErrors(Object.keys(fieldsOf(labels)), path),
    ...Object.values(fieldsOf(labels)).flatMap((value) =>
      labelValueProblems(text(value)).map((detail) => invalidValue(path, value, detail)),
    ),
  ];
}

function qualifiedNameErrors(names: readonly string[], path: string): readonly FieldError[] {
  return names.flatMap((name) =>
    qualifiedNameProblems(name).map((detail) => invalidValue(path, name, detail)),
  );
}

/** What is wrong with the metadata of an object that is new, or is changed to this. */
export function metadataErrors(object: JsonObject, rule: NameRule): readonly FieldError[] {
  const meta = object['metadata'];
  const name = text(meta, 'name');
  const nameErrors = nameProblems(rule, name).map((detail) => invalidValue('metadata.name', name, detail));
  return [
    ...(name === '' ? [required('metadata.name', 'name or generateName is required')] : nameErrors),
    ...(text(meta, 'generateName') === ''
      ? []
      : [forbiddenField('metadata.generateName', 'this server makes no names')]),
    ...labelErrors(at(meta, 'labels'), 'metadata.labels'),
    ...qualifiedNameErrors(
      Object.keys(fieldsOf(meta, 'annotations')).map((key) => key.toLowerCase()),
      'metadata.annotations',
    ),
    ...qualifiedNameErrors(stringsOf(at(meta, 'finalizers')), 'metadata.finalizers'),
  ];
}

const IMMUTABLE = ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp'];

/** What may not change in metadata. */
export function metadataUpdateErrors(object: JsonObject, old: JsonObject): readonly FieldError[] {
  const [meta, oldMeta] = [object['metadata'], old['metadata']];
  const before = stringsOf(at(oldMeta, 'finalizers'));
  const added = stringsOf(at(meta, 'finalizers')).filter((name) => !before.includes(name));
  const list = added.toSorted().map((name) => JSON.stringify(name));
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(', ')}}`;
  return [
    ...(at(oldMeta, 'deletionTimestamp') === undefined || added.length === 0
      ? []
      : [forbiddenField('metadata.finalizers', detail)]),
    ...IMMUTABLE.filter((key) => !jsonEqual(at(meta, key), at(oldMeta, key))).map((key) =>
      invalidValue(`metadata.${key}`, at(meta, key) ?? null, 'field is immutable'),
    ),
  ];
}

/** The strings of a list that may be absent. */
export function stringsOf(value: Json | undefined): readonly string[] {
  return isJsonArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
