import type { ObjectField } from './fields.ts';

/** `proxy`: docker distribution's mirror of one registry. */
export const proxySection = {
  type: 'object',
  optional: true,
  description:
    'Makes the server a mirror of one registry: it fetches what clients ask for, keeps it, and takes no pushes. `stevedore.mirror` has more.',
  fields: {
    remoteurl: {
      type: 'string',
      format: 'url',
      optional: true,
      description: 'The registry, as in `https://registry-1.docker.io`. Without it there is no mirror.',
    },
    username: {
      type: 'string',
      optional: true,
      description:
        'User at that registry. Whoever may use the mirror may pull what this user may: protect the mirror (`auth`, `http.tls.clientcas`).',
    },
    password: { type: 'string', optional: true, secret: true, description: 'Password of the user.' },
    exec: {
      type: 'object',
      optional: true,
      description: 'Credentials from a docker credential helper, instead of `username` and `password`.',
      fields: {
        command: {
          type: 'string',
          description: 'The helper, as in `docker-credential-ecr-login`. It is run with `get`.',
        },
        lifetime: {
          type: 'duration',
          optional: true,
          description:
            'How long what it gave is used. `0s`: for one request. Without it: until the registry refuses it.',
        },
      },
    },
    ttl: {
      type: 'duration',
      default: '168h',
      description: 'Images that nobody pulled for this time go. `0s`: they stay as long as there is room.',
    },
    cachewritetimeout: {
      type: 'obsolete',
      description: 'a fetch ends when the registry stands still, not after a time of its own',
    },
  },
} as const satisfies ObjectField;
