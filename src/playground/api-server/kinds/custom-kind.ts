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
import { compile, RuleError } from '../schema/cel.ts';
import { rulesIn } from '../schema/rules.ts';
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
  text,
  withDefaults,
} from './read.ts';
import { definedSchema, recordedKind } from './recorded.ts';

const META = definedSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

/** The kinds that a CustomResourceDefinition defines, one for each version that it serves. */
export function customKinds(definition: JsonObject): readonly Kind[] {
  const spec = object(definition, 'spec');
  const versions = items(spec, 'versions');
  const storage = versions.find((version) => version['storage'] === true);
  return versions
    .filter((version) => version['served'] === true)
    .map((version) => customKind(spec, version, text(storage, 'name')));
}

function customKind(spec: JsonObject, version: JsonObject, storageVersion: string): Kind {
  const [group, name] = [text(spec, 'group'), text(version, 'name')];
  const names = object(spec, 'names');
  const plural = text(names, 'plural');
  const scale = at(version, 'subresources', 'scale');
  const columns = items(version, 'additionalPrinterColumns');
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
    ...(name !== storageVersion && {
      stored: {
        group,
        plural,
        // Versions differ in nothing but the name: there are no conversion webhooks.
        encode: (given) => ({ ...given, apiVersion: `${group}/${storageVersion}` }),
        decode: (stored) => ({ ...stored, apiVersion: `${group}/${name}` }),
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

/** Of a definition: it is served as soon as it is there. */
export const customResourceDefinition: Partial<Kind> = {
  isEmptiedFirst: true,
  defaults: (given) =>
    changed(given, ['spec'], (spec) => {
      const filled = withDefaults(spec, { conversion: { strategy: 'None' } });
      return changed(filled, ['names'], (names) =>
        withDefaults(names, {
          singular: text(names, 'kind').toLowerCase(),
          listKind: `${text(names, 'kind')}List`,
        }),
      );
    }),
  prepare: (given, old, world) => {
    const { names, versions } = object(given, 'spec');
    const time = `${new Date(world.now).toISOString().slice(0, 19)}Z`;
    const condition = (type: string, reason: string, message: string) => ({
      type,
      status: 'True',
      lastTransitionTime: text(old, 'status', 'conditions', 0, 'lastTransitionTime') || time,
      reason,
      message,
    });
    const storage = items(versions).find((version) => version['storage'] === true);
    const before = strings(at(old, 'status', 'storedVersions'));
    return withFields(given, {
      status: {
        conditions: [
          condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
          condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
          ...items(old, 'status', 'conditions').filter(({ type }) => type === 'Terminating'),
        ],
        acceptedNames: names ?? {},
        storedVersions: [...new Set([...before, text(storage, 'name')])],
      },
    });
  },
  validate: definitionErrors,
};

function definitionErrors(given: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const spec = object(given, 'spec');
  const [group, plural] = [text(spec, 'group'), text(spec, 'names', 'plural')];
  const versions = items(spec, 'versions');
  const storages = versions.filter((version) => version['storage'] === true).length;
  const name = text(given, 'metadata', 'name');
  return [
    ...(name === `${plural}.${group}`
      ? []
      : [invalidValue('metadata.name', name, `must be spec.names.plural+"."+spec.group`)]),
    ...(group.includes('.')
      ? []
      : [invalidValue('spec.group', group, 'should be a domain with at least one dot')]),
    ...(versions.length === 0 ? [required('spec.versions', 'must have at least one version')] : []),
    ...(storages === 1 || versions.length === 0
      ? []
      : [
          invalidValue(
            'spec.versions',
            spec['versions'] ?? null,
            'must have exactly one version marked as storage version',
          ),
        ]),
    ...['group', 'scope'].flatMap((key) =>
      old === undefined || jsonEqual(at(old, 'spec', key), spec[key])
        ? []
        : [invalidValue(`spec.${key}`, spec[key] ?? null, 'field is immutable')],
    ),
    ...(text(spec, 'conversion', 'strategy') === 'Webhook'
      ? [forbiddenField('spec.conversion.strategy', 'this server knows no webhooks: use None')]
      : []),
    ...versions.flatMap((version, index) => versionErrors(version, `spec.versions[${index}]`)),
  ];
}

function versionErrors(version: JsonObject, path: string): readonly FieldError[] {
  const schema = at(version, 'schema', 'openAPIV3Schema');
  const place = `${path}.schema.openAPIV3Schema`;
  if (!isJsonObject(schema)) return [required(place, 'schemas are required')];
  return [
    ...(schema['type'] === 'object'
      ? []
      : [invalidValue(`${place}.type`, schema['type'] ?? '', 'must be object at the root')]),
    ...items(version, 'additionalPrinterColumns').flatMap((column, index) =>
      parsePath(text(column, 'jsonPath')) === undefined
        ? [
            invalidValue(
              `${path}.additionalPrinterColumns[${index}].jsonPath`,
              text(column, 'jsonPath'),
              'is not a JSON path that is known here',
            ),
          ]
        : [],
    ),
    // See wholeSchema.
    ...[...rulesIn(schema as StructuralSchema, place)].flatMap(({ path: rulePath, rule }) => {
      try {
        compile(rule.rule);
        return [];
      } catch (error) {
        if (!(error instanceof RuleError)) throw error;
        return [invalidValue(`${rulePath}.rule`, rule.rule, error.message)];
      }
    }),
  ];
}
