import type { DurationField, IntegerField, ObjectField } from './fields.ts';

const interval = {
  type: 'duration',
  default: '10s',
  zeroIsDefault: true,
  description: 'Pause between two checks.',
} as const satisfies DurationField;

const threshold = {
  type: 'integer',
  default: 1,
  minimum: 0,
  zeroIsDefault: true,
  description: 'How often in a row it has to fail before that counts.',
} as const satisfies IntegerField;

const timeout = {
  type: 'duration',
  default: '5s',
  zeroIsDefault: true,
  description: 'A check that takes longer has failed.',
} as const satisfies DurationField;

/** `health`: what must be well for the registry to answer. */
export const healthSection = {
  type: 'object',
  description: 'Checks that run all the time. Clients get 503 while one fails, `/debug/health` says which.',
  fields: {
    storagedriver: {
      type: 'object',
      description: 'Asks the storage. While that fails, what needs the storage is answered with 503.',
      fields: {
        enabled: { type: 'boolean', default: false, description: 'Turns the check on.' },
        interval,
        threshold,
      },
    },
    file: {
      type: 'list',
      description: 'Files that take this instance out of service while they exist, `/readyz` included.',
      of: {
        type: 'object',
        description: 'A file.',
        fields: {
          file: { type: 'string', description: 'Path of the file.' },
          interval,
          threshold,
        },
      },
    },
    http: {
      type: 'list',
      description: 'URLs that have to answer HEAD. While one does not, clients get 503.',
      of: {
        type: 'object',
        description: 'A URL.',
        fields: {
          uri: { type: 'string', format: 'url', description: 'The URL.' },
          headers: {
            type: 'map',
            of: 'list',
            secret: true,
            description: 'Headers that are sent, such as `Authorization`.',
          },
          statuscode: {
            type: 'integer',
            default: 200,
            minimum: 0,
            maximum: 599,
            zeroIsDefault: true,
            description: 'The status that the answer must have.',
          },
          timeout,
          interval,
          threshold,
        },
      },
    },
    tcp: {
      type: 'list',
      description: 'Addresses that have to accept connections. While one does not, clients get 503.',
      of: {
        type: 'object',
        description: 'An address.',
        fields: {
          addr: { type: 'string', format: 'address', description: '`host:port`.' },
          timeout,
          interval,
          threshold,
        },
      },
    },
  },
} as const satisfies ObjectField;
