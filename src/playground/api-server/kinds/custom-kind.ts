import { isJsonArray, withFields } from '../fields/json.ts';
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
  immutable,
  invalidValue,
  items,
  notOneOf,
  object,
  required,
  rfc3339,
  text,
  withDefaults,
} from './read.ts';
import { definedSchema, recordedKind } from './recorded.ts';

const META = definedSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

/** The kind that a CustomResourceDefinition defines. It has one version: see definitionErrors. */
export function customKind(definition: JsonObject): Kind {
  const spec = object(definition, 'spec');
  const version = object(spec, 'versions', 0);
  const names = object(spec, 'names');
  const scale = at(version, 'subresources', 'scale');
  const columns = items(version, 'additionalPrinterColumns');
  // That it is a schema, definitionErrors has checked as far as it is relied on.
  const schema = object(version, 'schema', 'openAPIV3Schema') as StructuralSchema;
  return {
    group: text(spec, 'group'),
    version: text(version, 'name'),
    plural: text(names, 'plural'),
    singular: text(names, 'singular'),
    kind: text(names, 'kind'),
    shortNames: strings(names['shortNames']),
    categories: strings(names['categories']),
    namespaced: spec['scope'] === 'Namespaced',
    schema: withIdentity(schema),
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
    columns: [
      commonColumn('Name', (given) => text(given, 'metadata', 'name')),
      ...(columns.length > 0 ? columns.map(customColumn) : [commonColumn('Age', age)]),
    ],
    // What was stored under an earlier schema gets the defaults of the present one.
    ...(count(definition, 'metadata', 'generation') > 1 && {
      stored: {
        group: text(spec, 'group'),
        plural: text(names, 'plural'),
        encode: (given) => given,
        decode: (given) => object(applyDefaults(schema, given)),
      },
    }),
  };
}

/** With what every object has, which a CustomResourceDefinition does not spell out. */
function withIdentity(schema: StructuralSchema): StructuralSchema {
  const identity = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: META } as const;
  return { ...schema, properties: { ...schema.properties, ...identity } };
}

/** Those that every kind has. */
function commonColumn(name: 'Name' | 'Age', value: TableColumn['value']): TableColumn {
  const column = recordedKind('', 'configmaps').columns.find((known) => known.name === name);
  if (column === undefined) throw new Error(`no column ${name} was recorded`);
  return { ...column, type: name === 'Age' ? 'date' : 'string', value };
}

function customColumn(column: JsonObject): TableColumn {
  const path = text(column, 'jsonPath');
  const type = text(column, 'type');
  return {
    name: text(column, 'name'),
    // One of the types that the definition's schema allows.
    type: type as TableColumn['type'],
    format: text(column, 'format'),
    description:
      text(column, 'description') || `Custom resource definition column (in JSONPath format): ${path}`,
    priority: count(column, 'priority'),
    value: (given, now) => columnValue(type, valueAt(path, given), now),
  };
}

function columnValue(type: string, value: Json | undefined, now: number): Json {
  if (value === undefined) return null;
  if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value);
  if (type === 'date') return typeof value === 'string' ? since(value, now) : null;
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  return typeof value === type ? value : null;
}

const STEP = /\.([A-Za-z0-9_-]+)|\[\?\(@\.(\w+)=="([^"]*)"\)\]/g;
const COLUMN_PATH = new RegExp(`^(${STEP.source})+$`);

/** By the part of JSONPath that printer columns use: names, and filters by one field. */
function valueAt(path: string, given: JsonObject): Json | undefined {
  return [...path.matchAll(STEP)].reduce<Json | undefined>(
    (found, [, name, field = '', wanted]) =>
      name === undefined ? items(found).find((item) => item[field] === wanted) : at(found, name),
    given,
  );
}

const strings = (value: Json | undefined): readonly string[] =>
  isJsonArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** The status of a definition that is served: as a controller sets it in the real API server. */
export function acceptedStatus(definition: JsonObject, time: string): JsonObject {
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime: time,
    reason,
    message,
  });
  return {
    ...object(definition, 'status'),
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: object(definition, 'spec', 'names'),
  };
}

/** Of a definition: it is served as soon as it is there. */
export const customResourceDefinition: Partial<Kind> = {
  isEmptiedFirst: true,
  defaults: (given) =>
    changed(given, ['spec'], (spec) =>
      changed(withDefaults(spec, { conversion: { strategy: 'None' } }), ['names'], (names) => {
        const kind = text(names, 'kind');
        return withDefaults(names, { singular: kind.toLowerCase(), listKind: `${kind}List` });
      }),
    ),
  prepare: (given, _old, world) => {
    const isDeleted = at(given, 'metadata', 'deletionTimestamp') !== undefined;
    const finalizers = ['customresourcecleanup.apiextensions.k8s.io'];
    const status = { conditions: null, acceptedNames: { plural: '', kind: '' }, ...object(given, 'status') };
    const conditions = items(status, 'conditions').filter(({ type }) => type !== 'Terminating');
    const terminating = {
      type: 'Terminating',
      status: 'True',
      lastTransitionTime: rfc3339(world.now),
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
    };
    return withFields(given, {
      ...(isDeleted && { metadata: { ...object(given, 'metadata'), finalizers } }),
      status: {
        ...status,
        ...(isDeleted && { conditions: [...conditions, terminating] }),
        storedVersions: [text(given, 'spec', 'versions', 0, 'name')],
      },
    });
  },
  validate: definitionErrors,
};

function definitionErrors(given: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const spec = object(given, 'spec');
  const [group, plural] = [text(spec, 'group'), text(spec, 'names', 'plural')];
  const name = text(given, 'metadata', 'name');
  const [version, ...others] = items(spec, 'versions');
  const schema = at(version, 'schema', 'openAPIV3Schema');
  const unsupported = (path: string, detail: string) =>
    [{ type: 'Forbidden', path: `spec.${path}`, detail: `this server ${detail}` }] as const;
  return [
    ...(name === `${plural}.${group}`
      ? []
      : [invalidValue('metadata.name', name, `must be spec.names.plural+"."+spec.group`)]),
    ...['plural', 'kind'].flatMap((key) =>
      text(spec, 'names', key) === '' ? [required(`spec.names.${key}`)] : [],
    ),
    ...notOneOf('spec.scope', spec['scope'], ['Cluster', 'Namespaced']),
    ...immutable(given, old, ['spec.group', 'spec.scope', 'spec.names.kind', 'spec.names.plural']),
    ...(others.length > 0 ? unsupported('versions', 'knows one version of a kind') : []),
    ...(at(spec, 'conversion', 'strategy') === 'None'
      ? []
      : unsupported('conversion.strategy', 'knows no webhooks: use None')),
    ...items(version, 'additionalPrinterColumns').flatMap((column, index) =>
      COLUMN_PATH.test(text(column, 'jsonPath'))
        ? []
        : unsupported(
            `versions[0].additionalPrinterColumns[${index}].jsonPath`,
            'knows paths such as .spec.a and .status.conditions[?(@.type=="Ready")].status',
          ),
    ),
    // As Kubernetes, which names the schema of an only version by its place in an older form.
    ...(isJsonObject(schema)
      ? schemaErrors(schema, 'spec.validation.openAPIV3Schema')
      : [required('spec.versions[0].schema.openAPIV3Schema')]),
  ];
}
