import type { DurationField, IntegerField, ObjectField } from './fields.ts';

const pooled = {
  type: 'obsolete',
  description: 'one connection carries all commands, so there is no pool',
} as const;

const duration = (description: string): DurationField & { readonly optional: true } => ({
  type: 'duration',
  optional: true,
  description,
});

const count = (description: string): IntegerField & { readonly optional: true } => ({
  type: 'integer',
  minimum: -1,
  optional: true,
  description,
});

/** `redis`: where the cache of blob descriptors may live. The keys of docker distribution 2.8 and of 3.x. */
export const redisSection = {
  type: 'object',
  optional: true,
  description: 'The Redis server, sentinel set or cluster that `storage.cache.blobdescriptor: redis` uses.',
  fields: {
    addr: { type: 'string', optional: true, description: '`host:port` of the server, as 2.x names it.' },
    addrs: {
      type: 'list',
      of: { type: 'string', description: '`host:port`.' },
      description:
        '`host:port` of the server; of each sentinel, with `mastername`; of several nodes of a cluster.',
    },
    mastername: { type: 'string', optional: true, description: 'Name of the set that sentinels watch.' },
    username: { type: 'string', optional: true, description: 'User of the server.' },
    password: { type: 'string', optional: true, secret: true, description: 'Password of the server.' },
    sentinelusername: { type: 'string', optional: true, description: 'User of the sentinels.' },
    sentinelpassword: {
      type: 'string',
      optional: true,
      secret: true,
      description: 'Password of the sentinels.',
    },
    db: { type: 'integer', minimum: 0, default: 0, description: 'Number of the database.' },
    protocol: {
      type: 'integer',
      minimum: 2,
      maximum: 3,
      default: 3,
      zeroIsDefault: true,
      description: 'Version of the protocol, 2 or 3.',
    },
    clientname: { type: 'string', optional: true, description: 'Name of the connections in `CLIENT LIST`.' },
    dialtimeout: duration('How long connecting may take.'),
    readtimeout: duration('How long an answer may take.'),
    writetimeout: duration('How long sending may take.'),
    maxretries: count('How often a command is tried again.'),
    minretrybackoff: duration('Shortest pause before a command is tried again.'),
    maxretrybackoff: duration('Longest pause before a command is tried again.'),
    contexttimeoutenabled: {
      type: 'obsolete',
      description: 'a command ends with its timeout, which is shorter than any request',
    },
    poolfifo: pooled,
    poolsize: pooled,
    pooltimeout: pooled,
    minidleconns: pooled,
    maxidleconns: pooled,
    maxactiveconns: pooled,
    connmaxidletime: pooled,
    connmaxlifetime: pooled,
    maxredirects: count('How many redirects of a cluster are followed.'),
    readonly: { type: 'boolean', default: false, description: 'Reads from the replicas of a cluster.' },
    routebylatency: {
      type: 'boolean',
      default: false,
      description: 'Reads from the nearest node of a cluster.',
    },
    routerandomly: { type: 'boolean', default: false, description: 'Reads from any node of a cluster.' },
    disableidentity: {
      type: 'boolean',
      default: false,
      description: 'Does not tell the server who connects.',
    },
    identitysuffix: {
      type: 'string',
      optional: true,
      description: 'Added to the name that the server is told.',
    },
    unstableresp3: { type: 'obsolete', description: 'no module of Redis is used' },
    pool: pooled,
    tls: {
      type: 'object',
      optional: true,
      description: 'Connects with TLS.',
      fields: {
        certificate: {
          type: 'string',
          format: 'file',
          optional: true,
          description: 'PEM file with the certificate that the registry shows.',
        },
        key: { type: 'string', format: 'file', optional: true, description: 'PEM file with its key.' },
        rootcas: {
          type: 'list',
          of: { type: 'string', format: 'file', description: 'A PEM file.' },
          description: "PEM files of CAs that the server's certificate is checked with.",
        },
      },
    },
  },
} as const satisfies ObjectField;
