import type { ObjectField } from './fields.ts';
import { tlsSection } from './tls-section.ts';

/** Headers that are about the connection, which the server manages; HTTP/2 has none of them. RFC 9113 §8.2.2. */
export const connectionHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** `http`: listeners, TLS, headers. */
export const httpSection = {
  type: 'object',
  description: 'The listener that clients use.',
  fields: {
    addr: {
      type: 'string',
      format: 'address',
      description: '`host:port`, `:port` for all addresses, or the path of a socket when `net` is `unix`.',
    },
    net: {
      type: 'string',
      values: ['tcp', 'unix'],
      default: 'tcp',
      description: 'What kind of address `addr` is.',
    },
    prefix: {
      type: 'string',
      format: 'url-path',
      default: '/',
      description: 'Path in front of every route, as in `/registry/`.',
    },
    host: {
      type: 'string',
      format: 'url',
      optional: true,
      description:
        'Public URL, the base of Location headers. Without it they follow the request: Forwarded, X-Forwarded-Proto, X-Forwarded-Host, Host.',
    },
    secret: {
      type: 'obsolete',
      description: 'an upload is found in the storage, so that servers share no secret',
    },
    relativeurls: {
      type: 'boolean',
      default: false,
      description: 'Location headers are paths without scheme and host.',
    },
    draintimeout: {
      type: 'duration',
      default: '30s',
      description:
        'How long requests in progress may go on after SIGTERM. docker distribution cuts them at once by default.',
    },
    headers: {
      type: 'map',
      of: 'list',
      description: 'Headers added to every response, such as `X-Content-Type-Options: [nosniff]`.',
    },
    tls: tlsSection,
    http2: {
      type: 'object',
      description: 'HTTP/2 over TLS.',
      fields: { disabled: { type: 'boolean', default: false, description: 'Speaks HTTP/1.1 alone.' } },
    },
    h2c: {
      type: 'object',
      description: 'HTTP/2 without TLS, for clients that begin with it.',
      fields: { enabled: { type: 'boolean', default: false, description: 'Speaks it beside HTTP/1.1.' } },
    },
    debug: {
      type: 'object',
      description: 'A second listener, as in docker distribution.',
      fields: {
        addr: {
          type: 'string',
          format: 'address',
          optional: true,
          description: '`host:port` of the listener. It has no authentication.',
        },
        prometheus: {
          type: 'object',
          description: 'Metrics on the debug listener.',
          fields: {
            enabled: { type: 'boolean', default: false, description: 'Serves metrics.' },
            path: {
              type: 'string',
              format: 'url-path',
              default: '/metrics',
              description: 'Where metrics are served.',
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;
