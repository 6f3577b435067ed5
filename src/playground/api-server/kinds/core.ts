import { jsonEqual } from '../fields/json.ts';
import type { FieldError, JsonObject, Kind } from '../kind.ts';
import {
  at,
  changed,
  forbiddenField,
  immutable,
  invalidValue,
  items,
  object,
  required,
  text,
} from './read.ts';

/** What is wrong with the keys of a ConfigMap or Secret, and what may not change once `immutable` is set. */
function dataErrors(
  given: JsonObject,
  old: JsonObject | undefined,
  fields: readonly string[],
): readonly FieldError[] {
  const keys = fields.flatMap((field) =>
    Object.keys(object(given, field)).map((key) => [field, key] as const),
  );
  const fixed = old?.['immutable'] === true ? ['immutable', ...fields] : [];
  return [
    ...fixed
      .filter((field) => !jsonEqual(given[field], old?.[field]))
      .map((field) => forbiddenField(field, 'field is immutable when `immutable` is set')),
    ...keys
      .filter(([, key]) => !/^[-._a-zA-Z0-9]+$/.test(key))
      .map(([field, key]) =>
        invalidValue(`${field}[${key}]`, key, 'a key has letters, digits, -, _ and . alone'),
      ),
  ];
}

export const configMap: Partial<Kind> = {
  validate: (given, old) => dataErrors(given, old, ['data', 'binaryData']),
};

export const secret: Partial<Kind> = {
  selectable: { type: (given) => text(given, 'type') },
  defaults: ({ stringData, ...rest }) => {
    if (stringData === undefined) return rest;
    const written = Object.entries(object(stringData)).map(([key, value]) => [
      key,
      Buffer.from(text(value)).toString('base64'),
    ]);
    return { ...rest, data: { ...object(rest, 'data'), ...Object.fromEntries(written) } };
  },
  validate: (given, old) => [...immutable(given, old, ['type']), ...dataErrors(given, old, ['data'])],
};

export const namespace: Partial<Kind> = {
  nameRule: 'label',
  returnsDeleted: true,
  isEmptiedFirst: true,
  selectable: { 'status.phase': (given) => text(given, 'status', 'phase') },
  defaults: withNameLabel,
  prepare: (given, old) => ({
    ...withNameLabel(given),
    spec: old?.['spec'] ?? { finalizers: ['kubernetes'] },
    ...(old === undefined && { status: { phase: 'Active' } }),
    ...(at(given, 'metadata', 'deletionTimestamp') !== undefined && { status: { phase: 'Terminating' } }),
  }),
};

function withNameLabel(given: JsonObject): JsonObject {
  const name = text(given, 'metadata', 'name');
  if (name === '') return given;
  return changed(given, ['metadata'], (metadata) => ({
    ...object(metadata),
    labels: { ...object(metadata, 'labels'), 'kubernetes.io/metadata.name': name },
  }));
}

export const node: Partial<Kind> = {
  prepare: (given, old) => {
    if (old !== undefined) return given;
    const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
    const others = items(given, 'spec', 'taints').filter(({ key }) => key !== taint.key);
    return { ...given, spec: { ...object(given, 'spec'), taints: [...others, taint] } };
  },
};

const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';

export const persistentVolumeClaim: Partial<Kind> = {
  returnsDeleted: true,
  prepare: (given, old) => {
    if (old !== undefined) return given;
    const kept = changed(given, ['metadata'], (metadata) => ({
      ...object(metadata),
      finalizers: [CLAIM_PROTECTION],
    }));
    return { ...kept, status: { phase: 'Pending' } };
  },
  validate: (given, old) => {
    const spec = object(given, 'spec');
    const path = 'spec.resources[storage]';
    return [
      ...(at(spec, 'accessModes', 0) === undefined
        ? [required('spec.accessModes', 'at least 1 access mode is required')]
        : []),
      ...(at(spec, 'resources', 'requests', 'storage') === undefined ? [required(path)] : []),
      ...immutable(given, old, ['spec.accessModes', 'spec.storageClassName', 'spec.volumeName']),
    ];
  },
};
