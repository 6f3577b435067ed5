import { dataKey, eitherObject, labels, namespaceNames, objectName, SECRET_LABEL } from './field-schemas.ts';
import { groupNamePattern, repositoryGlobPattern, userNamePattern, plainUrlPattern } from './formats.ts';
import type { ArraySchema, ObjectSchema } from './schema.ts';

export const userName = {
  type: 'string',
  minLength: 1,
  maxLength: 128,
  pattern: userNamePattern,
  description: 'The name to log in with.',
} as const;

function groupNames(description: string) {
  return {
    type: 'array',
    maxItems: 32,
    'x-kubernetes-list-type': 'set',
    description,
    items: {
      type: 'string',
      minLength: 1,
      maxLength: 63,
      pattern: groupNamePattern,
      description: 'The name of a group.',
    },
  } as const satisfies ArraySchema;
}

function keyWithDefault<const Default extends string>(value: Default, description: string) {
  return { ...dataKey(description), default: value } as const;
}

const users = {
  type: 'array',
  maxItems: 256,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  default: [],
  description: 'Users, one by one. Where no other source names any, nobody gets in.',
  items: {
    type: 'object',
    required: ['name'],
    description: 'One user.',
    properties: {
      name: userName,
      groups: groupNames('The groups of the user, which rules of `access` may name.'),
      generate: {
        type: 'boolean',
        default: false,
        description:
          'Makes a password, once, and keeps it in a Secret of type `kubernetes.io/basic-auth` named `NAME-user-USER`. Delete that Secret to get another. It stays for as long as the content does.',
      },
      passwordSecretRef: {
        type: 'object',
        required: ['name'],
        description: `Where the password is. ${SECRET_LABEL}`,
        properties: {
          name: objectName('The name of the Secret, in the same namespace.'),
          key: keyWithDefault(
            'password',
            'The key in its data. One line break at the end of the value is left out.',
          ),
        },
      },
    },
    'x-kubernetes-validations': [
      {
        rule: 'has(self.passwordSecretRef) != self.generate',
        message: 'a user has one password: set either passwordSecretRef or generate: true',
      },
    ],
  },
} as const satisfies ArraySchema;

const htpasswd = {
  type: 'object',
  description: 'Users with passwords, by Basic authentication. Changes restart nothing.',
  properties: {
    users,
    secretRefs: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      description: `Secrets with whole htpasswd files, of which lines with bcrypt count. A user who is in \`users\` too, or in an earlier Secret, is left out and named in \`status.users.errors\`. ${SECRET_LABEL}`,
      items: {
        type: 'object',
        required: ['name'],
        description: 'One Secret.',
        properties: {
          name: objectName('The name of the Secret, in the same namespace.'),
          key: keyWithDefault('htpasswd', 'The key in its data.'),
        },
      },
    },
    selector: {
      type: 'object',
      required: ['matchLabels'],
      description: `Finds more Secrets in the namespace: with a whole htpasswd file under \`htpasswd\`, or one user under \`username\` and \`password\`. ${SECRET_LABEL}`,
      properties: {
        matchLabels: {
          ...labels('Labels that a Secret must have, all of them.', 8),
          'x-kubernetes-validations': [
            {
              rule: 'size(self) > 0',
              message:
                'without labels every Secret for credentials would be a list of users: name at least one label',
            },
          ],
        },
      },
    },
  },
} as const satisfies ObjectSchema;

function keysRef(what: string) {
  return {
    type: 'object',
    description: `${what} From either a Secret or a ConfigMap. Changes restart nothing.`,
    properties: {
      ...eitherObject.properties,
      key: dataKey('The key in its data.'),
    },
    required: ['key'],
    'x-kubernetes-validations': [eitherObject.rule],
  } as const satisfies ObjectSchema;
}

const token = {
  type: 'object',
  required: ['realm', 'service', 'issuer'],
  description:
    'Tokens (JWT) that another server signs; they say what their bearer may do, so there are no rules of `access` beside them.',
  properties: {
    realm: {
      type: 'string',
      minLength: 1,
      maxLength: 1024,
      pattern: plainUrlPattern,
      description: 'The URL of the server that gives out tokens.',
    },
    service: {
      type: 'string',
      minLength: 1,
      maxLength: 253,
      description: 'The name of this registry at that server; tokens must be for it (`aud`).',
    },
    issuer: {
      type: 'string',
      minLength: 1,
      maxLength: 253,
      description: 'The name of that server; tokens must be from it (`iss`).',
    },
    rootCertBundle: keysRef('Certificates in PEM whose keys sign tokens, or authorities of such (`x5c`).'),
    jwks: keysRef('Keys that sign tokens, as a JSON Web Key Set.'),
    signingAlgorithms: {
      type: 'array',
      maxItems: 13,
      'x-kubernetes-list-type': 'set',
      description: 'Algorithms that are taken; without it, all of them.',
      items: {
        type: 'string',
        enum: [
          'EdDSA',
          'HS256',
          'HS384',
          'HS512',
          'RS256',
          'RS384',
          'RS512',
          'ES256',
          'ES384',
          'ES512',
          'PS256',
          'PS384',
          'PS512',
        ],
        description: 'An algorithm, by its name in RFC 7518 and 8037.',
      },
    },
  },
  'x-kubernetes-validations': [
    {
      rule: 'has(self.rootCertBundle) || has(self.jwks)',
      message: 'nothing says whose tokens are good: set rootCertBundle or jwks',
    },
  ],
} as const satisfies ObjectSchema;

const access = {
  type: 'array',
  maxItems: 100,
  'x-kubernetes-list-type': 'atomic',
  description:
    'Rules, each of which allows something; what none allows is refused. Without a rule each user may do everything. Changes restart nothing.',
  items: {
    type: 'object',
    required: ['repositories', 'actions'],
    description: 'One rule. With neither users nor groups it is for each user.',
    properties: {
      repositories: {
        type: 'array',
        minItems: 1,
        maxItems: 32,
        'x-kubernetes-list-type': 'set',
        description: 'Patterns of names: `*` stands for anything but a slash, `**` for anything.',
        items: {
          type: 'string',
          minLength: 1,
          maxLength: 255,
          pattern: repositoryGlobPattern,
          description: 'A name or a pattern, such as `team/**`.',
        },
      },
      users: {
        type: 'array',
        minItems: 1,
        maxItems: 256,
        'x-kubernetes-list-type': 'set',
        description: 'Users for whom the rule is.',
        items: { ...userName, description: 'The name of a user.' },
      },
      groups: {
        ...groupNames('Groups of `htpasswd.users` for whose members the rule is.'),
        minItems: 1,
      },
      actions: {
        type: 'array',
        minItems: 1,
        maxItems: 4,
        'x-kubernetes-list-type': 'set',
        description:
          'What they may do. A push needs `Pull` as well, since it asks what is there; `Pull` includes `List`.',
        items: { type: 'string', enum: ['Pull', 'Push', 'Delete', 'List'], description: 'An action.' },
      },
    },
  },
} as const satisfies ArraySchema;

export const auth = {
  type: 'object',
  description:
    'Who may use the registry and for what. Without it, everybody may do everything, or with `tls.clientCAs` everybody with a certificate.',
  properties: {
    htpasswd,
    token,
    anonymous: {
      type: 'string',
      enum: ['None', 'Pull'],
      default: 'None',
      description: 'What clients without a password may do: nothing, or pull and list everything.',
    },
    access,
  },
  'x-kubernetes-validations': [
    {
      rule: '!has(self.htpasswd) || !has(self.token)',
      message: 'users have passwords or tokens, not both: remove htpasswd or token',
    },
    {
      rule: "!has(self.token) || (!has(self.access) && self.anonymous == 'None')",
      message:
        'with token the issuer of tokens decides who may do what: remove access and anonymous, or use htpasswd',
    },
  ],
} as const satisfies ObjectSchema;

export const pullSecrets = {
  type: 'array',
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['user'],
  description:
    'Secrets of type `kubernetes.io/dockerconfigjson`, for `imagePullSecrets` of pods, named `NAMESPACE.NAME-user-USER`. What is no longer here is taken back.',
  items: {
    type: 'object',
    required: ['user', 'namespaces'],
    description: 'A user and the namespaces that pull as this user.',
    properties: {
      user: { ...userName, description: 'The name of a user of `auth.htpasswd.users`.' },
      namespaces: namespaceNames('Namespaces that get the Secret; that of the Registry is always allowed.'),
    },
  },
} as const satisfies ArraySchema;

/** Rules of a spec with `auth` and `tls`. */
export const loginRules = [
  {
    rule: '!has(self.auth) || has(self.auth.htpasswd) || has(self.auth.token) || has(self.tls.clientCAs)',
    message:
      'auth does not say how users log in: set htpasswd, token or tls.clientCAs, or remove auth to let everybody in',
    fieldPath: '.auth',
  },
  {
    rule: '!has(self.auth) || !has(self.auth.token) || !has(self.tls.clientCAs)',
    message: 'users have tokens or certificates, not both: remove auth.token or tls.clientCAs',
    fieldPath: '.auth.token',
  },
] as const;

/** Rules of the spec that read more than one of its fields. */
export const authRules = [
  ...loginRules,
  {
    rule: '!has(self.pullSecrets) || (has(self.auth) && has(self.auth.htpasswd))',
    message: 'a pull secret holds the password of a user: set auth.htpasswd, or remove pullSecrets',
    fieldPath: '.pullSecrets',
  },
] as const;
