import { time } from './field-schemas.ts';
import type { Schema } from './schema.ts';

/** What the status of each kind with servers tells. */

export const url = {
  type: 'string',
  description: 'Where clients find the registry: scheme, host and port.',
} as const satisfies Schema;

export const certificate = {
  type: 'object',
  required: ['serial', 'notAfter', 'serving'],
  description: 'The server certificate that was issued last, or taken over last.',
  properties: {
    serial: { type: 'string', description: 'Its serial number, in lower-case hex.' },
    notAfter: time('Until when it is valid.'),
    renewalTime: time('When it will be renewed. Not there where somebody else does that.'),
    serving: {
      type: 'boolean',
      description: 'Whether the server says that new connections get this certificate.',
    },
  },
} as const satisfies Schema;

export const users = {
  type: 'object',
  required: ['count'],
  description: 'The users.',
  properties: {
    count: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      description: 'How many users are in force, as the server counts them.',
    },
    errors: {
      type: 'array',
      maxItems: 256,
      'x-kubernetes-list-type': 'atomic',
      description: 'What keeps users from logging in or from what rules give them, and why. The rest works.',
      items: {
        type: 'object',
        required: ['name', 'reason', 'message'],
        description: 'One user, or one place in a list of users, that is left out.',
        properties: {
          name: {
            type: 'string',
            description: 'The name of the user, or of the Secret or the rule that it is about.',
          },
          reason: { type: 'string', description: 'Why, as one word for programs.' },
          message: {
            type: 'string',
            description: 'Why, for people: names the Secret and the key, never the value.',
          },
        },
      },
    },
  },
} as const satisfies Schema;
