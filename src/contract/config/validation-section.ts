import type { Field, ObjectField } from './fields.ts';

const patterns = (description: string) =>
  ({
    type: 'list',
    of: { type: 'string', format: 'regexp', description: 'A regular expression, in the syntax of Go.' },
    description,
  }) as const satisfies Field;

/** `validation`: which manifests are taken. */
export const validationSection = {
  type: 'object',
  description: 'Which manifests are taken. Layers must always be there before a manifest that names them.',
  fields: {
    disabled: {
      type: 'boolean',
      default: false,
      description: 'Takes any URLs of layers, and indexes whose manifests are not there.',
    },
    enabled: {
      type: 'boolean',
      default: false,
      description: 'Wins over `disabled`; the older of the two.',
    },
    manifests: {
      type: 'object',
      description: 'What is looked at.',
      fields: {
        urls: {
          type: 'object',
          description:
            'Where clients may be sent for layers that are not in the registry. Without lists, nowhere.',
          fields: {
            allow: patterns('Only URLs that one of these matches are taken.'),
            deny: patterns('URLs that one of these matches are refused.'),
          },
        },
        indexes: {
          type: 'object',
          description: 'Which manifests of an index have to be there before it.',
          fields: {
            platforms: {
              type: 'string',
              values: ['all', 'none', 'list'],
              anyCase: true,
              default: 'all',
              description: '`all` of them, `none`, or those for a platform of `platformlist`.',
            },
            platformlist: {
              type: 'list',
              description: 'Platforms that have to be there with `list`. An empty list is as good as `all`.',
              of: {
                type: 'object',
                description: 'A platform.',
                fields: {
                  architecture: { type: 'string', default: '', description: 'As in `amd64`.' },
                  os: { type: 'string', default: '', description: 'As in `linux`.' },
                },
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

/** `policy`: what kinds of repositories there may be. */
export const policySection = {
  type: 'object',
  description: 'What may be stored.',
  fields: {
    repository: {
      type: 'object',
      description: 'Policy of repositories.',
      fields: {
        classes: {
          type: 'list',
          of: { type: 'string', description: 'A class.' },
          description:
            'Classes of images that are taken, of `image` and `plugin`; without any, everything is. Others get 403.',
        },
      },
    },
  },
} as const satisfies ObjectField;
