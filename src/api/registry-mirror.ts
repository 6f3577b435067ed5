import { conditions, observedGeneration } from './field-schemas.ts';
import { nodesStatus } from './node-access.ts';
import { registryMirrorSpec } from './registry-mirror-spec.ts';
import type { CustomObject, ResourceDefinition } from './resource.ts';
import type { Infer, ObjectSchema } from './schema.ts';
import { certificate, url, users } from './server-status.ts';

const registryMirrorStatus = {
  type: 'object',
  description: 'What the mirror is. The operator writes it, from facts.',
  properties: {
    observedGeneration,
    conditions,
    url,
    certificate,
    users,
    nodes: nodesStatus,
    upstreams: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['host'],
      description: 'The registries that are mirrored, as the server finds them.',
      items: {
        type: 'object',
        required: ['host'],
        description: 'One registry.',
        properties: {
          host: { type: 'string', description: 'Its name in the spec.' },
          reachable: {
            type: 'boolean',
            description: 'Whether it answered when it was asked last. Not there before that.',
          },
          lastError: {
            type: 'string',
            description: 'Why it did not give what it was asked for last. Not there when it did.',
          },
        },
      },
    },
    cache: {
      type: 'object',
      required: ['bytes'],
      description: 'What is kept.',
      properties: {
        bytes: {
          type: 'integer',
          format: 'int64',
          minimum: 0,
          description: 'How much it takes, to the hundredth part of the limit.',
        },
        limit: {
          type: 'integer',
          format: 'int64',
          minimum: 0,
          description: 'How much it may take.',
        },
      },
    },
  },
} as const satisfies ObjectSchema;

export const registryMirrorDefinition = {
  kind: 'RegistryMirror',
  plural: 'registrymirrors',
  singular: 'registrymirror',
  shortNames: ['regmirror'],
  description:
    'A mirror of other registries: it fetches what it is asked for once, keeps it on a disk, and goes on when they do not answer. Its objects are named after `NAME-mirror`, which is what `NAME` in other fields stands for; the ConfigMap `NAME-clients` has configurations of clients.',
  spec: registryMirrorSpec,
  status: registryMirrorStatus,
  rules: [
    {
      rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,41}[a-z0-9])?$')",
      message:
        "the Service is named like the RegistryMirror, with -mirror: choose a name of at most 43 lower-case letters, digits and '-' that begins with a letter",
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
      name: 'Upstreams',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="UpstreamsReachable")].status',
      description: 'Whether every registry that is mirrored answers.',
    },
    {
      name: 'Cached',
      type: 'integer',
      jsonPath: '.status.cache.bytes',
      description: 'Bytes that are kept.',
    },
    {
      name: 'Age',
      type: 'date',
      jsonPath: '.metadata.creationTimestamp',
      description: 'Since when it exists.',
    },
    {
      name: 'Certificate',
      type: 'string',
      jsonPath: '.status.certificate.notAfter',
      description: 'Until when the server certificate is valid.',
      priority: 1,
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

export type RegistryMirrorStatus = Infer<typeof registryMirrorStatus>;
export type RegistryMirror = CustomObject<typeof registryMirrorDefinition>;
