import { conditions, observedGeneration, time } from './field-schemas.ts';
import { nodesStatus } from './node-access.ts';
import { registrySpec } from './registry-spec.ts';
import type { CustomObject, ResourceDefinition } from './resource.ts';
import type { Infer, ObjectSchema } from './schema.ts';
import { certificate, url, users } from './server-status.ts';

const registryStatus = {
  type: 'object',
  description: 'What the registry is. The operator writes it, from facts.',
  properties: {
    observedGeneration,
    conditions,
    url,
    replicas: { type: 'integer', format: 'int32', minimum: 0, description: 'How many pods there are.' },
    readyReplicas: { type: 'integer', format: 'int32', minimum: 0, description: 'How many of them serve.' },
    selector: {
      type: 'string',
      description: 'Which pods it has, as a selector of labels, for autoscalers.',
    },
    certificate,
    users,
    nodes: nodesStatus,
    readOnly: {
      type: 'object',
      required: ['active'],
      description: 'Whether the server refuses or holds writes now.',
      properties: {
        active: { type: 'boolean', description: 'Whether it does.' },
        reason: {
          type: 'string',
          enum: ['Configured', 'Draining', 'Marking'],
          description:
            '`Configured`: `spec.readOnly`. `Draining`, `Marking`: garbage collection holds a lease.',
        },
        since: time('Since when.'),
      },
    },
  },
} as const satisfies ObjectSchema;

export const registryDefinition = {
  kind: 'Registry',
  plural: 'registries',
  singular: 'registry',
  shortNames: ['reg'],
  description:
    'A container registry: an OCI registry server with its volume, certificates, users and Service.',
  spec: registrySpec,
  status: registryStatus,
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
  rules: [
    {
      rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$')",
      message:
        "the Service is named like the Registry: choose a name of at most 50 lower-case letters, digits and '-' that begins with a letter",
    },
  ],
  printerColumns: [
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      description: 'Whether it serves as specified.',
    },
    { name: 'URL', type: 'string', jsonPath: '.status.url', description: 'Where clients find it.' },
    {
      name: 'Certificate',
      type: 'string',
      jsonPath: '.status.certificate.notAfter',
      description: 'Until when the server certificate is valid.',
    },
    {
      name: 'Read-only',
      type: 'boolean',
      jsonPath: '.status.readOnly.active',
      description: 'Whether writes are refused or held.',
    },
    {
      name: 'Age',
      type: 'date',
      jsonPath: '.metadata.creationTimestamp',
      description: 'Since when it exists.',
    },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      description: 'Why it is ready or not.',
      priority: 1,
    },
  ],
} as const satisfies ResourceDefinition;

export type RegistryStatus = Infer<typeof registryStatus>;
export type Registry = CustomObject<typeof registryDefinition>;
