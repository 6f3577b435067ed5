import { isJsonArray, jsonEqual, withFields } from '../fields/json.ts';
import {
  isJsonObject,
  type FieldError,
  type Json,
  type JsonObject,
  type Kind,
  type StructuralSchema,
  type TableColumn,
} from '../kind.ts';
import { schemaErrors } from '../schema/check-schema.ts';
import { applyDefaults } from '../schema/structural.ts';
import { age, since } from './cells.ts';
import {
  at,
  changed,
  count,
  forbiddenField,
  invalidValue,
  items,
  object,
  required,
  rfc3339,
  text,
  notOneOf,
  withDefaults,
} from './read.ts';
import { definedSchema, recordedKind } from './recorded.ts';

const META = definedSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

/** The kinds that a CustomResourceDefinition defines, one for each version that it serves. */
export function customKinds(definition: JsonObject): readonly Kind[] {
  const spec = object(definition, 'spec');
  const versions = items(spec, 'versions');
  const storage = versions.find((version) => version['storage'] === true);
  const isChanged = count(definition, 'metadata', 'generation') > 1;
  return versions
    .filter((version) => version['served'] === true)
    .map((version) => customKind(spec, version, text(storage, 'name'), isChanged));
}

function customKind(spec: JsonObject, version: JsonObject, storageVersion: string, isChanged: boolean): Kind {
  const [group, name] = [text(spec, 'group'), text(version, 'name')];
  const names = object(spec, 'names');
  const plural = text(names, 'plural');
  const scale = at(version, 'subresources', 'scale');
  const columns = items(version, 'additionalPrinterColumns');
  // See wholeSchema.
  const bodySchema = object(version, 'schema', 'openAPIV3Schema') as StructuralSchema;
  return {
    group,
    version: name,
    plural,
    singular: text(names, 'singular'),
    kind: text(names, 'kind'),
    shortNames: strings(names['shortNames']),
    categories: strings(names['categories']),
    namespaced: spec['scope'] === 'Namespaced',
    schema: wholeSchema(object(version, 'schema', 'openAPIV3Schema')),
    custom: true,
    needsVersion: true,
    status: at(version, 'subresources', 'status') !== undefined,
    generation: true,
    ...(isJsonObject(scale) && {
      scale: {
        specReplicasPath: text(scale, 'specReplicasPath'),
        statusReplicasPath: text(scale, 'statusReplicasPath'),
        labelSelectorPath: text(scale, 'labelSelectorPath'),
      },
    }),
    columns: [nameColumn(), ...(columns.length > 0 ? columns.map(customColumn) : [ageColumn()])],
    ...((name !== storageVersion || isChanged) && {
      stored: {
        group,
        plural,
        // Versions differ in nothing but the name: there are no conversion webhooks.
        encode: (given) => ({ ...given, apiVersion: `${group}/${storageVersion}` }),
        // What was stored under an earlier schema gets the defaults of the present one.
        decode: (given) => ({ ...object(applyDefaults(bodySchema, given)), apiVersion: `${group}/${name}` }),
      },
    }),
  };
}

/** With what every object has, which a CustomResourceDefinition does not spell out. */
function wholeSchema(schema: JsonObject): StructuralSchema {
  // That it is a schema, `customResourceDefinition.validate` has checked as far as we rely on it.
  const given = schema as StructuralSchema;
  return {
    ...given,
    properties: {
      ...given.properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: META,
    },
  };
}

function nameColumn(): TableColumn {
  const column = recordedKind('', 'configmaps').columns.find(({ format }) => format === 'name');
  if (column === undefined) throw new Error('no name column was recorded');
  return { ...column, value: (given) => text(given, 'metadata', 'name') };
}

function ageColumn(): TableColumn {
  const description =
    'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata';
  return { name: 'Age', type: 'date', format: '', description, priority: 0, value: age };
}

function customColumn(column: JsonObject): TableColumn {
  const path = text(column, 'jsonPath');
  const type = text(column, 'type');
  const steps = parsePath(path) ?? [];
  return {
    name: text(column, 'name'),
    // One of the types that the definition's schema allows.
    type: type as TableColumn['type'],
    format: text(column, 'format'),
    description:
      text(column, 'description') || `Custom resource definition column (in JSONPath format): ${path}`,
    priority: count(column, 'priority'),
    value: (given, now) => {
      const [found] = steps.reduce<readonly Json[]>((values, step) => values.flatMap(step), [given]);
      return found === undefined || found === null ? null : columnValue(type, found, now);
    },
  };
}

function columnValue(type: string, value: Json, now: number): Json {
  if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value);
  if (type === 'date') return typeof value === 'string' ? since(value, now) : null;
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  return typeof value === type ? value : null;
}

type Step = (value: Json) => readonly Json[];

/** The part of JSONPath that printer columns use: names, indexes, `[*]`, and filters by one field. */
function parsePath(path: string): readonly Step[] | undefined {
  const token =
    /\.([A-Za-z0-9_-]+(?:\\\.[A-Za-z0-9_-]+)*)|\['((?:[^'\\]|\\.)+)'\]|\[(\d+)\]|(\[\*\])|\[\?\(@\.([A-Za-z0-9_.]+)\s*==\s*["']([^"']*)["']\)\]/y;
  const steps: Step[] = [];
  while (token.lastIndex < path.length) {
    const match = token.exec(path);
    if (match === null) return undefined;
    const [, dotted, quoted, index, all, field, wanted] = match;
    const key = (dotted ?? quoted)?.replaceAll('\\.', '.');
    if (key !== undefined) steps.push((value) => defined(at(value, key)));
    else if (index !== undefined) steps.push((value) => defined(at(value, Number(index))));
    else if (all !== undefined) steps.push((value) => (isJsonArray(value) ? value : []));
    else
      steps.push((value) => items(value).filter((item) => at(item, ...(field ?? '').split('.')) === wanted));
  }
  return steps;
}

const defined = (value: Json | undefined): readonly Json[] => (value === undefined ? [] : [value]);
const strings = (value: Json | undefined): readonly string[] =>
  isJsonArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** The status of a definition once its names are looked at: as a controller sets it in the real API server. */
export function acceptedStatus(
  definition: JsonObject,
  others: readonly JsonObject[],
  time: string,
): JsonObject {
  const names = object(definition, 'spec', 'names');
  const kind = text(names, 'kind');
  const isTaken = others.some(
    (other) =>
      text(other, 'spec', 'group') === text(definition, 'spec', 'group') &&
      text(other, 'spec', 'names', 'kind') === kind,
  );
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    lastTransitionTime: time,
    reason,
    message,
  });
  return {
    ...object(definition, 'status'),
    conditions: isTaken
      ? [
          condition(
            'NamesAccepted',
            'False',
            'ListKindConflict',
            `${JSON.stringify(text(names, 'listKind'))} is already in use`,
          ),
          condition('Established', 'False', 'NotAccepted', 'not all names are accepted'),
        ]
      : [
          condition('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found'),
          condition('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted'),
        ],
    acceptedNames: isTaken ? { plural: text(names, 'plural'), kind: '' } : names,
  };
}

/** Of a definition: it is served as soon as it is there. */
export const customResourceDefinition: Partial<Kind> = {
  isEmptiedFirst: true,
  defaults: (given) =>
    changed(given, ['spec'], (spec) => {
      const filled = withDefaults(spec, { conversion: { strategy: 'None' } });
      return changed(filled, ['names'], (names) =>
        withDefaults(names, {
          singular: text(names, 'kind') === '' ? undefined : text(names, 'kind').toLowerCase(),
          listKind: text(names, 'kind') === '' ? undefined : `${text(names, 'kind')}List`,
        }),
      );
    }),
  prepare: (given, old, world) => {
    const finalizers = ['customresourcecleanup.apiextensions.k8s.io'];
    const isDeleted = at(given, 'metadata', 'deletionTimestamp') !== undefined;
    const held = isDeleted
      ? changed(given, ['metadata'], (meta) => ({ ...object(meta), finalizers }))
      : given;
    const storage = items(given, 'spec', 'versions').find((version) => version['storage'] === true);
    const before = strings(at(old, 'status', 'storedVersions'));
    const name = text(storage, 'name');
    const storedVersions = [...new Set([...before, ...(name === '' ? [] : [name])])];
    const status = { conditions: null, acceptedNames: { plural: '', kind: '' }, ...object(held, 'status') };
    const conditions = items(status, 'conditions');
    const terminating = {
      type: 'Terminating',
      status: 'True',
      lastTransitionTime: rfc3339(world.now),
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
    };
    const isNew = isDeleted && !conditions.some(({ type }) => type === 'Terminating');
    const marked = isNew ? { conditions: [...conditions, terminating] } : {};
    return withFields(held, { status: { ...status, ...marked, storedVersions } });
  },
  validate: definitionErrors,
};

function definitionErrors(given: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const spec = object(given, 'spec');
  const [group, plural] = [text(spec, 'group'), text(spec, 'names', 'plural')];
  const versions = items(spec, 'versions');
  const isStored = versions.filter((version) => version['storage'] === true).length === 1;
  const name = text(given, 'metadata', 'name');
  return [
    ...(name === `${plural}.${group}`
      ? []
      : [invalidValue('metadata.name', name, `must be spec.names.plural+"."+spec.group`)]),
    ...['plural', 'singular', 'kind', 'listKind'].flatMap((key) =>
      text(spec, 'names', key) === '' || (text(spec, 'names', 'kind') === '' && key !== 'plural')
        ? [required(`spec.names.${key}`)]
        : [],
    ),
    ...notOneOf('spec.scope', spec['scope'], ['Cluster', 'Namespaced']),
    ...(isStored
      ? []
      : [
          invalidValue(
            'spec.versions',
            versions.map(goVersion),
            'must have exactly one version marked as storage version',
          ),
          invalidValue('status.storedVersions', null, 'must have at least one stored version'),
        ]),
    ...[['group'], ['scope'], ['names', 'kind'], ['names', 'plural']].flatMap((path) =>
      old === undefined || jsonEqual(at(old, 'spec', ...path), at(spec, ...path))
        ? []
        : [invalidValue(`spec.${path.join('.')}`, at(spec, ...path) ?? null, 'field is immutable')],
    ),
    ...(text(spec, 'conversion', 'strategy') === 'Webhook'
      ? [forbiddenField('spec.conversion.strategy', 'this server knows no webhooks: use None')]
      : []),
    ...versions.flatMap((version, index) => versionErrors(version, index, versions.length === 1)),
  ];
}

/** A version as Go shows it. */
function goVersion(version: JsonObject): JsonObject {
  return {
    Name: text(version, 'name'),
    Served: version['served'] === true,
    Storage: version['storage'] === true,
    Deprecated: version['deprecated'] === true,
    DeprecationWarning: null,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  };
}

/** As Kubernetes, which names the schema of an only version by its place in an older form. */
function versionErrors(version: JsonObject, index: number, isOnly: boolean): readonly FieldError[] {
  const path = `spec.versions[${index}]`;
  const schema = at(version, 'schema', 'openAPIV3Schema');
  if (!isJsonObject(schema)) return [required(`${path}.schema.openAPIV3Schema`)];
  return [
    ...items(version, 'additionalPrinterColumns').flatMap((column, at) =>
      parsePath(text(column, 'jsonPath')) === undefined
        ? [
            invalidValue(
              `${path}.additionalPrinterColumns[${at}].jsonPath`,
              text(column, 'jsonPath'),
              'is not a JSON path that is known here',
            ),
          ]
        : [],
    ),
    ...schemaErrors(schema, isOnly ? 'spec.validation.openAPIV3Schema' : `${path}.schema.openAPIV3Schema`),
  ];
}
