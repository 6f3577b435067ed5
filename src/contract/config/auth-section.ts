import type { ObjectField } from './fields.ts';

/** `auth`: who may use the registry. */
export const authSection = {
  type: 'object',
  bareKey: true,
  description: 'Who may use the registry. Without it everybody may do everything.',
  fields: {
    htpasswd: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description: 'Users with passwords. The file is read again when it changes.',
      fields: {
        realm: { type: 'string', description: 'Name of the realm that clients show.' },
        path: {
          type: 'string',
          format: 'file',
          description:
            'File with a `user:hash` a line, the hash made with bcrypt (`stevedore htpasswd`, `htpasswd -B`).',
        },
      },
    },
  },
} as const satisfies ObjectField;
