import type { Decoded, ObjectField } from './fields.ts';

const MIB = 1024 * 1024;
const SMALLEST_PART = 5 * MIB;
const LARGEST_PART = 5 * 1024 * MIB;

/** `storage.s3`: Amazon S3, and the many stores that speak as it does. */
export const s3Section = {
  type: 'object',
  optional: true,
  namedByKey: true,
  description:
    'Stores in a bucket of Amazon S3 or a store with its API, in the layout of docker distribution. `s3aws` is another name of it.',
  fields: {
    bucket: { type: 'string', description: 'The bucket, which must exist.' },
    region: {
      type: 'string',
      optional: true,
      description: 'Region of the bucket, as in `eu-central-1`. Required unless there is a `regionendpoint`.',
    },
    regionendpoint: {
      type: 'string',
      optional: true,
      description: 'Host or URL of a store other than Amazon S3, as in `https://minio.example.com:9000`.',
    },
    forcepathstyle: {
      type: 'boolean',
      optional: true,
      description:
        '`true`: the bucket stands in the path of URLs; `false`: in their host name. Without it in the path if there is a `regionendpoint`, as in docker distribution 2.',
    },
    accesskey: {
      type: 'string',
      optional: true,
      description:
        "Access key. Without it credentials are looked for as Amazon's libraries do: in the environment, a web identity (IAM roles for service accounts), the shared files, the role of the container (EKS Pod Identity, ECS), the role of the machine.",
    },
    secretkey: { type: 'string', optional: true, secret: true, description: 'Secret access key.' },
    secure: {
      type: 'boolean',
      default: true,
      description: 'TLS, where `regionendpoint` does not say `http://` or `https://`.',
    },
    skipverify: { type: 'boolean', default: false, description: 'Accepts any certificate.' },
    v4auth: {
      type: 'boolean',
      default: true,
      description: '`false`: signatures of version 2, for old stores. Amazon takes them no more.',
    },
    usedualstack: { type: 'boolean', default: false, description: "Amazon's hosts with IPv6." },
    accelerate: { type: 'boolean', default: false, description: 'Amazon S3 Transfer Acceleration.' },
    usefipsendpoint: { type: 'boolean', default: false, description: "Amazon's hosts with FIPS 140." },
    redirectendpoint: {
      type: 'string',
      format: 'url',
      optional: true,
      description:
        'Scheme and host that clients are redirected to, if it is not the one that the server uses.',
    },
    rootdirectory: { type: 'string', default: '', description: 'Beginning of the keys of all objects.' },
    encrypt: { type: 'boolean', default: false, description: 'Asks the store to encrypt what it stores.' },
    keyid: {
      type: 'string',
      optional: true,
      description: 'Key of a KMS for that. Without it the store uses a key of its own.',
    },
    storageclass: {
      type: 'string',
      anyCase: true,
      default: 'standard',
      values: [
        'standard',
        'none',
        'reduced_redundancy',
        'standard_ia',
        'onezone_ia',
        'intelligent_tiering',
        'outposts',
        'glacier_ir',
        'express_onezone',
      ],
      description: 'Storage class of new objects. `NONE` and `STANDARD` name none to the store.',
    },
    objectacl: {
      type: 'string',
      default: 'private',
      values: [
        'private',
        'public-read',
        'public-read-write',
        'authenticated-read',
        'aws-exec-read',
        'bucket-owner-read',
        'bucket-owner-full-control',
      ],
      description: 'Access to new objects for others.',
    },
    chunksize: {
      type: 'integer',
      default: 10 * MIB,
      minimum: SMALLEST_PART,
      maximum: LARGEST_PART,
      description:
        'Bytes of a part of an upload. An upload has 10,000 at most, and up to four in memory; all uploads share 64 MiB, or four parts.',
    },
    multipartcopychunksize: {
      type: 'integer',
      default: 32 * MIB,
      minimum: SMALLEST_PART,
      maximum: LARGEST_PART,
      description: 'Bytes of a part when a large object is copied within the store.',
    },
    multipartcopymaxconcurrency: {
      type: 'integer',
      default: 100,
      minimum: 1,
      description: 'Parts of one copy on their way together.',
    },
    multipartcopythresholdsize: {
      type: 'integer',
      default: 32 * MIB,
      minimum: 0,
      maximum: LARGEST_PART,
      description: 'Objects larger than this are copied in parts.',
    },
    useragent: {
      type: 'string',
      default: '',
      description: 'Goes behind ours in the User-Agent of requests.',
    },
    loglevel: {
      type: 'string',
      anyCase: true,
      default: 'off',
      description:
        'Logs requests to the store: all (`debug` and most words that begin so), those that failed (`debugwithrequesterrors`) or that were sent again (`debugwithrequestretries`).',
    },
  },
} as const satisfies ObjectField;

export type S3Options = Decoded<typeof s3Section>;

/** What is wrong with options that belong together, by the key within the section. */
export function s3Problems(options: S3Options): readonly { key: string; message: string }[] {
  const { regionendpoint, redirectendpoint, accelerate } = options;
  const problems: { key: string; message: string }[] = [];
  const report = (key: keyof S3Options, message: string): void => void problems.push({ key, message });
  if (regionendpoint === undefined && options.region === undefined) {
    report('region', 'is required without a regionendpoint');
  }
  if (regionendpoint !== undefined && !URL.canParse(regionendpoint.replace(/^(?!https?:\/\/)/, 'http://'))) {
    report('regionendpoint', `must be a host or a URL, not ${JSON.stringify(regionendpoint)}`);
  }
  if (redirectendpoint !== undefined && !/^https?:\/\/[^/?#]+\/?$/.test(redirectendpoint)) {
    report('redirectendpoint', 'must be a scheme and a host, without path and query');
  }
  if (!options.v4auth && (regionendpoint ?? 'amazonaws.com').includes('amazonaws.com')) {
    report('v4auth', 'must be true on Amazon S3');
  }
  if ((options.accesskey === undefined) !== (options.secretkey === undefined)) {
    report(options.accesskey === undefined ? 'accesskey' : 'secretkey', 'is required with the other key');
  }
  if (accelerate && (regionendpoint !== undefined || options.usefipsendpoint || options.forcepathstyle)) {
    report('accelerate', 'cannot be had with regionendpoint, usefipsendpoint or forcepathstyle');
  }
  if (accelerate && options.bucket.includes('.')) {
    report('accelerate', 'needs a bucket without dots in its name');
  }
  return problems;
}
