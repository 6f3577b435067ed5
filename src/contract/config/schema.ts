/**
 * The configuration of the registry server: docker distribution's `config.yml` as far as this version has it, and our own
 * settings under `stevedore`. The one source of types, defaults, decoding, environment overrides and the reference page.
 */

import { authSection } from './auth-section.ts';
import type { Decoded, ObjectField } from './fields.ts';
import { healthSection } from './health-section.ts';
import { httpSection } from './http-section.ts';
import { logSection } from './log-section.ts';
import { middlewareSection } from './middleware-section.ts';
import { notificationsSection } from './notifications-section.ts';
import { proxySection } from './proxy-section.ts';
import { redisSection } from './redis-section.ts';
import { stevedoreSection } from './stevedore-section.ts';
import { storageSection } from './storage-section.ts';
import { policySection, validationSection } from './validation-section.ts';

export const configSchema = {
  type: 'object',
  description: 'The whole document.',
  fields: {
    version: { type: 'string', values: ['0.1'], description: 'Version of the format.' },
    log: logSection,
    loglevel: {
      type: 'obsolete',
      description: 'it is the old name of log.level, where it counts if that is empty',
    },
    storage: storageSection,
    http: httpSection,
    auth: authSection,
    catalog: {
      type: 'object',
      description: '`GET /v2/_catalog`.',
      fields: {
        maxentries: {
          type: 'integer',
          default: 1000,
          minimum: 0,
          zeroIsDefault: true,
          description: 'Largest `n` that a client may ask for; more is 400.',
        },
      },
    },
    tags: {
      type: 'object',
      description: '`GET /v2/<name>/tags/list`.',
      fields: {
        maxtags: {
          type: 'integer',
          default: 1000,
          minimum: 0,
          zeroIsDefault: true,
          description: 'Largest page: a bigger `n` is cut to it.',
        },
      },
    },
    redis: redisSection,
    health: healthSection,
    validation: validationSection,
    policy: policySection,
    reporting: {
      type: 'obsolete',
      description: 'bugsnag and newrelic are not called; logs and metrics tell of errors',
    },
    compatibility: {
      type: 'obsolete',
      description: 'images of schema version 1 are neither taken nor made, as in docker distribution 3',
    },
    middleware: middlewareSection,
    notifications: notificationsSection,
    proxy: proxySection,
    stevedore: stevedoreSection,
  },
} as const satisfies ObjectField;

/**
 * A decoded configuration: every field that is not optional is there, durations are milliseconds. Exactly one storage
 * driver is there.
 */
export type Config = Decoded<typeof configSchema>;
