import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCertificateAuthority } from '../../../src/pki/certificate-authority.ts';
import { generatePrivateKey, keyAlgorithmOf } from '../../../src/pki/key-pair.ts';
import { handshake } from './handshake.ts';
import { authorityPair, DAY, keys, serverPair } from './test-authority.ts';

// The certificates are judged by the real clock, so they begin and end around it.
const now = Date.now();
const times = { notBefore: now - DAY, notAfter: now + DAY };
const authority = authorityPair(times);
const server = serverPair({
  ...times,
  authority: readCertificateAuthority(authority),
  dnsNames: ['registry.example.com', '*.registry.example.org'],
  ipAddresses: ['10.0.0.1', 'fd00::1'],
});

describe('A TLS handshake', () => {
  for (const host of [
    'registry.example.com',
    'team.registry.example.org',
    '10.0.0.1',
    'fd00::1',
    'fd00:0::0:1',
  ]) {
    it(`succeeds with ${host}, which the certificate names.`, async () => {
      await handshake(host, authority.certificate, server);
    });
  }

  for (const host of [
    'example.com',
    'other.example.com',
    'a.b.registry.example.org',
    '10.0.0.2',
    'fd00::2',
  ]) {
    it(`fails with ${host}, which the certificate does not name.`, async () => {
      await assert.rejects(handshake(host, authority.certificate, server), {
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      });
    });
  }

  for (const algorithm of ['RSA-2048', 'RSA-4096'] as const) {
    it(`succeeds with keys of ${algorithm}, on either side of the chain.`, async () => {
      const key = await generatePrivateKey(algorithm);
      assert.equal(keyAlgorithmOf(key), algorithm);
      const rsa = authorityPair({ ...times, key });
      for (const serverKey of [key, keys.server]) {
        const pair = serverPair({ ...times, authority: readCertificateAuthority(rsa), key: serverKey });
        await handshake('registry.example.com', rsa.certificate, pair);
      }
      const mixed = serverPair({ ...times, authority: readCertificateAuthority(authority), key });
      await handshake('registry.example.com', authority.certificate, mixed);
    });
  }

  it('fails for a client that trusts another authority of the same name.', async () => {
    const other = authorityPair({ ...times, key: keys.other });
    await assert.rejects(handshake('registry.example.com', other.certificate, server), {
      code: /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_SIGNATURE_FAILURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
    });
  });

  it('fails when the certificate has expired.', async () => {
    const expired = serverPair({
      authority: readCertificateAuthority(authority),
      notBefore: now - DAY,
      notAfter: now - 1000,
    });
    await assert.rejects(handshake('registry.example.com', authority.certificate, expired), {
      code: 'CERT_HAS_EXPIRED',
    });
  });
});
