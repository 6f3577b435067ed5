import { isJsonArray, jsonEqual } from './fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject, type NameRule } from './kind.ts';
import { textAt } from './schema/decode.ts';

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

interface Format {
  readonly expression: string;
  readonly most: number;
  readonly message: string;
}

const NAMES: Readonly<Record<Exclude<NameRule, 'pathSegment'>, Format>> = {
  subdomain: {
    expression: SUBDOMAIN,
    most: 253,
    message: mismatch(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
      SUBDOMAIN,
      'example.com',
    ),
  },
  label: {
    expression: LABEL,
    most: 63,
    message: mismatch(
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
      LABEL,
      'my-name',
      '123-abc',
    ),
  },
  label1035: {
    expression: LABEL_1035,
    most: 63,
    message: mismatch(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
      LABEL_1035,
      'my-name',
      'abc-123',
    ),
  },
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
export function nameProblems(rule: NameRule, name: string): readonly string[] {
  if (rule === 'pathSegment') {
    if (name === '.' || name === '..') return [`may not be '${name}'`];
    return ['/', '%'].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`);
  }
  const { expression, most, message } = NAMES[rule];
  const isDotted = new RegExp(`^${SUBDOMAIN}$`).test(name);
  return [
    ...(name.length > most ? [`must be no more than ${most} characters`] : []),
    ...(new RegExp(`^(${expression})$`).test(name)
      ? []
      : [rule === 'label' && isDotted ? 'must not contain dots' : message]),
  ];
}

/** What is wrong with the key of a label or annotation, or the name of a finalizer. */
export function qualifiedNameProblems(text: string): readonly string[] {
  const parts = text.split('/');
  const [name = '', prefix] = parts.toReversed();
  if (parts.length > 2) {
    return [
      `a qualified name ${QUALIFIED_MESSAGE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  if (prefix === '') problems.push('prefix part must be non-empty');
  else if (prefix !== undefined)
    problems.push(...nameProblems('subdomain', prefix).map((text) => `prefix part ${text}`));
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > 63) problems.push('name part must be no more than 63 characters');
  if (!new RegExp(`^${QUALIFIED}$`).test(name)) problems.push(`name part ${QUALIFIED_MESSAGE}`);
  return problems;
}

export function labelValueProblems(value: string): readonly string[] {
  return [
    ...(value.length > 63 ? ['must be no more than 63 characters'] : []),
    ...(new RegExp(`^${LABEL_VALUE}$`).test(value) ? [] : [LABEL_VALUE_MESSAGE]),
  ];
}

/** Mistakes in labels, wherever they are. */
export function labelErrors(labels: Json | undefined, path: string): readonly FieldError[] {
  if (!isJsonObject(labels)) return [];
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((detail) => ({ type: 'Invalid', path, value: key, detail }) as const),
    ...labelValueProblems(textOf(value)).map((detail) => ({ type: 'Invalid', path, value, detail }) as const),
  ]);
}

const MOST_ANNOTATION_BYTES = 256 << 10;

function annotationErrors(annotations: Json | undefined): readonly FieldError[] {
  if (!isJsonObject(annotations)) return [];
  const path = 'metadata.annotations';
  const entries = Object.entries(annotations);
  const bytes = entries.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(textOf(value)),
    0,
  );
  return [
    ...entries.flatMap(([key]) =>
      qualifiedNameProblems(key.toLowerCase()).map(
        (detail) => ({ type: 'Invalid', path, value: key, detail }) as const,
      ),
    ),
    ...(bytes > MOST_ANNOTATION_BYTES
      ? [{ type: 'TooLong', path, detail: `may not be more than ${MOST_ANNOTATION_BYTES} bytes` } as const]
      : []),
  ];
}

function ownerErrors(owners: Json | undefined): readonly FieldError[] {
  if (!isJsonArray(owners)) return [];
  const path = 'metadata.ownerReferences';
  const errors: FieldError[] = [];
  let controller: string | undefined;
  for (const owner of owners.filter(isJsonObject)) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      const given = textOf(owner[key] ?? '');
      // Of three parts, no one is the version.
      if (given !== '' && (key !== 'apiVersion' || given.split('/').length < 3)) continue;
      const detail = key === 'apiVersion' ? 'version must not be empty' : 'must not be empty';
      errors.push({ type: 'Invalid', path: `${path}.${key}`, value: given, detail });
    }
    if (owner['kind'] === 'Event' && owner['apiVersion'] === 'v1') {
      const detail = '/v1, Kind=Event is disallowed from being an owner';
      errors.push({ type: 'Invalid', path, value: owner, detail });
    }
    if (owner['controller'] !== true) continue;
    const name = `${textAt(owner, 'kind')}/${textAt(owner, 'name')}`;
    if (controller !== undefined) {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`;
      errors.push({ type: 'Invalid', path, value: owners, detail });
    } else controller = name;
  }
  return errors;
}

function finalizerErrors(finalizers: readonly string[]): readonly FieldError[] {
  const path = 'metadata.finalizers';
  const errors: FieldError[] = finalizers.flatMap((name) =>
    qualifiedNameProblems(name).map((detail) => ({ type: 'Invalid', path, value: name, detail }) as const),
  );
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    const detail = 'finalizer orphan and foregroundDeletion cannot be both set';
    errors.push({ type: 'Invalid', path, value: finalizers, detail });
  }
  return errors;
}

const STANDARD_FINALIZERS = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** What is wrong with the metadata of an object that is new, or is changed to this. */
export function metadataErrors(
  object: JsonObject,
  options: { readonly nameRule: NameRule; readonly builtIn: boolean },
): readonly FieldError[] {
  const meta = isJsonObject(object['metadata']) ? object['metadata'] : {};
  const name = textAt(meta, 'name') ?? '';
  const prefix = textAt(meta, 'generateName') ?? '';
  const finalizers = stringsOf(meta['finalizers']);
  const errors: FieldError[] = [];
  const nameErrors = (key: string, value: string, shown: string) => {
    for (const detail of nameProblems(options.nameRule, value)) {
      errors.push({ type: 'Invalid', path: `metadata.${key}`, value: shown, detail });
    }
  };
  // What is to come behind the prefix makes its end right.
  if (prefix !== '') nameErrors('generateName', prefix.replace(/-$/, 'a'), prefix);
  if (name !== '') nameErrors('name', name, name);
  else errors.push({ type: 'Required', path: 'metadata.name', detail: 'name or generateName is required' });
  errors.push(
    ...labelErrors(meta['labels'], 'metadata.labels'),
    ...annotationErrors(meta['annotations']),
    ...ownerErrors(meta['ownerReferences']),
    ...finalizerErrors(finalizers),
  );
  if (!options.builtIn) return errors;
  for (const [index, finalizer] of finalizers.entries()) {
    if (finalizer.includes('/') || STANDARD_FINALIZERS.includes(finalizer)) continue;
    const detail = 'name is neither a standard finalizer name nor is it fully qualified';
    errors.push({ type: 'Invalid', path: `metadata.finalizers[${index}]`, value: finalizer, detail });
  }
  return errors;
}

const IMMUTABLE = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];

/** What may not change in metadata. */
export function metadataUpdateErrors(object: JsonObject, old: JsonObject): readonly FieldError[] {
  const meta = isJsonObject(object['metadata']) ? object['metadata'] : {};
  const oldMeta = isJsonObject(old['metadata']) ? old['metadata'] : {};
  const errors: FieldError[] = [];
  const added = stringsOf(meta['finalizers']).filter(
    (name) => !stringsOf(oldMeta['finalizers']).includes(name),
  );
  if (oldMeta['deletionTimestamp'] !== undefined && added.length > 0) {
    const list = added.sort().map((name) => JSON.stringify(name));
    const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(', ')}}`;
    errors.push({ type: 'Forbidden', path: 'metadata.finalizers', detail });
  }
  for (const key of IMMUTABLE) {
    if (jsonEqual(meta[key], oldMeta[key])) continue;
    errors.push({
      type: 'Invalid',
      path: `metadata.${key}`,
      value: meta[key] ?? null,
      detail: 'field is immutable',
    });
  }
  return errors;
}

const textOf = (value: Json): string => (typeof value === 'string' ? value : '');

/** The strings of a list that may be absent. */
export function stringsOf(value: Json | undefined): readonly string[] {
  return isJsonArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
