import type { ObjectField } from './fields.ts';

/** `stevedore.mirror`: a mirror of many registries, and how much it keeps. */
export const mirrorSection = {
  type: 'object',
  description: 'A mirror of many registries in one server; with `proxy` its cache alone.',
  fields: {
    upstreams: {
      type: 'list',
      description: 'The registries. With one or more the server is a mirror.',
      of: {
        type: 'object',
        description: 'A registry that is mirrored.',
        fields: {
          host: {
            type: 'string',
            anyCase: true,
            description:
              'The name that images have it by, as in `docker.io` or `registry.example.com:5000`: clients choose it by `?ns=` (containerd) or as the first part of the path.',
          },
          url: {
            type: 'string',
            format: 'url',
            optional: true,
            description:
              'Where it is, unless at `https://` and `host` (`docker.io`: `registry-1.docker.io`).',
          },
          aliases: {
            type: 'list',
            of: { type: 'string', anyCase: true, description: 'A name.' },
            description: 'Other names of it. `docker.io` has its usual ones without being told.',
          },
          username: { type: 'string', optional: true, description: 'User at this registry.' },
          password: { type: 'string', optional: true, secret: true, description: 'Password of the user.' },
          credentials: {
            type: 'string',
            format: 'absolute-path',
            optional: true,
            description:
              'Folder with the files `username` and `password`, or with `.dockerconfigjson`, read again when they change. Instead of `username` and `password`.',
          },
          ca: {
            type: 'string',
            format: 'file',
            optional: true,
            description:
              "PEM file with authorities to trust beside the system's, read again when it changes.",
          },
          allowedrepositories: {
            type: 'list',
            of: {
              type: 'string',
              description: 'A pattern: `*` stands for anything but a slash, `**` for anything.',
            },
            description:
              'Repositories that may be pulled, as the registry names them (`library/*`). Without it all. An upstream with credentials needs it, unless clients of the mirror say who they are.',
          },
          tagfreshness: {
            type: 'duration',
            default: '60s',
            description: 'How long a tag leads where it led before the registry is asked again.',
          },
          staleiferror: {
            type: 'duration',
            optional: true,
            description:
              'How long after that a tag is still answered with what it led to while the registry does not answer. Without it without limit. Never when the registry says no.',
          },
          realmhosts: {
            type: 'list',
            of: { type: 'string', anyCase: true, description: 'A host.' },
            description:
              "Hosts that credentials may go to for tokens, beside the registry's own and those of its domain.",
          },
        },
      },
    },
    defaultupstream: {
      type: 'string',
      anyCase: true,
      optional: true,
      description: '`host` of the registry for requests that name none. Without it they are 404.',
    },
    cache: {
      type: 'object',
      description: 'How much is kept. What was not pulled for the longest time goes first.',
      fields: {
        size: {
          type: 'integer',
          optional: true,
          minimum: 1,
          description: 'Bytes that content may take. Without it as many as the volume has.',
        },
        highwatermark: {
          type: 'integer',
          default: 90,
          minimum: 1,
          maximum: 100,
          description: 'Percent of `size` at which images begin to go.',
        },
        lowwatermark: {
          type: 'integer',
          default: 80,
          minimum: 0,
          maximum: 99,
          description: 'Percent of `size` at which that ends.',
        },
        ttl: {
          type: 'duration',
          optional: true,
          description:
            'Images that nobody pulled for this time go, also when there is room. Without it `proxy.ttl`, else none.',
        },
      },
    },
  },
} as const satisfies ObjectField;
