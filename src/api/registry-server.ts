import { duration, objectName, SECRET_LABEL, secretRef, texts } from './field-schemas.ts';
import { addressPattern, plainUrlPattern } from './formats.ts';
import type { FreeObjectSchema, ObjectSchema } from './schema.ts';

/** How the server works: what becomes of it in config.yml. Each takes effect with a restart of the pods. */

const usableSecret = (keys: string) =>
  secretRef(`A Secret with ${keys}. ${SECRET_LABEL} A change of it restarts the pods.`);

export const cache = {
  type: 'object',
  required: ['blobDescriptor'],
  description: 'What is remembered of blobs, so that the storage need not be asked each time.',
  properties: {
    blobDescriptor: {
      type: 'string',
      enum: ['InMemory', 'Redis'],
      description: 'Where it is remembered: in each pod, or in a Redis that all pods share.',
    },
    redis: {
      type: 'object',
      required: ['addresses'],
      description: 'The Redis server, the sentinels of a set, or nodes of a cluster.',
      properties: {
        addresses: {
          type: 'array',
          minItems: 1,
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
          description: 'Where it is: of sentinels with `masterName`, of a cluster several.',
          items: {
            type: 'string',
            minLength: 1,
            maxLength: 261,
            pattern: addressPattern,
            description: 'Host and port, such as `redis:6379`.',
          },
        },
        masterName: {
          type: 'string',
          minLength: 1,
          maxLength: 128,
          description: 'Name of the set that the sentinels watch.',
        },
        database: {
          type: 'integer',
          format: 'int32',
          minimum: 0,
          maximum: 65535,
          description: 'Number of the database. Without it, 0.',
        },
        tls: { type: 'boolean', description: 'Whether to connect with TLS.' },
        credentialsSecretRef: usableSecret('the key `password`, and perhaps `username`'),
      },
    },
  },
  'x-kubernetes-validations': [
    {
      rule: "(self.blobDescriptor == 'Redis') == has(self.redis)",
      message: 'set redis with blobDescriptor Redis, and with no other',
    },
  ],
} as const satisfies ObjectSchema;

export const health = {
  type: 'object',
  description: 'How the registry watches its storage. While that fails, clients get 503.',
  properties: {
    enabled: {
      type: 'boolean',
      description: 'Whether it does. Without it, where images are in a bucket.',
    },
    interval: duration('Pause between two checks. Without it, 10 seconds.'),
    threshold: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      maximum: 100,
      description: 'How often in a row a check has to fail before that counts. Without it, 3 times.',
    },
  },
} as const satisfies ObjectSchema;

export const maintenance = {
  type: 'object',
  description: 'Upkeep that the registry does by itself.',
  properties: {
    uploadPurging: {
      type: 'object',
      description: 'How uploads that nobody ended are removed.',
      properties: {
        enabled: { type: 'boolean', description: 'Whether they are. Without it, they are.' },
        age: duration('How long nothing was written to one that goes. Without it, a week.'),
        interval: duration('Pause between two purges. Without it, a day.'),
        dryRun: {
          type: 'boolean',
          description: 'Whether it is only logged what would be removed. Without it, not.',
        },
      },
    },
  },
} as const satisfies ObjectSchema;

export const log = {
  type: 'object',
  description: 'What the pods log, as one JSON object a line.',
  properties: {
    level: {
      type: 'string',
      enum: ['error', 'warn', 'info', 'debug'],
      description: 'Lines below this level are left out. Without it, `info`.',
    },
    accessLog: { type: 'boolean', description: 'Whether each request is logged. Without it, it is.' },
    fields: texts('Fields that every line carries.', 16, 255),
  },
} as const satisfies ObjectSchema;

const patterns = (description: string, item: string) =>
  ({
    type: 'array',
    maxItems: 32,
    'x-kubernetes-list-type': 'set',
    description,
    items: { type: 'string', minLength: 1, maxLength: 255, description: item },
  }) as const;

export const notifications = {
  type: 'array',
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  description: 'Who is told of pushes, pulls, mounts and deletes, by a POST for each event, in order.',
  items: {
    type: 'object',
    required: ['name', 'url'],
    description: 'One endpoint.',
    properties: {
      name: objectName('What metrics and logs call it. Events that wait for it are kept under this name.'),
      url: {
        type: 'string',
        minLength: 1,
        maxLength: 2048,
        pattern: plainUrlPattern,
        description: 'Where events are posted.',
      },
      timeout: duration('How long a request may take. Without it, a second.'),
      threshold: {
        type: 'integer',
        format: 'int32',
        minimum: 1,
        maximum: 1000,
        description: 'Failures in a row after which there are pauses. Without it, 10.',
      },
      backoff: duration('The first pause; each further one is twice as long. Without it, a second.'),
      ignoredMediaTypes: patterns(
        'Events that are left out, by the media type of what was touched.',
        'A media type.',
      ),
      ignoredActions: {
        type: 'array',
        maxItems: 4,
        'x-kubernetes-list-type': 'set',
        description: 'Events that are left out, by what was done.',
        items: {
          type: 'string',
          enum: ['pull', 'push', 'mount', 'delete'],
          description: 'What was done.',
        },
      },
      secretRef: usableSecret(
        'the key `authorization`, the value of that header, or `secret`, with which requests are signed as https://www.standardwebhooks.com says, or both',
      ),
    },
  },
} as const;

/**
 * What `spec.config` may set, each with all that is below it. Left out are places of content and credentials, listeners,
 * files, programs, addresses that the server would ask (health.http, health.tcp), who may use it, and what the
 * resource has a field for that must agree with other objects.
 */
export const ALLOWED_CONFIG: readonly string[] = [
  'catalog',
  'health.storagedriver',
  'http.headers',
  'http.host',
  'http.http2',
  'http.relativeurls',
  'log',
  'notifications.events',
  'policy',
  'redis.clientname',
  'redis.dialtimeout',
  'redis.maxretries',
  'redis.maxretrybackoff',
  'redis.minretrybackoff',
  'redis.protocol',
  'redis.readtimeout',
  'redis.writetimeout',
  'stevedore.compatibility',
  'stevedore.limits',
  'stevedore.notifications.attempts',
  'stevedore.notifications.maxpending',
  'storage.azure.max_retries',
  'storage.azure.retry_delay',
  'storage.cache.blobdescriptorsize',
  'storage.gcs.chunksize',
  'storage.gcs.maxconcurrency',
  'storage.gcs.useragent',
  'storage.maintenance.uploadpurging',
  'storage.oss.chunksize',
  'storage.redirect',
  'storage.s3.accelerate',
  'storage.s3.chunksize',
  'storage.s3.loglevel',
  'storage.s3.multipartcopychunksize',
  'storage.s3.multipartcopymaxconcurrency',
  'storage.s3.multipartcopythresholdsize',
  'storage.s3.objectacl',
  'storage.s3.redirectendpoint',
  'storage.s3.usedualstack',
  'storage.s3.usefipsendpoint',
  'storage.s3.useragent',
  'storage.s3.v4auth',
  'storage.swift.chunksize',
  'storage.swift.domainid',
  'storage.swift.tempurlcontainerkey',
  'storage.swift.tempurlmethods',
  'storage.swift.tenantdomainid',
  'storage.swift.tenantid',
  'storage.swift.trustid',
  'storage.tag',
  'tags',
  'validation',
];

export const config = {
  type: 'object',
  'x-kubernetes-preserve-unknown-fields': true,
  description: `More configuration of the server, with the keys of docker distribution's \`config.yml\`, which goes before what the other fields say. It may set ${ALLOWED_CONFIG.map((path) => `\`${path}\``).join(', ')}, each with all that is below it. Anything else, a misspelt key included, is the condition \`InvalidConfig\`.`,
} as const satisfies FreeObjectSchema;
