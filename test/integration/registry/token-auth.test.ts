import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { converse } from '../../support/protocol.ts';
import { testCertificate } from '../../support/test-certificates.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { claims, ecdsaKey, hmacKey, token, type SigningKey } from '../../support/token-issuer.ts';

const settings = {
  REGISTRY_AUTH_TOKEN_REALM: 'https://auth.example.com/token',
  REGISTRY_AUTH_TOKEN_SERVICE: 'registry',
  REGISTRY_AUTH_TOKEN_ISSUER: 'issuer',
};
const keySet = (...keys: readonly SigningKey[]): string =>
  JSON.stringify({ keys: keys.map(({ jwk, alg }) => ({ ...jwk, kid: alg })) });
const bearer = (
  signer: SigningKey,
  access: readonly object[],
  sub = 'ann',
): Readonly<Record<string, string>> => ({
  authorization: `Bearer ${token(signer, { kid: signer.alg }, claims({ access, sub }))}`,
});
const may = (name: string, ...actions: readonly string[]): object => ({ type: 'repository', name, actions });
const challenge = (rest: string): string =>
  `Bearer realm="https://auth.example.com/token",service="registry"${rest}`;

test('a token opens what its claims name; for the rest the challenge says what to ask for', async (t) => {
  const signer = ecdsaKey();
  const { url } = await startTestRegistry(
    t,
    { ...settings, REGISTRY_AUTH_TOKEN_JWKS: '{folder}/jwks' },
    (folder) => writeFileSync(join(folder, 'jwks'), keySet(signer)),
  );
  const blob = Buffer.from('blob');
  const digest = digestOf(blob);
  const headers = bearer(signer, [may('a', 'pull', 'push'), may('b', 'pull')]);
  const scoped = (scope: string, error = ''): object => ({
    status: 401,
    code: 'UNAUTHORIZED',
    answer: { 'www-authenticate': challenge(`,scope="${scope}"${error}`) },
  });
  const insufficient = ',error="insufficient_scope"';
  await converse(url, [
    { send: 'GET /v2/', status: 401, answer: { 'www-authenticate': challenge('') } },
    { send: 'GET /v2/', headers, status: 200 },
    {
      send: 'GET /v2/',
      headers: { authorization: 'Bearer x' },
      status: 401,
      answer: { 'www-authenticate': challenge(',error="invalid_token"') },
    },
    {
      send: 'GET /v2/',
      headers: { authorization: 'Basic YTpi' },
      status: 401,
      answer: { 'www-authenticate': challenge('') },
    },
    { send: `POST /v2/a/blobs/uploads/?digest=${digest}`, headers, body: blob, status: 201 },
    { send: 'GET /v2/a/tags/list', headers, status: 200 },
    { send: `GET /v2/a/blobs/${digest}`, status: 401, ...scoped('repository:a:pull') },
    {
      send: `DELETE /v2/a/blobs/${digest}`,
      headers,
      status: 401,
      ...scoped('repository:a:delete', insufficient),
    },
    {
      send: `POST /v2/b/blobs/uploads/`,
      headers,
      status: 401,
      ...scoped('repository:b:pull,push', insufficient),
    },
    { send: 'GET /v2/_catalog', headers, status: 401, ...scoped('registry:catalog:*', insufficient) },
    {
      send: 'GET /v2/_catalog',
      headers: bearer(signer, [{ type: 'registry', name: 'catalog', actions: ['*'] }]),
      status: 200,
      text: '{"repositories":["a"]}',
    },
    {
      send: `POST /v2/b/blobs/uploads/?mount=${digest}&from=a`,
      headers: bearer(signer, [may('b', 'pull', 'push')]),
      status: 202,
    },
    {
      send: `POST /v2/b/blobs/uploads/?mount=${digest}&from=a`,
      headers: bearer(signer, [may('b', 'pull', 'push'), may('a', 'pull')]),
      status: 201,
    },
    {
      send: `POST /v2/b/blobs/uploads/?mount=${digest}&from=a`,
      headers,
      status: 401,
      ...scoped('repository:b:pull,push repository:a:pull', insufficient),
    },
  ]);
});

test('keys come from a bundle and a set together, algorithms can be few, and both files are read again', async (t) => {
  const [old, young, secret] = [testCertificate({ commonName: 'old' }), ecdsaKey(), hmacKey('HS256')];
  const signer = ecdsaKey('ES256', old);
  const withChain = (sub: string): Readonly<Record<string, string>> => ({
    authorization: `Bearer ${token(signer, { x5c: [old.certificate.raw.toString('base64')] }, claims({ sub }))}`,
  });
  const { url, folder } = await startTestRegistry(
    t,
    {
      ...settings,
      REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: '{folder}/bundle',
      REGISTRY_AUTH_TOKEN_JWKS: '{folder}/jwks',
      REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS: '[ES256]',
      REGISTRY_AUTH_TOKEN_AUTOREDIRECT: 'true',
      REGISTRY_AUTH_TOKEN_AUTOREDIRECTPATH: '/jwt/auth',
    },
    (path) => {
      writeFileSync(join(path, 'bundle'), old.pem);
      writeFileSync(join(path, 'jwks'), keySet(young, secret));
    },
  );
  const { host } = new URL(url);
  await converse(url, [
    { send: 'GET /v2/', headers: withChain('ann'), status: 200 },
    { send: 'GET /v2/', headers: bearer(young, []), status: 200 },
    { send: 'GET /v2/', headers: bearer(secret, []), status: 401 },
    {
      send: 'GET /v2/',
      status: 401,
      answer: { 'www-authenticate': `Bearer realm="https://${host}/jwt/auth",service="registry"` },
    },
  ]);
  writeFileSync(join(folder, 'bundle'), testCertificate({ commonName: 'other' }).pem);
  const next = ecdsaKey();
  writeFileSync(join(folder, 'jwks'), keySet(next));
  await converse(url, [
    { send: 'GET /v2/', headers: withChain('ann'), status: 401 },
    { send: 'GET /v2/', headers: bearer(young, []), status: 401 },
    { send: 'GET /v2/', headers: bearer(next, []), status: 200 },
  ]);
});

test('silly takes any header for credentials, and none asks for nothing', async (t) => {
  const silly = await startTestRegistry(t, {
    REGISTRY_AUTH_SILLY: '{realm: some realm, service: some service}',
  });
  const answer = { 'www-authenticate': 'Bearer realm="some realm",service="some service"' };
  await converse(silly.url, [
    { send: 'GET /v2/', status: 401, answer },
    { send: 'GET /v2/', headers: { authorization: 'whatever' }, status: 200 },
  ]);
  const none = await startTestRegistry(t, { REGISTRY_AUTH: 'none' });
  await converse(none.url, [{ send: 'GET /v2/', status: 200 }]);
});
