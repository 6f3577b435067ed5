import type { Findings } from './decode.ts';
import type { Decoded, ObjectField } from './fields.ts';

/** `notifications`: webhooks. */
export const notificationsSection = {
  type: 'object',
  description: 'Tells other programs of pushes, pulls, mounts and deletes.',
  fields: {
    events: {
      type: 'object',
      description: 'What events say.',
      fields: {
        includereferences: {
          type: 'boolean',
          default: false,
          description: 'Events of manifests list what the manifest refers to.',
        },
      },
    },
    endpoints: {
      type: 'list',
      description: 'Who is told. Each gets every event in order, one a request.',
      of: {
        type: 'object',
        description: 'An endpoint.',
        fields: {
          name: {
            type: 'string',
            default: '',
            description: 'What metrics and logs call it. Events that wait for it are kept under this name.',
          },
          disabled: { type: 'boolean', default: false, description: 'Leaves the endpoint out.' },
          url: {
            type: 'string',
            format: 'url',
            optional: true,
            description: 'Where events are posted. An answer of 200 to 399 accepts one.',
          },
          headers: {
            type: 'map',
            of: 'list',
            secret: true,
            description: 'Headers of each request, such as `Authorization: [Bearer …]`.',
          },
          timeout: {
            type: 'duration',
            default: '1s',
            zeroIsDefault: true,
            description: 'How long a request may take.',
          },
          threshold: {
            type: 'integer',
            minimum: 0,
            default: 10,
            zeroIsDefault: true,
            description: 'Failures in a row after which there is a pause before each further try.',
          },
          backoff: {
            type: 'duration',
            default: '1s',
            zeroIsDefault: true,
            description:
              'The first pause. Each further one is twice as long, up to a minute, or what the endpoint asks for with Retry-After.',
          },
          ignoredmediatypes: {
            type: 'list',
            of: { type: 'string', description: 'A media type.' },
            description: 'Leaves out events about these media types; the old name of `ignore.mediatypes`.',
          },
          ignore: {
            type: 'object',
            description: 'Events that the endpoint does not get.',
            fields: {
              mediatypes: {
                type: 'list',
                of: { type: 'string', description: 'A media type.' },
                description: 'Media types of manifests and blobs.',
              },
              actions: {
                type: 'list',
                of: { type: 'string', description: 'An action.' },
                description: '`pull`, `push`, `mount` or `delete`.',
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

/** `stevedore.notifications`: what docker distribution's webhooks lack. */
export const outboxSection = {
  type: 'object',
  description: 'How events are kept until an endpoint has taken them.',
  fields: {
    outbox: {
      type: 'string',
      format: 'absolute-path',
      optional: true,
      description:
        'Folder for events that wait, so that a restart loses none. Several servers may share it. With filesystem storage it is in there by default; otherwise events wait in memory.',
    },
    maxpending: {
      type: 'integer',
      minimum: 1,
      default: 100_000,
      description: 'Events that may wait for one endpoint. Beyond that the oldest are given up.',
    },
    attempts: {
      type: 'integer',
      minimum: 1,
      default: 20,
      description:
        'How often an endpoint may refuse one event before that becomes a dead letter and the next one has its turn. An endpoint that cannot be reached, or that is busy, refuses nothing.',
    },
    secrets: {
      type: 'map',
      of: 'string',
      secret: true,
      description:
        'By the name of an endpoint, the secret that its requests are signed with, as https://www.standardwebhooks.com says.',
    },
  },
} as const satisfies ObjectField;

export type NotificationsConfig = Decoded<typeof notificationsSection>;
export type EndpointConfig = NotificationsConfig['endpoints'][number];
export type OutboxConfig = Decoded<typeof outboxSection>;

/** Rules that concern more than one field of the sections. */
export function checkNotifications(
  { endpoints }: NotificationsConfig,
  { secrets }: OutboxConfig,
  found: Findings,
): void {
  const failed = (path: string): boolean => found.errors.some((error) => error.path === path);
  for (const [index, { disabled, url }] of endpoints.entries()) {
    const path = `notifications.endpoints.${index}.url`;
    if (!disabled && url === undefined && !failed(path)) found.errors.push({ path, message: 'is required' });
  }
  for (const name of Object.keys(secrets)) {
    if (endpoints.some((endpoint) => endpoint.name === name)) continue;
    found.errors.push({ path: `stevedore.notifications.secrets.${name}`, message: 'names no endpoint' });
  }
}
