/**
 * The language the custom resources are written in: Kubernetes structural schemas as TypeScript literals. One literal
 * gives the TypeScript type (`Infer`), the CustomResourceDefinition, the reference page, defaults and validation, so
 * the five cannot disagree. It holds only what a structural schema allows, so a CRD made from it is one.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
export type Schema =
  | ObjectSchema
  | MapSchema
  | FreeObjectSchema
  | ArraySchema
  | StringSchema
  | IntegerSchema
  | BooleanSchema
  | IntOrStringSchema;

interface Annotated {
  /** For people: it becomes `kubectl explain` and the reference page. */
  readonly description: string;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

/** A rule in CEL. A rule that reads `oldSelf` is checked on updates alone. */
export interface ValidationRule {
  readonly rule: string;
  /** What is wrong and what to write instead. */
  readonly message: string;
  /** Where the mistake is, relative to the schema that carries the rule: `.size`. */
  readonly fieldPath?: string;
}

/**
 * A regular expression, and what to write where it does not match. In the CRD it is a CEL rule: of OpenAPI's `pattern`
 * the API server would only repeat the expression.
 *
 * The API server reads it with Go's RE2 and this project with JavaScript, so it uses only what both understand alike.
 */
export interface Pattern {
  readonly expression: string;
  readonly message: string;
}

/** An object with known fields. */
export interface ObjectSchema extends Annotated {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly default?: object;
}

/** An object with free keys, all values alike. */
export interface MapSchema extends Annotated {
  readonly type: 'object';
  readonly additionalProperties: Schema;
  readonly maxProperties?: number;
  readonly default?: object;
}

/** An object whose fields somebody else defines and checks. No rule reads them. */
export interface FreeObjectSchema extends Annotated {
  readonly type: 'object';
  readonly 'x-kubernetes-preserve-unknown-fields': true;
}

export interface ArraySchema extends Annotated {
  readonly type: 'array';
  readonly items: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** How server-side apply merges: as one value, as a set of values, or as a map by `x-kubernetes-list-map-keys`. */
  readonly 'x-kubernetes-list-type': 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly default?: readonly unknown[];
}

export interface StringSchema extends Annotated {
  readonly type: 'string';
  readonly enum?: readonly string[];
  readonly pattern?: Pattern;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly format?: 'date-time';
  readonly default?: string;
}

interface IntegerSchema extends Annotated {
  readonly type: 'integer';
  readonly format: 'int32' | 'int64';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: number;
}

interface BooleanSchema extends Annotated {
  readonly type: 'boolean';
  readonly default?: boolean;
}

/** A number or a string, as resource quantities are. The pattern holds for strings alone. */
interface IntOrStringSchema extends Annotated {
  readonly 'x-kubernetes-int-or-string': true;
  readonly pattern?: Pattern;
  readonly maxLength?: number;
  readonly default?: number | string;
}

/** The type of a value after defaults: a field that is required or has a default is there. */
export type Infer<S> = S extends { readonly 'x-kubernetes-int-or-string': true }
  ? number | string
  : S extends { readonly type: 'string'; readonly enum: readonly (infer Value)[] }
    ? Value
    : S extends { readonly type: 'string' }
      ? string
      : S extends { readonly type: 'integer' }
        ? number
        : S extends { readonly type: 'boolean' }
          ? boolean
          : S extends { readonly type: 'array'; readonly items: infer Item }
            ? readonly Infer<Item>[]
            : S extends { readonly type: 'object'; readonly additionalProperties: infer Value }
              ? Readonly<Record<string, Infer<Value>>>
              : S extends { readonly type: 'object'; readonly properties: infer Properties }
                ? InferProperties<Properties, PresentKeys<Properties, RequiredKeys<S>>>
                : S extends { readonly 'x-kubernetes-preserve-unknown-fields': true }
                  ? Readonly<Record<string, unknown>>
                  : never;

type RequiredKeys<S> = S extends { readonly required: readonly (infer Key)[] } ? Key : never;

type PresentKeys<Properties, Required> = {
  [Key in keyof Properties]: Key extends Required
    ? Key
    : Properties[Key] extends { readonly default: unknown }
      ? Key
      : never;
}[keyof Properties];

type InferProperties<Properties, Present extends keyof Properties> = Flatten<
  { readonly [Key in Present]: Infer<Properties[Key]> } & {
    readonly [Key in Exclude<keyof Properties, Present>]?: Infer<Properties[Key]>;
  }
>;

/** Shows an intersection as one object in editors and error messages. */
type Flatten<T> = { [Key in keyof T]: T[Key] };
