import { azureSection } from './azure-section.ts';
import type { ObjectField } from './fields.ts';
import { gcsSection } from './gcs-section.ts';
import { ossSection } from './oss-section.ts';
import { s3Section } from './s3-section.ts';
import { swiftSection } from './swift-section.ts';

/** `storage`: the driver, and what concerns all of them. */
export const storageSection = {
  type: 'object',
  bareKey: true,
  aliases: { s3aws: 's3' },
  description: 'Where content lives. Exactly one driver.',
  fields: {
    filesystem: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description: 'Stores on a local or mounted file system, in the layout of docker distribution.',
      fields: {
        rootdirectory: {
          type: 'string',
          format: 'absolute-path',
          default: '/var/lib/registry',
          description: 'The folder that holds `docker/registry`.',
        },
        maxthreads: {
          type: 'obsolete',
          description: 'no thread waits for a file here, so that there is nothing to limit',
        },
      },
    },
    s3: s3Section,
    swift: swiftSection,
    azure: azureSection,
    gcs: gcsSection,
    oss: ossSection,
    inmemory: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description: 'Stores in the memory of the process and loses all with it: for tests.',
      fields: {},
    },
    cache: {
      type: 'object',
      aliases: { layerinfo: 'blobdescriptor' },
      description: 'What is remembered of blobs, so that the store need not be asked each time.',
      fields: {
        blobdescriptor: {
          type: 'string',
          optional: true,
          description:
            '`inmemory`, or `redis` with the section of that name. `layerinfo` is an old name of it.',
        },
        blobdescriptorsize: {
          type: 'integer',
          minimum: 0,
          default: 10_000,
          description: 'Most entries of `inmemory`; 0 for any number.',
        },
      },
    },
    redirect: {
      type: 'object',
      description: 'Who sends the bytes of blobs.',
      fields: {
        disable: {
          type: 'boolean',
          default: false,
          description:
            '`true`: this server sends them. Otherwise clients are sent to the store by 307, where it has URLs for them.',
        },
      },
    },
    tag: {
      type: 'object',
      description: 'Tags.',
      fields: {
        concurrencylimit: {
          type: 'integer',
          default: 8,
          minimum: 0,
          zeroIsDefault: true,
          description:
            'Tags that are looked at together, to list them or to delete a manifest with all its tags.',
        },
      },
    },
    delete: {
      type: 'object',
      description: 'Deletes by clients.',
      fields: {
        enabled: {
          type: 'boolean',
          default: false,
          description: 'Lets clients delete manifests, tags and blobs.',
        },
      },
    },
    maintenance: {
      type: 'object',
      description: 'Upkeep.',
      fields: {
        uploadpurging: {
          type: 'object',
          description: 'Removes uploads that nobody ended, and what killed processes left.',
          fields: {
            enabled: { type: 'boolean', default: true, description: 'Turns it on.' },
            age: {
              type: 'duration',
              default: '168h',
              description:
                'An upload goes when nothing was written to it for this long, in a bucket this long after its start.',
            },
            interval: {
              type: 'duration',
              default: '24h',
              zeroIsDefault: true,
              description: 'Pause between two purges. The first is within an hour of the start.',
            },
            dryrun: {
              type: 'boolean',
              default: false,
              description: 'Logs what would be removed, and removes nothing.',
            },
          },
        },
        readonly: {
          type: 'object',
          description: 'Refuses every write. Garbage collection does not need it.',
          fields: {
            enabled: { type: 'boolean', default: false, description: 'Answers 405 to every write.' },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;
