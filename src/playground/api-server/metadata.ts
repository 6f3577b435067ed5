import { isJsonArray, jsonEqual } from './fields/json.ts';
import { type FieldError, type Json, type JsonObject, type NameRule } from './kind.ts';
import { at, forbiddenField, invalidValue, object as fieldsOf, required, text } from './kinds/read.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
/** Of each sort of name what it must match, and its most characters. */
const NAMES: Readonly<
  Record<NameRule | 'qualified' | 'labelValue', readonly [expression: string, most: number]>
> = {
  subdomain: [`${LABEL}(\\.${LABEL})*`, 253],
  label: [LABEL, 63],
  label1035: ['[a-z]([-a-z0-9]*[a-z0-9])?', 63],
  qualified: [QUALIFIED, 63],
  labelValue: [`(${QUALIFIED})?`, 63],
};

function nameProblems(rule: keyof typeof NAMES, name: string): readonly string[] {
  const [expression, most] = NAMES[rule];
  return [
    ...(name.length > most ? [`must be no more than ${most} characters`] : []),
    ...(new RegExp(`^(${expression})$`).test(name) ? [] : [`must match '${expression}'`]),
  ];
}

/** What is wrong with the key of a label or annotation, or the name of a finalizer. */
export function qualifiedNameProblems(key: string): readonly string[] {
  const [name = '', ...prefix] = key.split('/').toReversed();
  return [
    ...prefix.flatMap((part) => nameProblems('subdomain', part)).map((why) => `prefix part ${why}`),
    ...nameProblems('qualified', name).map((why) => `name part ${why}`),
  ];
}

function labelErrors(labels: Json | undefined, path: string): readonly FieldError[] {
  return [
    ...qualifiedNameErrors(Object.keys(fieldsOf(labels)), path),
    ...Object.values(fieldsOf(labels)).flatMap((value) =>
      nameProblems('labelValue', text(value)).map((detail) => invalidValue(path, value, detail)),
    ),
  ];
}

function qualifiedNameErrors(names: readonly string[], path: string): readonly FieldError[] {
  return names.flatMap((name) =>
    qualifiedNameProblems(name).map((detail) => invalidValue(path, name, detail)),
  );
}

/** What is wrong with the metadata of an object. `rule`: of its name, while it is new. */
export function metadataErrors(object: JsonObject, rule?: NameRule): readonly FieldError[] {
  const meta = object['metadata'];
  const name = text(meta, 'name');
  const problems = rule === undefined ? [] : nameProblems(rule, name);
  const nameErrors = problems.map((detail) => invalidValue('metadata.name', name, detail));
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
