/**
 * The configuration of the registry server: docker distribution's `config.yml` as far as this version has it, and our own
 * settings under `stevedore`. The one source of types, defaults, decoding, environment overrides and the reference page.
 */

interface Described {
  readonly description: string;
}

/** Absent stays absent: the part that it configures is off. */
interface MayBeAbsent {
  readonly optional?: true;
}

export type Field = ObjectField | StringField | BooleanField | IntegerField | DurationField | MapField;

export interface ObjectField extends Described, MayBeAbsent {
  readonly type: 'object';
  readonly fields: Readonly<Record<string, Field>>;
  /** A bare string stands for an object with that one key, as in `auth: htpasswd` and `REGISTRY_AUTH=htpasswd`. */
  readonly bareKey?: true;
  /** With `optional`: the key alone turns it on, with defaults. Otherwise an empty object is as good as none. */
  readonly namedByKey?: true;
}

export interface StringField extends Described, MayBeAbsent {
  readonly type: 'string';
  readonly default?: string;
  readonly values?: readonly string[];
  readonly format?: StringFormat;
}

/** `file`: must be readable before anything starts, which the caller of parseConfig checks. */
export type StringFormat = 'address' | 'file' | 'absolute-path' | 'url-path' | 'url';

export interface BooleanField extends Described {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface IntegerField extends Described {
  readonly type: 'integer';
  readonly default: number;
  readonly minimum: number;
}

/** Decoded to milliseconds. */
export interface DurationField extends Described {
  readonly type: 'duration';
  /** As Go writes it. */
  readonly default: string;
}

/** Names that the user chooses, each with one value or a list. */
interface MapField extends Described {
  readonly type: 'map';
  readonly of: 'string' | 'list';
}

type Decoded<F> = F extends { readonly type: 'object'; readonly fields: infer Fields }
  ? { readonly [K in keyof Fields]: Decoded<Fields[K]> | AbsentIf<Fields[K]> }
  : F extends { readonly type: 'string'; readonly values: readonly (infer V)[] }
    ? V
    : F extends { readonly type: 'string' }
      ? string
      : F extends { readonly type: 'boolean' }
        ? boolean
        : F extends { readonly type: 'integer' | 'duration' }
          ? number
          : F extends { readonly type: 'map'; readonly of: 'string' }
            ? Readonly<Record<string, string>>
            : F extends { readonly type: 'map' }
              ? Readonly<Record<string, readonly string[]>>
              : never;

type AbsentIf<F> = F extends { readonly optional: true } ? undefined : never;

export const configSchema = {
  type: 'object',
  description: 'The whole document.',
  fields: {
    version: { type: 'string', values: ['0.1'], description: 'Version of the format.' },
    log: {
      type: 'object',
      description: 'What is logged. Lines go to standard error.',
      fields: {
        level: {
          type: 'string',
          values: ['error', 'warn', 'info', 'debug'],
          default: 'info',
          description: 'Lines below this level are left out.',
        },
        formatter: {
          type: 'string',
          values: ['text', 'json'],
          default: 'text',
          description: '`text` is `key=value` pairs, `json` is one object a line.',
        },
        fields: { type: 'map', of: 'string', description: 'Fields that every line carries.' },
        accesslog: {
          type: 'object',
          description: 'One line a request.',
          fields: {
            disabled: { type: 'boolean', default: false, description: 'Leaves the access lines out.' },
          },
        },
      },
    },
    storage: {
      type: 'object',
      bareKey: true,
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
              type: 'integer',
              default: 100,
              minimum: 0,
              description: 'Accepted for compatibility, without effect.',
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
    },
    http: {
      type: 'object',
      description: 'The listener that clients use.',
      fields: {
        addr: {
          type: 'string',
          format: 'address',
          description:
            '`host:port`, `:port` for all addresses, or the path of a socket when `net` is `unix`.',
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
          type: 'string',
          optional: true,
          description: 'Accepted for compatibility. Uploads need no shared secret here.',
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
        tls: {
          type: 'object',
          optional: true,
          description: 'Serves HTTPS. The files are watched, and a new pair is served without a restart.',
          fields: {
            certificate: {
              type: 'string',
              format: 'file',
              optional: true,
              description: 'PEM file with the certificate, then its intermediates.',
            },
            key: {
              type: 'string',
              format: 'file',
              optional: true,
              description: 'PEM file with the private key.',
            },
            minimumtls: {
              type: 'string',
              values: ['tls1.0', 'tls1.1', 'tls1.2', 'tls1.3'],
              default: 'tls1.2',
              description: 'Oldest version spoken. `tls1.0` and `tls1.1` are raised to `tls1.2`.',
            },
          },
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
    },
    auth: {
      type: 'object',
      bareKey: true,
      description: 'Who may use the registry. Without it everybody may do everything.',
      fields: {
        htpasswd: {
          type: 'object',
          optional: true,
          namedByKey: true,
          description: 'Users with passwords. The file is read again when it changes.',
          fields: {
            realm: { type: 'string', description: 'Name of the realm that clients show.' },
            path: {
              type: 'string',
              format: 'file',
              description:
                'File with a `user:hash` a line, the hash made with bcrypt (`stevedore htpasswd`, `htpasswd -B`).',
            },
          },
        },
      },
    },
    catalog: {
      type: 'object',
      description: '`GET /v2/_catalog`.',
      fields: {
        maxentries: {
          type: 'integer',
          default: 1000,
          minimum: 1,
          description: 'Largest `n` that a client may ask for; more is 400.',
        },
      },
    },
    tags: {
      type: 'object',
      description: '`GET /v2/<name>/tags/list`.',
      fields: {
        maxtags: {
          type: 'integer',
          default: 1000,
          minimum: 1,
          description: 'Largest page: a bigger `n` is cut to it.',
        },
      },
    },
    stevedore: {
      type: 'object',
      description: 'Settings that docker distribution does not have.',
      fields: {
        status: {
          type: 'object',
          optional: true,
          namedByKey: true,
          description:
            'A listener for the operator and for probes: `/healthz`, `/readyz`, `/status`, `/metrics`.',
          fields: {
            addr: {
              type: 'string',
              format: 'address',
              default: ':5001',
              description: '`host:port` of the listener. It has no authentication and serves no secrets.',
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectField;

/**
 * A decoded configuration: every field that is not optional is there, durations are milliseconds. One storage driver is
 * always there, and this version has one.
 */
export type Config = Document & { readonly storage: { readonly filesystem: object } };

/** As decoded, before the rules that concern more than one field are checked. */
export type Document = Decoded<typeof configSchema>;

/**
 * Options that docker distribution has and this version does not. `ignored`: the server works the same without.
 * `refused`: leaving it out would change what is stored, who may do what, or what clients are promised.
 */
export const unsupportedOptions: Readonly<Record<string, 'ignored' | 'refused'>> = {
  loglevel: 'ignored',
  reporting: 'ignored',
  'log.hooks': 'ignored',
  'log.reportcaller': 'ignored',
  'storage.azure': 'refused',
  'storage.gcs': 'refused',
  'storage.inmemory': 'refused',
  'storage.oss': 'refused',
  'storage.s3': 'refused',
  'storage.s3aws': 'refused',
  'storage.swift': 'refused',
  'storage.cache': 'ignored',
  'storage.redirect': 'ignored',
  'storage.tag': 'ignored',
  'storage.maintenance.uploadpurging': 'ignored',
  'auth.none': 'refused',
  'auth.silly': 'refused',
  'auth.token': 'refused',
  middleware: 'refused',
  'http.http2': 'ignored',
  'http.h2c': 'ignored',
  'http.tls.ciphersuites': 'refused',
  'http.tls.clientauth': 'refused',
  'http.tls.clientcas': 'refused',
  'http.tls.letsencrypt': 'refused',
  notifications: 'refused',
  redis: 'ignored',
  health: 'ignored',
  proxy: 'refused',
  'validation.disabled': 'ignored',
  'validation.enabled': 'ignored',
  'validation.manifests': 'refused',
  policy: 'refused',
  compatibility: 'ignored',
};
