import type { DurationField, IntegerField, ObjectField } from './fields.ts';

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
      type: 'boolean',
      default: false,
      description: 'Ends commands with their request.',
    },
    poolfifo: {
      type: 'boolean',
      default: false,
      description: 'Uses the connection that was idle longest first.',
    },
    poolsize: count('Most connections at once.'),
    pooltimeout: duration('How long to wait for a free connection.'),
    minidleconns: count('Connections that are kept open.'),
    maxidleconns: count('Most connections that are kept open.'),
    maxactiveconns: count('Most connections at once, waiting ones included.'),
    connmaxidletime: duration('How long a connection may be idle.'),
    connmaxlifetime: duration('How old a connection may become.'),
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
    unstableresp3: { type: 'boolean', default: false, description: 'Answers of modules in protocol 3.' },
    pool: {
      type: 'object',
      description: 'The connections, as 2.x names them.',
      fields: {
        maxidle: count('Most connections that are kept open.'),
        maxactive: count('Most connections at once.'),
        idletimeout: duration('How long a connection may be idle.'),
      },
    },
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
