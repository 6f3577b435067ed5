import type { Decoded, ObjectField } from './fields.ts';

const MIB = 1024 * 1024;

/** `storage.oss`: Alibaba Cloud Object Storage Service. */
export const ossSection = {
  type: 'object',
  optional: true,
  namedByKey: true,
  description:
    'Stores in a bucket of Alibaba Cloud OSS, in the layout of docker distribution 2.8. Tested with signatures that Alibaba published, not with the service.',
  fields: {
    accesskeyid: { type: 'string', description: 'Access key ID.' },
    accesskeysecret: { type: 'string', secret: true, description: 'Access key secret.' },
    region: { type: 'string', description: 'Region of the bucket, as in `oss-cn-hangzhou`.' },
    bucket: { type: 'string', description: 'The bucket, which must exist.' },
    endpoint: {
      type: 'string',
      optional: true,
      description:
        'Host of the bucket, in place of `<bucket>.<region>.aliyuncs.com`: one of its own domains, or `<bucket>.oss-accelerate.aliyuncs.com`.',
    },
    internal: {
      type: 'boolean',
      default: false,
      description: "Uses the address within Alibaba's network, `<bucket>.<region>-internal.aliyuncs.com`.",
    },
    encrypt: { type: 'boolean', default: false, description: 'Has OSS encrypt what it stores (AES256).' },
    secure: { type: 'boolean', default: true, description: 'Uses HTTPS.' },
    chunksize: {
      type: 'integer',
      minimum: 5 * MIB,
      default: 10 * MIB,
      description: 'Bytes of a part of an upload. All uploads share 64 MiB of memory, or four parts.',
    },
    rootdirectory: { type: 'string', default: '', description: 'Beginning of the names of all objects.' },
  },
} as const satisfies ObjectField;

export type OssOptions = Decoded<typeof ossSection>;
