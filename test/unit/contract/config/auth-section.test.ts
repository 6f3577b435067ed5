import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type Config } from '../../../../src/contract/config/config.ts';

const smallest = 'version: 0.1\nstorage: filesystem\nhttp: {addr: ":5000"}\n';

function errorsOf(text: string, environment: Readonly<Record<string, string>> = {}): readonly string[] {
  return parseConfig(smallest + text, environment).errors.map(({ path, message }) => `${path} ${message}`);
}

function configOf(text: string): Config {
  const { config, errors } = parseConfig(smallest + text);
  assert.deepEqual(errors, []);
  return config ?? assert.fail();
}

test('each provider has its options, and the files that it reads are found', () => {
  assert.deepEqual(configOf('auth: none').auth, {
    none: {},
    silly: undefined,
    token: undefined,
    htpasswd: undefined,
  });
  assert.deepEqual(configOf('auth: {silly: {realm: r, service: s}}').auth.silly, {
    realm: 'r',
    service: 's',
  });
  const token = `auth:
  token: {realm: https://r/t, service: s, issuer: i, rootcertbundle: /bundle, jwks: /jwks, signingalgorithms: [RS256], autoredirect: true, autoredirectpath: jwt/auth}
stevedore: {auth: {}}`;
  assert.deepEqual(configOf(token).auth.token, {
    realm: 'https://r/t',
    service: 's',
    issuer: 'i',
    rootcertbundle: '/bundle',
    jwks: '/jwks',
    signingalgorithms: ['RS256'],
    autoredirect: true,
    autoredirectpath: '/jwt/auth',
  });
  assert.deepEqual(
    parseConfig(smallest + token).files.map(({ file }) => file),
    ['/bundle', '/jwks'],
  );
  const least = configOf('auth: {token: {realm: r, service: s, issuer: i, jwks: /k}}').auth.token;
  assert.partialDeepStrictEqual(least, {
    signingalgorithms: [],
    autoredirect: false,
    autoredirectpath: '/auth/token',
  });
  const ours = configOf('stevedore: {auth: {access: /rules.yml, clientcertificates: true}}').stevedore.auth;
  assert.deepEqual(ours, { access: '/rules.yml', clientcertificates: true });
});

test('a provider that is misspelt, a second one, and one without what it needs are errors', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    [
      'auth: {htpaswd: {realm: r, path: /u}}',
      ['auth.htpaswd is no provider of auth, did you mean htpasswd?'],
    ],
    ['auth: kerberos', ['auth.kerberos is no provider of auth']],
    ['auth: {none: {}, silly: {realm: r, service: s}}', ['auth must name one provider, not 2: none, silly']],
    ['auth: silly', ['auth.silly.realm is required', 'auth.silly.service is required']],
    ['auth: {silly: {realm: "a\\nb", service: s}}', ['auth.silly.realm must not hold control characters']],
    [
      'auth: {token: {realm: r, service: s, issuer: i}}',
      ['auth.token needs rootcertbundle or jwks, a file with keys'],
    ],
    [
      'auth: {token: {realm: r, service: s, issuer: i, jwks: /k, signingalgorithms: [none]}}',
      [
        'auth.token.signingalgorithms.0 must be EdDSA, HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, not "none"',
      ],
    ],
    [
      'auth: {token: {realm: r, service: s, issuer: i, jwks: /k}}\nstevedore: {auth: {access: /rules.yml}}',
      ['stevedore.auth has no place beside auth.token, where tokens decide'],
    ],
  ];
  for (const [text, expected] of cases) assert.deepEqual(errorsOf(text), expected, text);
});

test('a provider that is misspelt in a variable does not leave the registry open either', () => {
  assert.deepEqual(errorsOf('', { REGISTRY_AUTH: 'htpaswd' }), [
    'auth.htpaswd is no provider of auth, did you mean htpasswd?',
  ]);
  assert.deepEqual(errorsOf('', { REGISTRY_AUTH_HTPASWD_PATH: '/users' }), [
    'REGISTRY_AUTH_HTPASWD_PATH is no provider of auth, did you mean HTPASSWD?',
  ]);
});
