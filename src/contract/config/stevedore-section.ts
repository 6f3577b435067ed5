import { accessSection } from './auth-section.ts';
import type { ObjectField } from './fields.ts';
import { mirrorSection } from './mirror-section.ts';
import { outboxSection } from './notifications-section.ts';

/** `stevedore`: what docker distribution does not have. */
export const stevedoreSection = {
  type: 'object',
  description: 'Settings that docker distribution does not have.',
  fields: {
    auth: accessSection,
    limits: {
      type: 'object',
      description: 'What clients may take up.',
      fields: {
        uploads: {
          type: 'integer',
          default: 1000,
          minimum: 1,
          description:
            'Requests that bring content at the same time, in each process; more are told 503 and when to come again.',
        },
        idletimeout: {
          type: 'duration',
          default: '2m',
          description:
            'How long a body may stand still, on its way from a client or to one, before the connection is cut. Less than a kilobyte in this time counts as nothing.',
        },
      },
    },
    compatibility: {
      type: 'object',
      aliases: { fallbacktags: 'fallbackTags' },
      description: 'What is written for docker distribution beside what it stores itself.',
      fields: {
        fallbackTags: {
          type: 'boolean',
          default: false,
          description:
            'Lists referrers (signatures, SBOMs) under a tag `sha256-<digest>` as well, where their clients look for them in a registry without the referrers API. For those who may go back to docker distribution.',
        },
      },
    },
    pulls: {
      type: 'object',
      description: 'When what was pulled last, for rules of retention with `pulledWithin`.',
      fields: {
        record: {
          type: 'boolean',
          default: true,
          description:
            'Remembers it in memory and writes a small file into the storage every five minutes, when something was pulled, and at the end.',
        },
      },
    },
    notifications: outboxSection,
    mirror: mirrorSection,
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
    workers: {
      type: 'integer',
      default: 1,
      minimum: 1,
      maximum: 255,
      description:
        'Processes that share the port, for machines with many cores. Limits and caches are those of each process.',
    },
  },
} as const satisfies ObjectField;
