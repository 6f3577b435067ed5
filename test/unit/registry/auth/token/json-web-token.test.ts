import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { readToken, TokenError } from '../../../../../src/registry/auth/token/json-web-token.ts';
import { signingAlgorithms } from '../../../../../src/registry/auth/token/signing-algorithms.ts';
import { parseCertificateBundle, parseKeySet } from '../../../../../src/registry/auth/token/trusted-keys.ts';
import { testCertificate, type TestCertificate } from '../../../../support/test-certificates.ts';
import {
  claims,
  ecdsaKey,
  ed25519Key,
  hmacKey,
  rsaKey,
  token,
  type SigningKey,
} from '../../../../support/token-issuer.ts';

const all = new Set(Object.keys(signingAlgorithms));
const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const keySet = (...keys: readonly object[]): string => JSON.stringify({ keys });

function isRefused(
  text: string,
  keys: Parameters<typeof readToken>[1],
  reason: RegExp,
  algorithms = all,
): void {
  assert.throws(
    () => readToken(text, keys, algorithms, Date.now()),
    (error) => error instanceof TokenError && reason.test(error.message),
  );
}

const signers: readonly SigningKey[] = [
  ...(['ES256', 'ES384', 'ES512'] as const).map((alg) => ecdsaKey(alg)),
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => rsaKey(alg, rsaPair)),
  ...['HS256', 'HS384', 'HS512'].map((alg) => hmacKey(alg)),
  ed25519Key(),
];

test('each algorithm is checked, and a signature that was touched is wrong', () => {
  assert.deepEqual(new Set(signers.map(({ alg }) => alg)), all);
  for (const signer of signers) {
    const keys = parseKeySet(keySet({ ...signer.jwk, kid: 'k' }));
    const text = token(signer, { kid: 'k' });
    assert.equal(readToken(text, keys, all, Date.now()).subject, 'ann', signer.alg);
    const [header = '', payload = '', signature = ''] = text.split('.');
    const other = Buffer.from(JSON.stringify(claims({ sub: 'root' }))).toString('base64url');
    isRefused(`${header}.${other}.${signature}`, keys, /signature is wrong/);
    isRefused(`${header}.${payload}.${signature.slice(4)}`, keys, /signature is wrong/);
    isRefused(`${header}.${payload}.AAAA`, keys, /signature is wrong/);
    isRefused(`${header}.${payload}.`, keys, /no signed token/);
  }
});

test('an algorithm that is not allowed, or none, is refused', () => {
  const signer = ecdsaKey();
  const keys = parseKeySet(keySet({ ...signer.jwk, kid: 'k' }));
  isRefused(token(signer, { kid: 'k' }), keys, /not allowed/, new Set(['RS256']));
  for (const alg of ['none', 'None', '', 'constructor', 'HS1', 5]) {
    isRefused(token(signer, { kid: 'k', alg }), keys, /not allowed/);
  }
});

test('a key signs in its own way alone: a public key is no secret', () => {
  const publicPem = rsaPair.publicKey.export({ type: 'spki', format: 'pem' });
  const keys = parseKeySet(keySet({ ...rsaKey('RS256', rsaPair).jwk, kid: 'k' }));
  isRefused(token(hmacKey('HS256', Buffer.from(publicPem)), { kid: 'k' }), keys, /signature is wrong/);
  const curve = parseKeySet(keySet({ ...ecdsaKey('ES384').jwk, kid: 'k' }));
  isRefused(token(ecdsaKey('ES256'), { kid: 'k' }), curve, /signature is wrong/);
});

test('a key may be called by its name, by the fingerprints of both versions of distribution, or be there itself', () => {
  const signer = ecdsaKey();
  const keys = parseKeySet(keySet({ ...signer.jwk, kid: 'k' }));
  const ids = [...keys.byId.keys()];
  assert.equal(ids.length, 3);
  assert.match(ids[0] ?? '', /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
  assert.match(ids[1] ?? '', /^[\w-]{43}$/);
  for (const kid of ids)
    assert.equal(readToken(token(signer, { kid }), keys, all, Date.now()).subject, 'ann');
  const header = { jwk: { ...signer.jwk, kid: 'whatever' } };
  assert.equal(readToken(token(signer, header), keys, all, Date.now()).subject, 'ann');
  isRefused(token(signer, { kid: 'other' }), keys, /not trusted/);
  isRefused(token(signer, {}), keys, /not trusted/);
  const stranger = ecdsaKey();
  isRefused(token(stranger, { jwk: { ...stranger.jwk, kid: 'k' } }), keys, /not trusted/);
  isRefused(token(stranger, { jwk: { kty: 'x' } }), keys, /not trusted/);
});

test('the fingerprints are those of RFC 7638 and of libtrust', () => {
  // The key and the thumbprint of RFC 7638 §3.1; the fingerprint was printed by docker distribution 2.8's libtrust.
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
  const keys = parseKeySet(keySet({ kty: 'RSA', n, e: 'AQAB' }));
  assert.ok(keys.byId.has('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'));
  assert.ok(keys.byId.has('VUZD:EDHW:YWLN:RBFQ:KOA3:UVZ2:XKG5:2V2J:WTPI:6SRD:U6PZ:VCO5'));
});

test('damaged tokens are refused with a reason, whatever is in them', () => {
  const signer = ecdsaKey();
  const keys = parseKeySet(keySet({ ...signer.jwk, kid: 'k' }));
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const text of [
    '',
    'a',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    `${part(null)}.${part({})}.AA`,
    `${part([])}.${part({})}.AA`,
  ]) {
    assert.throws(() => readToken(text, keys, all, Date.now()), TokenError, text);
  }
  isRefused(token(signer, { kid: 'k', crit: ['b64'], b64: false }), keys, /extensions/);
  isRefused(token(signer, { kid: 'k' }, []), keys, /not made of objects/);
  for (const access of [[1], [{ type: 'repository', name: 'a' }], [{ actions: [1] }]]) {
    isRefused(token(signer, { kid: 'k' }, claims({ access })), keys, /access claims/);
  }
  const odd = readToken(
    token(signer, { kid: 'k' }, { iss: 1, aud: 2, exp: 'x', access: 'all' }),
    keys,
    all,
    Date.now(),
  );
  assert.deepEqual(odd, { issuer: '', subject: '', audience: [], expires: 0, notBefore: 0, access: [] });
});

const root = testCertificate({ commonName: 'root', authority: true });
const middle = testCertificate({ commonName: 'middle', issuer: root, authority: true });
const leaf = testCertificate({ commonName: 'leaf', issuer: middle });
const der = ({ certificate }: TestCertificate): string => certificate.raw.toString('base64');

function chainToken(signer: TestCertificate, chain: readonly TestCertificate[]): string {
  return token(ecdsaKey('ES256', signer), { x5c: chain.map(der) });
}

test('a chain of certificates has to lead to a root of the bundle', () => {
  const keys = parseCertificateBundle(
    `noise\n${root.pem}\n${testCertificate({ commonName: 'x', authority: true }).pem}`,
  );
  const read = (text: string): string => readToken(text, keys, all, Date.now()).subject;
  assert.equal(read(chainToken(leaf, [leaf, middle])), 'ann');
  assert.equal(read(chainToken(leaf, [leaf, middle, root])), 'ann');
  assert.equal(read(chainToken(root, [root])), 'ann');
  assert.equal(
    read(token(ecdsaKey('ES256', leaf), { jwk: { kty: 'EC', x5c: [der(leaf), der(middle)] } })),
    'ann',
  );
  isRefused(chainToken(leaf, [leaf]), keys, /not trusted/);
  isRefused(chainToken(leaf, []), keys, /not trusted/);
  isRefused(chainToken(middle, [leaf, middle]), keys, /signature is wrong/);
  isRefused(token(ecdsaKey('ES256', leaf), { x5c: ['x', der(middle)] }), keys, /not trusted/);
  isRefused(token(ecdsaKey('ES256', leaf), { x5c: [1] }), keys, /not trusted/);
});

test('a certificate that is no authority, has expired, or is too deep leads nowhere', () => {
  const keys = parseCertificateBundle(root.pem);
  const below = testCertificate({ commonName: 'below', issuer: leaf });
  isRefused(chainToken(below, [below, leaf, middle]), keys, /not trusted/);
  const old = testCertificate({ commonName: 'old', issuer: root, validDays: -1 });
  isRefused(chainToken(old, [old]), keys, /not trusted/);
  const short = testCertificate({ commonName: 'short', issuer: root, authority: true, pathLength: 0 });
  const direct = testCertificate({ commonName: 'direct', issuer: short });
  assert.equal(readToken(chainToken(direct, [direct, short]), keys, all, Date.now()).subject, 'ann');
  const deeper = testCertificate({ commonName: 'deeper', issuer: short, authority: true });
  const last = testCertificate({ commonName: 'last', issuer: deeper });
  isRefused(chainToken(last, [last, deeper, short]), keys, /not trusted/);
  const impostor = testCertificate({ commonName: 'root', authority: true });
  const signed = testCertificate({ commonName: 'signed', issuer: impostor });
  isRefused(chainToken(signed, [signed, impostor]), keys, /not trusted/);
});

test('a chain that leads nowhere in many ways costs a bounded number of signatures', (t) => {
  const keys = parseCertificateBundle(root.pem);
  const stranger = testCertificate({ commonName: 'stranger', authority: true });
  const signed = testCertificate({ commonName: 'signed', issuer: stranger });
  const { mock } = t.mock.method(X509Certificate.prototype, 'verify');
  isRefused(chainToken(signed, [signed, ...Array<TestCertificate>(7).fill(stranger)]), keys, /not trusted/);
  assert.ok(mock.callCount() <= 100, `${mock.callCount()} signatures`);
});

test('a certificate of the bundle signs by itself, also when it is no authority', () => {
  const alone = testCertificate({ commonName: 'alone' });
  const keys = parseCertificateBundle(alone.pem);
  assert.equal(readToken(chainToken(alone, [alone]), keys, all, Date.now()).subject, 'ann');
  for (const kid of keys.byId.keys())
    assert.equal(readToken(token(ecdsaKey('ES256', alone), { kid }), keys, all, Date.now()).subject, 'ann');
});

test('files without a key that can check a signature are refused, and keys of other kinds are left out', () => {
  assert.throws(() => parseCertificateBundle('x'), /holds no certificate/);
  const damaged = `-----BEGIN CERTIFICATE-----\n${randomBytes(20).toString('base64')}\n-----END CERTIFICATE-----`;
  assert.throws(() => parseCertificateBundle(root.pem + damaged), /certificate 2 of the bundle is damaged/);
  for (const text of [
    'x',
    '{}',
    '[]',
    'null',
    keySet(),
    keySet({ kty: 'new' }),
    keySet({ kty: 'oct', kid: 'k' }),
  ]) {
    assert.throws(() => parseKeySet(text), /key set/, text);
  }
  const signer = ecdsaKey();
  assert.throws(() => parseKeySet(keySet({ ...signer.jwk, kid: 'k', use: 'enc' })), /holds no key/);
  const keys = parseKeySet(keySet({ kty: 'new', kid: 'n' }, { ...signer.jwk, kid: 'k', use: 'sig' }));
  assert.ok(keys.byId.has('k'));
  assert.ok(!keys.byId.has('n'));
});
