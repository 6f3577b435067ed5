import assert from 'node:assert/strict';
import { getCiphers } from 'node:tls';
import { test } from 'node:test';
import { parseConfig, type Config } from '../../../../src/contract/config/config.ts';
import { cipherSuites } from '../../../../src/contract/config/tls-section.ts';

const document = (tls: string): string =>
  `version: 0.1\nstorage: filesystem\nhttp: {addr: ":5000", tls: {certificate: /c, key: /k, ${tls}}}\n`;

function tlsOf(tls: string): NonNullable<Config['http']['tls']> {
  const { config, errors } = parseConfig(document(tls));
  assert.deepEqual(errors, []);
  return config?.http.tls ?? assert.fail();
}

function errorsOf(tls: string): readonly string[] {
  return parseConfig(document(tls)).errors.map(({ path, message }) => `${path} ${message}`);
}

test('client authorities are files, and by default their certificates are needed', () => {
  const tls = tlsOf('clientcas: [/one.pem, /two.pem]');
  assert.deepEqual(tls.clientcas, ['/one.pem', '/two.pem']);
  assert.equal(tls.clientauth, 'require-and-verify-client-cert');
  assert.equal(tlsOf('clientauth: request-client-cert').clientauth, 'request-client-cert');
  assert.deepEqual(
    parseConfig(document('clientcas: /one.pem')).files.map(({ file }) => file),
    ['/c', '/k', '/one.pem'],
  );
  assert.match(
    errorsOf('clientauth: always')[0] ?? '',
    /^http\.tls\.clientauth must be request-client-cert, .*, not "always"$/,
  );
});

test('cipher suites have the names of Go, which OpenSSL knows by others', () => {
  assert.deepEqual(tlsOf('ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]').ciphersuites, [
    'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  ]);
  assert.match(
    errorsOf('ciphersuites: [TLS_RC4]')[0] ?? '',
    /^http\.tls\.ciphersuites\.0 must be TLS_RSA_WITH_3DES_EDE_CBC_SHA, .*TLS_CHACHA20_POLY1305_SHA256, not "TLS_RC4"$/,
  );
  assert.match(errorsOf('ciphersuites: [TLS_AES_128_GCM_SHA256]')[0] ?? '', /names none of TLS 1\.2/);
  assert.deepEqual(errorsOf('minimumtls: tls1.3, ciphersuites: [TLS_AES_128_GCM_SHA256]'), []);
  const known = new Set(getCiphers().map((name) => name.toUpperCase()));
  const strange = Object.values(cipherSuites).filter((name) => !known.has(name.toUpperCase()));
  // OpenSSL was built without triple DES, which nobody should use.
  assert.deepEqual(strange, ['DES-CBC3-SHA', 'ECDHE-RSA-DES-CBC3-SHA']);
});

test("Let's Encrypt is refused with the way out, and an empty section of it is nothing", () => {
  assert.match(
    errorsOf('letsencrypt: {cachefile: /cache, email: a@b, hosts: [a]}')[0] ?? '',
    /^http\.tls\.letsencrypt is not supported: let an ACME client .* write the files/,
  );
  assert.deepEqual(errorsOf('letsencrypt: {cachefile: "", email: "", hosts: []}'), []);
});
