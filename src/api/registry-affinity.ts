import type { ArraySchema, ObjectSchema } from './schema.ts';

/**
 * Affinity as a pod has it. It is spelt out, since a field that a pod does not have would otherwise be refused by the API
 * server only when the Deployment is written, where nobody sees it.
 *
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
 */

function list<const Item extends ObjectSchema>(items: Item, description: string) {
  return {
    type: 'array',
    maxItems: 16,
    'x-kubernetes-list-type': 'atomic',
    description,
    items,
  } as const satisfies ArraySchema;
}

function expression<const Operators extends readonly string[]>(of: string, operators: Operators) {
  return {
    type: 'object',
    required: ['key', 'operator'],
    description: 'One condition.',
    properties: {
      key: { type: 'string', minLength: 1, maxLength: 317, description: `The ${of}.` },
      operator: { type: 'string', enum: operators, description: 'How it is compared.' },
      values: {
        type: 'array',
        maxItems: 64,
        'x-kubernetes-list-type': 'atomic',
        description: 'What it is compared with. Nothing for `Exists` and `DoesNotExist`.',
        items: { type: 'string', maxLength: 253, description: 'A value.' },
      },
    },
  } as const satisfies ObjectSchema;
}

const nodeOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'] as const;

const nodeSelectorTerm = {
  type: 'object',
  description: 'Nodes for which all of it holds.',
  properties: {
    matchExpressions: list(expression('label of nodes', nodeOperators), 'Conditions on labels.'),
    matchFields: list(expression('field of nodes', nodeOperators), 'Conditions on fields.'),
  },
} as const satisfies ObjectSchema;

const labelSelector = {
  type: 'object',
  description: 'Which labels they have.',
  properties: {
    matchLabels: {
      type: 'object',
      maxProperties: 16,
      description: 'Labels with their values.',
      additionalProperties: { type: 'string', maxLength: 63, description: 'The value.' },
    },
    matchExpressions: list(
      expression('label', ['In', 'NotIn', 'Exists', 'DoesNotExist']),
      'Conditions on labels.',
    ),
  },
} as const satisfies ObjectSchema;

const podAffinityTerm = {
  type: 'object',
  required: ['topologyKey'],
  description: 'Pods, and how near.',
  properties: {
    topologyKey: {
      type: 'string',
      minLength: 1,
      maxLength: 317,
      description: 'The label of nodes by which two are in the same place.',
    },
    labelSelector,
    namespaceSelector: { ...labelSelector, description: 'In which namespaces, by their labels.' },
    namespaces: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'atomic',
      description: 'In which namespaces, by their names. Without either, in that of the Registry.',
      items: { type: 'string', maxLength: 63, description: 'A name.' },
    },
  },
} as const satisfies ObjectSchema;

const weight = {
  type: 'integer',
  format: 'int32',
  minimum: 1,
  maximum: 100,
  description: 'How much it counts beside others.',
} as const;

function podTerms(description: string) {
  return {
    type: 'object',
    description,
    properties: {
      requiredDuringSchedulingIgnoredDuringExecution: list(
        podAffinityTerm,
        'What must hold for a node to be chosen.',
      ),
      preferredDuringSchedulingIgnoredDuringExecution: list(
        {
          type: 'object',
          required: ['weight', 'podAffinityTerm'],
          description: 'One wish.',
          properties: { weight, podAffinityTerm },
        },
        'What makes a node better.',
      ),
    },
  } as const satisfies ObjectSchema;
}

export const affinity = {
  type: 'object',
  description: 'Which nodes the pods prefer or need, with the fields that it has in a pod.',
  properties: {
    nodeAffinity: {
      type: 'object',
      description: 'By the nodes themselves.',
      properties: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          type: 'object',
          required: ['nodeSelectorTerms'],
          description: 'What must hold for a node to be chosen.',
          properties: { nodeSelectorTerms: list(nodeSelectorTerm, 'Any of these.') },
        },
        preferredDuringSchedulingIgnoredDuringExecution: list(
          {
            type: 'object',
            required: ['weight', 'preference'],
            description: 'One wish.',
            properties: { weight, preference: nodeSelectorTerm },
          },
          'What makes a node better.',
        ),
      },
    },
    podAffinity: podTerms('By pods to be near to.'),
    podAntiAffinity: podTerms('By pods to be away from.'),
  },
} as const satisfies ObjectSchema;
