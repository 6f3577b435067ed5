import type { ConfigProblem, Findings } from './decode.ts';
import type { Decoded, ObjectField } from './fields.ts';

/** As the names of JSON Web Algorithms, RFC 7518 and 8037. */
const SIGNING_ALGORITHMS = [
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
] as const;

/** `auth`: who may use the registry. */
export const authSection = {
  type: 'object',
  bareKey: true,
  description: 'Who may use the registry: one provider at most. Without it everybody may do everything.',
  fields: {
    none: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description: 'Everybody may do everything, as without `auth`.',
      fields: {},
    },
    silly: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description: 'For tests: whoever sends an Authorization header may do everything, whatever it says.',
      fields: {
        realm: { type: 'string', description: 'Realm of the challenge.' },
        service: { type: 'string', description: 'Service of the challenge.' },
      },
    },
    token: {
      type: 'object',
      optional: true,
      namedByKey: true,
      description:
        'Tokens (JWT) that another server signs; they say what their bearer may do. Needs `rootcertbundle` or `jwks`. Both are read again when they change.',
      fields: {
        realm: { type: 'string', description: 'URL of the server that gives out tokens.' },
        service: {
          type: 'string',
          description: 'Name of this registry at that server; tokens must be for it (`aud`).',
        },
        issuer: { type: 'string', description: 'Name of that server; tokens must be from it (`iss`).' },
        rootcertbundle: {
          type: 'string',
          format: 'file',
          optional: true,
          description:
            'PEM file with certificates: those whose keys sign tokens, or authorities of such (`x5c`).',
        },
        jwks: {
          type: 'string',
          format: 'file',
          optional: true,
          description: 'JSON file with keys that sign tokens (a JSON Web Key Set).',
        },
        signingalgorithms: {
          type: 'list',
          of: { type: 'string', values: SIGNING_ALGORITHMS, description: 'An algorithm.' },
          description: `Algorithms that are taken, of ${SIGNING_ALGORITHMS.join(', ')}; all of them if none is named. HS… need a key of type \`oct\` in \`jwks\`.`,
        },
        autoredirect: {
          type: 'boolean',
          default: false,
          description: 'The realm is the host of the request with `autoredirectpath`, over HTTPS.',
        },
        autoredirectpath: {
          type: 'string',
          format: 'url-path',
          default: '/auth/token',
          description: 'See `autoredirect`.',
        },
      },
    },
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
} as const satisfies ObjectField;

/** `stevedore.auth`: what docker distribution does not have. */
export const accessSection = {
  type: 'object',
  description: 'Who may do what, beyond `auth`.',
  fields: {
    access: {
      type: 'string',
      format: 'file',
      optional: true,
      description:
        'YAML file with rules for repositories, groups of users and `anonymous: pull`, read again when it changes: [access rules](access-rules.md). Not with `auth.token`, where tokens decide.',
    },
    clientcertificates: {
      type: 'boolean',
      default: false,
      description:
        'A client certificate that was verified (`http.tls.clientcas`) takes the place of a password; its common name is the user. Without a provider in `auth` it always does.',
    },
  },
} as const satisfies ObjectField;

type Auth = Decoded<typeof authSection>;
type Access = Decoded<typeof accessSection>;

/** Rules over several fields. */
export function checkAuth(auth: Auth, access: Access, found: Findings): void {
  found.errors.push(...found.warnings.flatMap(misspeltProvider));
  const providers = Object.entries(auth).flatMap(([name, options]) => (options === undefined ? [] : [name]));
  if (providers.length > 1) {
    const message = `must name one provider, not ${providers.length}: ${providers.join(', ')}`;
    found.errors.push({ path: 'auth', message });
  }
  const { token } = auth;
  if (token !== undefined && token.rootcertbundle === undefined && token.jwks === undefined) {
    found.errors.push({ path: 'auth.token', message: 'needs rootcertbundle or jwks, a file with keys' });
  }
  if (token !== undefined && (access.access !== undefined || access.clientcertificates)) {
    found.errors.push({
      path: 'stevedore.auth',
      message: 'has no place beside auth.token, where tokens decide',
    });
  }
  const inHeaders = {
    'auth.htpasswd.realm': auth.htpasswd?.realm,
    'auth.silly.realm': auth.silly?.realm,
    'auth.silly.service': auth.silly?.service,
    'auth.token.realm': token?.realm,
    'auth.token.service': token?.service,
  };
  for (const [path, text] of Object.entries(inHeaders)) {
    if (/\p{Cc}/u.test(text ?? '')) found.errors.push({ path, message: 'must not hold control characters' });
  }
}

/** Elsewhere a key that is not known is ignored. A provider that is misspelt must not leave the registry open. */
function misspeltProvider({ path, message }: ConfigProblem): readonly ConfigProblem[] {
  const variable = /^REGISTRY_AUTH_([A-Z]+)/.exec(path)?.[1]?.toLowerCase();
  const isVariable = variable !== undefined && !Object.hasOwn(authSection.fields, variable);
  if (!isVariable && !/^auth\.[^.]+$/.test(path)) return [];
  return [
    {
      path,
      message: message.replace(/^(?:is not an|names no) option and is ignored/, 'is no provider of auth'),
    },
  ];
}
