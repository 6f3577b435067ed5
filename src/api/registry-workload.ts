import { annotations, labels, objectName } from './field-schemas.ts';
import { quantityPattern } from './formats.ts';
import { affinity } from './registry-affinity.ts';
import type { ObjectSchema } from './schema.ts';

const quantities = {
  type: 'object',
  maxProperties: 16,
  additionalProperties: {
    'x-kubernetes-int-or-string': true,
    maxLength: 32,
    pattern: quantityPattern,
    description: 'A quantity, such as `250m` or `512Mi`.',
  },
} as const;

export const replicas = {
  type: 'integer',
  format: 'int32',
  minimum: 0,
  maximum: 32,
  default: 1,
  description:
    'How many pods serve. More than one needs storage that all of them reach: a bucket, or a volume with ReadWriteMany. 0 stops the registry and keeps everything.',
} as const;

export const resources = {
  type: 'object',
  description:
    'Compute resources of the registry container. Without it the container requests 50m of CPU and 128Mi of memory.',
  properties: {
    requests: { ...quantities, description: 'What the scheduler sets aside, by resource: `cpu`, `memory`.' },
    limits: {
      ...quantities,
      description: 'What the container may not exceed, by resource: `cpu`, `memory`.',
    },
  },
} as const satisfies ObjectSchema;

const toleration = {
  type: 'object',
  description: 'One toleration.',
  properties: {
    key: { type: 'string', maxLength: 317, description: 'The key of the taint. Without it, every key.' },
    operator: {
      type: 'string',
      enum: ['Exists', 'Equal'],
      description: 'How `value` is compared. Without it, `Equal`.',
    },
    value: { type: 'string', maxLength: 63, description: 'The value of the taint.' },
    effect: {
      type: 'string',
      enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'],
      description: 'The effect of the taint. Without it, every effect.',
    },
    tolerationSeconds: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'How long `NoExecute` is borne. Without it, for ever.',
    },
  },
} as const satisfies ObjectSchema;

const topologySpreadConstraint = {
  type: 'object',
  required: ['topologyKey'],
  description: 'One constraint. It counts the pods of the same resource.',
  properties: {
    topologyKey: {
      type: 'string',
      minLength: 1,
      maxLength: 317,
      description: 'The label of nodes that tells places apart, such as `topology.kubernetes.io/zone`.',
    },
    maxSkew: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      default: 1,
      description: 'By how many pods places may differ.',
    },
    whenUnsatisfiable: {
      type: 'string',
      enum: ['DoNotSchedule', 'ScheduleAnyway'],
      default: 'ScheduleAnyway',
      description: 'Whether a pod that fits nowhere waits or goes anywhere.',
    },
  },
} as const satisfies ObjectSchema;

export const podTemplate = {
  type: 'object',
  description:
    'How the pods are made, those of garbage collection as well. They satisfy the `restricted` pod security standard, whatever is written here.',
  properties: {
    labels: labels('More labels of the pods. Those of the operator cannot be changed.', 32),
    annotations: {
      ...annotations('Annotations of the pods.', 32),
      'x-kubernetes-validations': [
        {
          // Sidecar injectors run the image, or mount the folder of the node, that such an annotation names.
          rule: "self.all(key, !key.lowerAscii().contains('image') && !key.lowerAscii().contains('volume') && !key.contains('apparmor') && !key.contains('seccomp'))",
          message:
            'annotations that choose images, volumes or security profiles of a pod are for administrators: remove them',
        },
      ],
    },
    nodeSelector: labels('Labels that a node must have.', 32),
    tolerations: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'atomic',
      description: 'Taints of nodes that the pods bear.',
      items: toleration,
    },
    affinity,
    topologySpreadConstraints: {
      type: 'array',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['topologyKey'],
      description:
        'How replicas are spread. Without it, over nodes and zones as far as possible; with an empty list, not at all.',
      items: topologySpreadConstraint,
    },
    priorityClassName: objectName('The priority class of the pods.'),
    serviceAccountName: objectName(
      'The ServiceAccount of the pods, by whose annotations clouds give credentials. It must carry the label `stevedore.dev/use: credentials`, by which its owner allows this use. The pods get no token for the API server.',
    ),
    imagePullSecrets: {
      type: 'array',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      description: 'Secrets that nodes pull the image with.',
      items: {
        type: 'object',
        required: ['name'],
        description: 'One Secret.',
        properties: { name: objectName('Its name.') },
      },
    },
    env: {
      type: 'array',
      maxItems: 3,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      description: 'Proxies for what the registry connects to, such as storage and upstreams.',
      items: {
        type: 'object',
        required: ['name', 'value'],
        description: 'One variable.',
        properties: {
          name: {
            type: 'string',
            enum: ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
            description: 'Its name.',
          },
          value: { type: 'string', maxLength: 4096, description: 'Its value.' },
        },
      },
    },
    trustedCAs: {
      type: 'object',
      required: ['name'],
      description:
        'A ConfigMap with certificates in PEM, under any keys, that the registry trusts besides the usual ones when it connects to others, such as storage. Restart the pods after a change of it.',
      properties: { name: objectName('The name of the ConfigMap, in the same namespace.') },
    },
    image: {
      type: 'string',
      minLength: 1,
      maxLength: 512,
      description:
        "The image of the pods in place of the operator's own. Only where the chart allows it (`allowImageOverride`).",
    },
  },
} as const satisfies ObjectSchema;

/** Rules of the spec that read more than one of its fields. */
export const workloadRules = [
  {
    rule: "self.replicas <= 1 || has(self.storage.s3) || has(self.storage.azure) || has(self.storage.gcs) || has(self.storage.swift) || has(self.storage.oss) || (has(self.storage.filesystem) && (has(self.storage.filesystem.existingClaim) || 'ReadWriteMany' in self.storage.filesystem.accessModes))",
    message:
      'several replicas need storage that all of them reach: use a bucket, or a filesystem with accessModes [ReadWriteMany], or write replicas 1',
    fieldPath: '.replicas',
  },
] as const;
