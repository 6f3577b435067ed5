import { durationPattern, namespacePattern, objectNamePattern, secretKeyPattern } from './formats.ts';
import type { ArraySchema, MapSchema, ObjectSchema, StringSchema, ValidationRule } from './schema.ts';

/** Fields that more than one resource has. */

/** A duration with a default. The maximum length bounds the cost of the rules that read it. */
export function durationWithDefault<const Default extends string>(value: Default, description: string) {
  return { ...duration(description), default: value } as const;
}

export function duration(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 32,
    pattern: durationPattern,
    description,
  } as const satisfies StringSchema;
}

export function objectName(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 253,
    pattern: objectNamePattern,
    description,
  } as const satisfies StringSchema;
}

export function labels(description: string, maxProperties: number) {
  return texts(description, maxProperties, 63);
}

export function annotations(description: string, maxProperties: number) {
  return texts(description, maxProperties, 4096);
}

/** Texts by names that are free. */
export function texts(description: string, maxProperties: number, maxLength: number) {
  return {
    type: 'object',
    maxProperties,
    description,
    additionalProperties: { type: 'string', maxLength, description: 'The value.' },
  } as const satisfies MapSchema;
}

/** By which the owner of a Secret says that a Registry may use it. */
export const SECRET_LABEL =
  'The Secret must carry the label `stevedore.dev/use: credentials`, by which its owner allows this use.';

export function secretRef(description: string) {
  return {
    type: 'object',
    required: ['name'],
    description,
    properties: { name: objectName('The name of the Secret, in the same namespace.') },
  } as const satisfies ObjectSchema;
}

/** The key of a Secret or a ConfigMap. */
export function dataKey(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 253,
    pattern: secretKeyPattern,
    description,
  } as const satisfies StringSchema;
}

/** Fields that name either a Secret or a ConfigMap, with the rule that it be one of them. */
export const eitherObject = {
  properties: {
    secretName: objectName(`The name of a Secret in the same namespace. ${SECRET_LABEL}`),
    configMapName: objectName('The name of a ConfigMap in the same namespace.'),
  },
  rule: {
    rule: 'has(self.secretName) != has(self.configMapName)',
    message: 'set either secretName or configMapName',
  },
} as const satisfies { readonly properties: ObjectSchema['properties']; readonly rule: ValidationRule };

export function time(description: string) {
  return { type: 'string', format: 'date-time', description } as const satisfies StringSchema;
}

export const observedGeneration = {
  type: 'integer',
  format: 'int64',
  minimum: 0,
  description: 'The `metadata.generation` that this status describes.',
} as const;

const condition = {
  type: 'object',
  description: 'One condition, as Kubernetes defines them (metav1.Condition).',
  required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
  properties: {
    type: {
      type: 'string',
      maxLength: 316,
      description:
        'What is judged. `Ready` sums up; `Reconciling` and `Stalled` are there only while they are true.',
    },
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'The verdict.' },
    reason: {
      type: 'string',
      minLength: 1,
      maxLength: 1024,
      description: 'Why, as one word for programs.',
    },
    message: { type: 'string', maxLength: 32768, description: 'Why, for people, with what to do about it.' },
    lastTransitionTime: time('When `status` last changed.'),
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'The `metadata.generation` that the condition was judged by.',
    },
  },
} as const satisfies ObjectSchema;

export const conditions = {
  type: 'array',
  maxItems: 32,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  description: 'What holds and what does not, each with its reason.',
  items: condition,
} as const;

/** Other namespaces that a Registry has an effect on. */
export function namespaceNames(description: string) {
  return {
    type: 'array',
    minItems: 1,
    maxItems: 64,
    'x-kubernetes-list-type': 'set',
    description: `${description} Its own namespace must be one that the chart lists (\`shareFromNamespaces\`), and the other must carry the label \`stevedore.dev/accepts-from\` with the name of the first, or \`any\`.`,
    items: {
      type: 'string',
      minLength: 1,
      maxLength: 63,
      pattern: namespacePattern,
      description: 'The name of a namespace.',
    },
  } as const satisfies ArraySchema;
}
