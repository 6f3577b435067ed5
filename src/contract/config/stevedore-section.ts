import type { ObjectField } from './fields.ts';

/** `stevedore`: what docker distribution does not have. */
export const stevedoreSection = {
  type: 'object',
  description: 'Settings that docker distribution does not have.',
  fields: {
    status: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description:
        'A listener for the operator and for probes: `/healthz`, `/readyz`, `/status`, `/metrics`.',
      fields: {
        addr: {
          type: 'string',
          format: 'address',
          default: ':5001',
          description: '`host:port` of the listener. It has no authentication and serves no secrets.',
        },
      },
    },
  },
} as const satisfies ObjectField;
