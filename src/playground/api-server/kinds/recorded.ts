import type { JsonObject, StructuralSchema, TableColumn } from '../kind.ts';
import recordedKinds from './recorded-kinds.json' with { type: 'json' };

/** What `scripts/record-kinds.ts` took from a real API server. */
export interface RecordedKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly namespaced: boolean;
  /** The name of the schema in OpenAPI. */
  readonly definition: string;
  readonly columns: readonly Omit<TableColumn, 'value'>[];
}

interface Recorded {
  readonly kubernetes: string;
  readonly resources: readonly RecordedKind[];
  readonly definitions: Readonly<Record<string, Reference>>;
}

/** As the file has it: a schema that is nothing but a name has it in `$ref`. */
interface Reference extends Omit<StructuralSchema, 'properties' | 'items' | 'additionalProperties'> {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Reference>>;
  readonly items?: Reference;
  readonly additionalProperties?: Reference;
}

// The file is written by the script alone; to derive its type from its content would be slow.
const recorded = recordedKinds as unknown as Recorded;

/** The version of Kubernetes that the kinds were recorded from, such as `v1.34.3`. */
export const KUBERNETES_VERSION = recorded.kubernetes;

const schemas = new Map<string, StructuralSchema>();
const names = new WeakMap<StructuralSchema, string>();

/** @throws {Error} when there is no such recorded kind */
export function recordedKind(group: string, plural: string): RecordedKind {
  const found = recorded.resources.find((resource) => resource.group === group && resource.plural === plural);
  if (found === undefined) throw new Error(`${plural}.${group} was not recorded`);
  return found;
}

/** The schema of a definition, with what it refers to in place. Definitions share theirs. */
export function definedSchema(name: string): StructuralSchema {
  const known = schemas.get(name);
  if (known !== undefined) return known;
  const definition = recorded.definitions[name];
  if (definition === undefined) throw new Error(`the definition ${name} was not recorded`);
  // Free JSON: nothing of it is checked, and the schema of schemas would have no end.
  const isFree = name.endsWith('.JSONSchemaProps') || name.endsWith('.JSON');
  const schema = isFree ? { 'x-kubernetes-preserve-unknown-fields': true } : resolved(definition);
  schemas.set(name, schema);
  names.set(schema, name);
  return schema;
}

/** `io.k8s.api.core.v1.PodSpec` of its schema; undefined of a schema without a name. */
export function definitionName(schema: StructuralSchema): string | undefined {
  return names.get(schema);
}

function resolved(reference: Reference, isNull = false): StructuralSchema {
  const { $ref, properties, items, additionalProperties, ...rest } = reference;
  if ($ref !== undefined) {
    const schema = { ...definedSchema($ref), ...rest, ...(isNull && { default: null }) };
    names.set(schema, $ref);
    return schema;
  }
  return {
    ...rest,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, property]) => [key, resolved(property, NULL_TIMES.has(key))]),
      ),
    }),
    ...(items && { items: resolved(items) }),
    ...(additionalProperties && { additionalProperties: resolved(additionalProperties) }),
  };
}

/** Times that Go writes as null where they are not set; other times are left out. The schema does not tell. */
const NULL_TIMES = new Set(
  'deprecatedFirstTimestamp deprecatedLastTimestamp eventTime finishedAt firstTimestamp lastHeartbeatTime lastObservedTime lastProbeTime lastTimestamp lastTransitionTime lastUpdateTime startedAt'.split(
    ' ',
  ),
);

/** For OpenAPI: every definition, with references as it writes them. */
export function openApiDefinitions(): JsonObject {
  const text = JSON.stringify(recorded.definitions).replaceAll('"$ref":"', '"$ref":"#/components/schemas/');
  // It was JSON before.
  return JSON.parse(text) as JsonObject;
}
