import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { readCertificateAuthority } from '../../../src/pki/certificate-authority.ts';
import { namesNotPermitted, permittedNames, samePermittedNames } from '../../../src/pki/name-constraints.ts';
import { handshake } from './handshake.ts';
import { authorityPair, DAY, serverPair } from './test-authority.ts';

// The certificates are judged by the real clock, so they begin and end around it.
const times = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };

const PERMITTED = { dnsNames: ['example.com', 'reg.team.svc'], ipRanges: ['10.0.0.0/8', 'fd00::/12'] };
const constrained = authorityPair({ ...times, permitted: PERMITTED });

test('the constraints of an authority are read as they were written', () => {
  assert.deepEqual(permittedNames(new X509Certificate(constrained.certificate)), PERMITTED);
  assert.equal(permittedNames(new X509Certificate(authorityPair().certificate)), undefined);
});

test('an authority of the system can be read', () => {
  for (const pem of rootCertificates) permittedNames(new X509Certificate(pem));
});

test('a range with a bad prefix is refused', () => {
  for (const range of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'example.com/8', '10.0.0.0/x']) {
    assert.throws(() => authorityPair({ permitted: { dnsNames: [], ipRanges: [range] } }), TypeError);
  }
});

test('ranges are compared by what they mean', () => {
  const other = { dnsNames: PERMITTED.dnsNames.toReversed(), ipRanges: ['fd0f::/12', '10.1.2.3/8'] };
  assert.ok(samePermittedNames(PERMITTED, other));
  assert.ok(!samePermittedNames(PERMITTED, { ...PERMITTED, ipRanges: ['10.0.0.0/9', 'fd00::/12'] }));
  assert.ok(!samePermittedNames(PERMITTED, undefined));
});

const cases: readonly (readonly [name: string, permitted: boolean])[] = [
  ['example.com', true],
  ['registry.example.com', true],
  ['*.example.com', true],
  ['badexample.com', false],
  ['docker.io', false],
  ['reg.team.svc', true],
  ['team.svc', false],
  ['10.255.0.1', true],
  ['11.0.0.1', false],
  ['fd00::1', true],
  ['fe80::1', false],
];
for (const [name, permitted] of cases) {
  test(`a client ${permitted ? 'accepts' : 'refuses'} a certificate for ${name}, and so do we`, async () => {
    const isName = /[a-z]\./.test(name);
    const names = { dnsNames: isName ? [name] : [], ipAddresses: isName ? [] : [name] };
    assert.deepEqual(namesNotPermitted(names, PERMITTED), permitted ? [] : [name]);
    const server = serverPair({ ...times, authority: readCertificateAuthority(constrained), ...names });
    const shaken = handshake(name.replace('*', 'any'), constrained.certificate, server);
    await (permitted ? shaken : assert.rejects(shaken, /permitted subtree violation/));
  });
}

test('without ranges every address is permitted, and without names every name', () => {
  const names = { dnsNames: ['docker.io'], ipAddresses: ['192.0.2.1'] };
  assert.deepEqual(namesNotPermitted(names, { dnsNames: ['example.com'], ipRanges: [] }), ['docker.io']);
  assert.deepEqual(namesNotPermitted(names, { dnsNames: [], ipRanges: ['10.0.0.0/8'] }), ['192.0.2.1']);
});
