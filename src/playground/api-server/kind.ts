/** JSON as it is stored: never changed in place, so that objects can be shared between the store, answers and watches. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** What a CustomResourceDefinition's `openAPIV3Schema` may hold. Of built-in kinds the same, taken from Kubernetes. */
export interface StructuralSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly format?: string;
  readonly description?: string;
  readonly default?: Json;
  readonly nullable?: boolean;
  readonly enum?: readonly Json[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema | boolean;
  readonly items?: StructuralSchema;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly reason?:
    'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
  readonly fieldPath?: string;
}

/** One kind as it is served in one version: where it is, what it may hold, and what happens to it on a write. */
export interface Kind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Of the whole object: `apiVersion`, `kind` and all of `metadata` too, also for custom kinds. */
  readonly schema: StructuralSchema;
  /** From a CustomResourceDefinition: defaults and all of validation are in the schema. */
  readonly custom: boolean;
  /** Whether there is a status subresource. */
  readonly status: boolean;
  /** Whether `metadata.generation` counts the changes of what is neither metadata nor, with the subresource, status. */
  readonly generation: boolean;
  readonly scale?: ScalePaths;
  /** Of `kubectl get`, the name included. */
  readonly columns: readonly TableColumn[];
  /** Subdomain where absent. */
  readonly nameRule?: NameRule;
  /** Fields beside metadata.name and metadata.namespace that a field selector may name, and how to read one. */
  readonly selectable?: Readonly<Record<string, (object: JsonObject) => string>>;
  /** PUT must name the version that it replaces, as it must of every custom kind. */
  readonly needsVersion?: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted?: boolean;
  /** DELETE marks the object; it goes when what is in it is gone. */
  readonly isEmptiedFirst?: boolean;
  /** A kind that shares its objects with another, such as the two kinds of Event. */
  readonly stored?: {
    readonly group: string;
    readonly plural: string;
    /** Into and out of the form in which the other kind stores it. */
    encode(object: JsonObject): JsonObject;
    decode(object: JsonObject): JsonObject;
  };
  /** Built-in kinds: fills in what is left out. The schema has been checked. */
  defaults?(object: JsonObject): JsonObject;
  /** Before validation: what the server alone sets or keeps. `old` is absent for a create. */
  prepare?(object: JsonObject, old: JsonObject | undefined, world: World): JsonObject;
  /** Seconds that a deletion waits for who runs the object, which then deletes it with 0. Absent or 0: gone at once. */
  gracePeriod?(object: JsonObject): number;
  /** What is wrong beyond the schema. `old` is absent for a create. */
  validate?(object: JsonObject, old: JsonObject | undefined): readonly FieldError[];
}

export type NameRule = 'subdomain' | 'label' | 'label1035';

/** What `prepare` may know of the rest. */
export interface World {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** From 0 up to 1. */
  random(): number;
  /** Objects of a built-in kind, by `group/plural`. */
  objects(resource: string): readonly JsonObject[];
  /** IPv4 network that clusterIPs are taken from, such as `127.96.0.0/16`. */
  readonly serviceNetwork: string;
}

/** Where the scale subresource finds its fields, as `.spec.replicas`. */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description: string;
  /** 0: always shown; 1: with `-o wide`. */
  readonly priority: number;
  /** The cell. `now` is in milliseconds since the epoch, for ages. */
  value(object: JsonObject, now: number): Json;
}

/** One mistake in an object, as Kubernetes' `field.Error`. */
export interface FieldError {
  readonly type:
    | 'Required'
    | 'Invalid'
    | 'NotSupported'
    | 'Duplicate'
    | 'Forbidden'
    | 'TooLong'
    | 'TooMany'
    | 'TypeInvalid'
    | 'NotFound';
  /** `spec.users[0].name`; empty for the object itself. */
  readonly path: string;
  /** The value that is wrong, where the message shows it. */
  readonly value?: Json;
  readonly detail: string;
}

/** `v1` for the core group, else `group/version`. */
export function apiVersionOf(kind: { readonly group: string; readonly version: string }): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
