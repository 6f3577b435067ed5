import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import forge from 'node-forge';
import { readCertificateAuthority } from '../../../src/pki/certificate-authority.ts';
import {
  inspectCertificate,
  isSignedBy,
  keyFitsCertificate,
  UnreadablePemError,
} from '../../../src/pki/inspect.ts';
import { authorityPair, DAY, HOUR, keys, NOW, serialOf, serverPair } from './test-authority.ts';

const authority = new X509Certificate(authorityPair().certificate);

/** The extensions of a certificate by OID, each with its criticality and the hex of its DER. */
function extensionsOf(certificate: X509Certificate): ReadonlyMap<string, { critical: boolean; hex: string }> {
  const found = new Map<string, { critical: boolean; hex: string }>();
  const body = at(forge.asn1.fromDer(certificate.raw.toString('latin1')), 0);
  const list = at(at(body, 7), 0);
  assert.ok(Array.isArray(list.value));
  for (const extension of list.value) {
    assert.ok(Array.isArray(extension.value));
    const value = at(extension, extension.value.length - 1).value;
    assert.ok(typeof value === 'string');
    const oid = at(extension, 0).value;
    assert.ok(typeof oid === 'string');
    found.set(forge.asn1.derToOid(forge.util.createBuffer(oid)), {
      critical: extension.value.length === 3,
      hex: Buffer.from(value, 'latin1').toString('hex'),
    });
  }
  return found;
}

function at(structure: forge.asn1.Asn1, index: number): forge.asn1.Asn1 {
  const part = structure.value[index];
  assert.ok(typeof part === 'object');
  return part;
}

describe('An authority', () => {
  it('signs itself, and may sign servers but no further authorities.', () => {
    assert.equal(authority.ca, true);
    assert.ok(authority.checkIssued(authority));
    assert.ok(authority.verify(authority.publicKey));
    const extensions = extensionsOf(authority);
    // SEQUENCE { TRUE, 0 }, and the bits keyCertSign and cRLSign.
    assert.deepEqual(extensions.get('2.5.29.19'), { critical: true, hex: '30060101ff020100' });
    assert.deepEqual(extensions.get('2.5.29.15'), { critical: true, hex: '03020106' });
  });

  it('has the common name, the times and the key that it was asked for.', () => {
    const { certificate, key } = authorityPair({ commonName: 'Größe 🚢' });
    const x509 = new X509Certificate(certificate);
    assert.equal(x509.subject, 'CN=Größe 🚢');
    assert.equal(x509.issuer, x509.subject);
    assert.equal(x509.validFromDate.getTime(), NOW);
    assert.equal(x509.validToDate.getTime(), NOW + 3650 * DAY);
    assert.ok(x509.publicKey.equals(createPublicKey(keys.authority)));
    assert.ok(keyFitsCertificate(key, inspectCertificate(certificate)));
  });

  it('may last beyond 2050, where certificates write times in another form.', () => {
    const notAfter = Date.UTC(2061, 5, 1);
    assert.equal(inspectCertificate(authorityPair({ notAfter }).certificate).notAfter, notAfter);
  });

  it('refuses a name that is too long and a validity that is empty.', () => {
    assert.throws(() => authorityPair({ commonName: 'a'.repeat(65) }), RangeError);
    assert.throws(() => authorityPair({ notAfter: NOW }), RangeError);
  });

  it('signs with the same name and identifier again when it is made anew with the same key.', () => {
    const renewed = inspectCertificate(authorityPair({ serial: serialOf('renewed') }).certificate);
    assert.ok(isSignedBy(inspectCertificate(serverPair().certificate), renewed));
  });
});

describe('A server certificate', () => {
  it('is signed by the authority, for servers alone.', () => {
    const { x509, isAuthority } = inspectCertificate(serverPair().certificate);
    assert.equal(isAuthority, false);
    assert.ok(x509.checkIssued(authority));
    assert.ok(x509.verify(authority.publicKey));
    const extensions = extensionsOf(x509);
    assert.deepEqual(extensions.get('2.5.29.19'), { critical: true, hex: '3000' });
    assert.deepEqual(extensions.get('2.5.29.15'), { critical: true, hex: '03020780' });
    // id-kp-serverAuth
    assert.deepEqual(extensions.get('2.5.29.37'), { critical: false, hex: '300a06082b06010505070301' });
    // The authority's subject key identifier, in another wrapping.
    const issuer = extensionsOf(authority).get('2.5.29.14')?.hex.slice(4);
    assert.deepEqual(extensions.get('2.5.29.35'), { critical: false, hex: `30168014${issuer}` });
  });

  it('names its algorithm without parameters, as ECDSA requires.', () => {
    const { raw } = new X509Certificate(serverPair().certificate);
    const withoutParameters = Buffer.from('300a06082a8648ce3d040302', 'hex');
    assert.equal(raw.indexOf(withoutParameters) > 0, true);
    assert.equal(raw.lastIndexOf(withoutParameters) > raw.indexOf(withoutParameters), true);
  });

  it('says what it was asked to say.', () => {
    const pair = serverPair({
      dnsNames: ['registry.apps.svc', '*.example.com', 'registry.apps.svc', 'REGISTRY.example.com'],
      ipAddresses: ['10.0.0.1', 'FD00:0:0::0001', '::ffff:192.0.2.1'],
      notBefore: NOW + 1999,
    });
    const { dnsNames, ipAddresses, serial, notBefore, notAfter, x509 } = inspectCertificate(pair.certificate);
    assert.deepEqual(dnsNames, ['*.example.com', 'registry.apps.svc', 'registry.example.com']);
    assert.deepEqual(ipAddresses, ['10.0.0.1', '192.0.2.1', 'fd00::1']);
    assert.equal(x509.subject, 'CN=registry.apps.svc');
    assert.equal(notBefore, NOW + 1000);
    assert.equal(notAfter, NOW + 90 * DAY);
    assert.match(serial, /^[4-7][0-9a-f]{31}$/);
    assert.equal(keyFitsCertificate(pair.key, inspectCertificate(pair.certificate)), true);
    assert.equal(keyFitsCertificate(authorityPair().key, inspectCertificate(pair.certificate)), false);
  });

  it('has no common name where none is true and short enough, and then its names are critical.', () => {
    const long = `${'a'.repeat(63)}.example.com`;
    for (const dnsNames of [[], [long]]) {
      const { x509 } = inspectCertificate(serverPair({ dnsNames }).certificate);
      assert.equal(x509.subject, undefined);
      assert.equal(extensionsOf(x509).get('2.5.29.17')?.critical, true);
    }
    const named = inspectCertificate(serverPair().certificate);
    assert.equal(extensionsOf(named.x509).get('2.5.29.17')?.critical, false);
  });

  it('has a serial that is positive and of 16 bytes whatever the random bytes are.', () => {
    for (const serial of [new Uint8Array(16), new Uint8Array(16).fill(0xff), randomBytes(16)]) {
      const { x509 } = inspectCertificate(serverPair({ serial }).certificate);
      assert.match(x509.serialNumber, /^[4-7][0-9A-F]{31}$/);
    }
    assert.throws(() => serverPair({ serial: new Uint8Array(8) }), RangeError);
  });

  it('refuses to be for nothing, for what is no name, or to outlive its authority.', () => {
    assert.throws(() => serverPair({ dnsNames: [], ipAddresses: [] }), RangeError);
    assert.throws(() => serverPair({ dnsNames: ['registry.example.com:5000'] }), TypeError);
    assert.throws(() => serverPair({ dnsNames: ['a, DNS:b'] }), TypeError);
    assert.throws(() => serverPair({ notAfter: NOW + 3650 * DAY + 1000 }), RangeError);
  });

  it('is not taken for one of another authority of the same name.', () => {
    const other = inspectCertificate(authorityPair({ key: keys.other }).certificate);
    assert.equal(isSignedBy(inspectCertificate(serverPair().certificate), other), false);
    assert.equal(
      isSignedBy(
        inspectCertificate(serverPair().certificate),
        inspectCertificate(authorityPair().certificate),
      ),
      true,
    );
  });

  it('cannot sign others.', () => {
    const server = serverPair();
    const grandchild = serverPair({ authority: readCertificateAuthority(server), notAfter: NOW + HOUR });
    assert.equal(
      isSignedBy(inspectCertificate(grandchild.certificate), inspectCertificate(server.certificate)),
      false,
    );
  });
});

describe('inspectCertificate', () => {
  it('throws one kind of error for whatever is no certificate, and never repeats it.', () => {
    const { certificate, key } = serverPair();
    const damaged = certificate.replace(/[A-Za-z0-9]{8}/, '////////');
    for (const pem of ['', 'secret', key, damaged, certificate.slice(0, 200)]) {
      assert.throws(() => inspectCertificate(pem), new UnreadablePemError('not a certificate in PEM'));
    }
    assert.throws(() => keyFitsCertificate('secret', inspectCertificate(certificate)), UnreadablePemError);
  });
});
