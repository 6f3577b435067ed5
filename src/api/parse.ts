import { applyDefaults, isObject } from './defaults.ts';
import { API_VERSION } from './names.ts';
import type { CustomObject, ResourceDefinition } from './resource.ts';
import type { ObjectSchema } from './schema.ts';
import { validate } from './validate.ts';
import type { ValidationError, ValidationOptions } from './validate.ts';

/** An object of ours that does not fit its schema, with every error. */
export class InvalidObjectError extends Error {
  override readonly name = 'InvalidObjectError';
  readonly errors: readonly ValidationError[];

  constructor(kind: string, errors: readonly ValidationError[]) {
    super(`invalid ${kind}: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}`);
    this.errors = errors;
  }
}

/**
 * Reads an object of a kind of ours as the API server returns it: applies defaults, then checks it.
 *
 * The API server did both when the object was written, but perhaps by an older schema. Unknown fields are kept and
 * ignored, since a newer schema may have allowed them.
 *
 * @throws {InvalidObjectError} naming every error
 */
export function parseObject<Definition extends ResourceDefinition>(
  definition: Definition,
  value: unknown,
): CustomObject<Definition> {
  const object = applyDefaults(bodySchema(definition), value);
  const errors = [
    ...check(definition, object, { unknownFields: 'ignore' }),
    ...(namespaceOf(object) === undefined ? [{ path: 'metadata.namespace', message: 'is required' }] : []),
  ];
  if (errors.length > 0) throw new InvalidObjectError(definition.kind, errors);
  // The schema that was just checked is the one that the type is inferred from.
  return object as CustomObject<Definition>;
}

/** Every error of an object as a user writes it, unknown fields included. CEL rules are not evaluated. */
export function validateObject(definition: ResourceDefinition, value: unknown): readonly ValidationError[] {
  return check(definition, applyDefaults(bodySchema(definition), value), { unknownFields: 'error' });
}

function check(
  definition: ResourceDefinition,
  object: unknown,
  options: ValidationOptions,
): readonly ValidationError[] {
  if (!isObject(object)) return validate(bodySchema(definition), object, '', options);
  const { metadata = {}, ...body } = object;
  const errors = [
    ...validate(metadataSchema, metadata, 'metadata', { unknownFields: 'ignore' }),
    ...validate(bodySchema(definition), body, '', options),
  ];
  if (object['apiVersion'] !== API_VERSION)
    errors.push({ path: 'apiVersion', message: `must be ${API_VERSION}` });
  if (object['kind'] !== definition.kind)
    errors.push({ path: 'kind', message: `must be ${definition.kind}` });
  return errors;
}

function namespaceOf(object: unknown): string | undefined {
  if (!isObject(object) || !isObject(object['metadata'])) return undefined;
  const { namespace } = object['metadata'];
  return typeof namespace === 'string' ? namespace : undefined;
}

const text = { type: 'string', description: 'Text.' } as const;
const texts = { type: 'object', additionalProperties: text, description: 'Texts by key.' } as const;

/** The metadata that this project relies on; the rest of it is Kubernetes' affair. */
const metadataSchema = {
  type: 'object',
  required: ['name'],
  description: 'Metadata.',
  properties: { name: text, namespace: text, uid: text, labels: texts, annotations: texts },
} as const satisfies ObjectSchema;

function bodySchema({ spec, status, description }: ResourceDefinition): ObjectSchema {
  return {
    type: 'object',
    required: ['spec'],
    description,
    properties: { apiVersion: text, kind: text, spec, status },
  };
}
