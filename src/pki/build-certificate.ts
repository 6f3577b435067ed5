import { sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import forge from 'node-forge';
import { binary, fromDer, part, parts, sequence, toDer, type Asn1 } from './asn1.ts';
import { keyIdentifier, publicKeyDer } from './key-pair.ts';

/** What stands in a certificate besides its extensions. */
export interface CertificateContent {
  /** 16 random bytes; the number that they make is positive. */
  readonly serial: Uint8Array;
  /** Milliseconds since the epoch, cut to seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Undefined: an empty subject, which RFC 5280 allows where the names are critical. At most 64 characters. */
  readonly commonName: string | undefined;
  readonly publicKey: KeyObject;
  readonly issuer: Issuer;
  /** As node-forge's `setExtensions` takes them; the key identifiers are added. */
  readonly extensions: readonly object[];
}

/** Who signs: the holder of the key itself, or an authority. */
interface Issuer {
  readonly privateKey: KeyObject;
  /** Undefined: the certificate signs itself. */
  readonly certificate: X509Certificate | undefined;
}

const { asn1 } = forge;

/** How an issuer signs, by the type of its key. */
const SIGNATURES = {
  /** ecdsa-with-SHA256. Without parameters, where node-forge writes a NULL (RFC 5758 section 3.2: MUST omit). */
  ec: { oid: '1.2.840.10045.4.3.2', parameters: [] },
  /** sha256WithRSAEncryption. With a NULL (RFC 4055 section 5: MUST be present). */
  rsa: {
    oid: '1.2.840.113549.1.1.11',
    parameters: [asn1.create(asn1.Class.UNIVERSAL, asn1.Type.NULL, false, '')],
  },
} as const;
type SigningKeyType = keyof typeof SIGNATURES;

/** Whether certificates can be signed with the key: ECDSA on any curve, or RSA. */
export function canSign({ asymmetricKeyType }: KeyObject): boolean {
  return asymmetricKeyType !== undefined && Object.hasOwn(SIGNATURES, asymmetricKeyType);
}

const COMMON_NAME_LIMIT = 64;

/**
 * A signed X.509 v3 certificate (RFC 5280), as PEM.
 *
 * node-forge signs on the main thread and knows RSA alone: it builds the structure around a placeholder key, and what depends on the kind of the
 * key (its SubjectPublicKeyInfo, the two algorithm identifiers, the signature) is put in its place here, from
 * node:crypto.
 *
 * @throws {RangeError} when the common name is too long, or the certificate would end before it begins
 * @throws {TypeError} when the issuer's key is neither ECDSA nor RSA
 */
export function buildCertificate(content: CertificateContent): string {
  const { issuer, publicKey, serial, commonName } = content;
  if (serial.length !== 16) throw new RangeError('a serial is made of 16 bytes');
  if (commonName !== undefined && commonName.length > COMMON_NAME_LIMIT) {
    throw new RangeError(`a common name has at most ${COMMON_NAME_LIMIT} characters: ${commonName}`);
  }
  if (content.notAfter <= content.notBefore)
    throw new RangeError('a certificate cannot end before it begins');

  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(PLACEHOLDER, PLACEHOLDER);
  const type = signingKeyType(issuer.privateKey);
  certificate.signatureOid = certificate.siginfo.algorithmOid = SIGNATURES[type].oid;
  certificate.signature = '';
  certificate.serialNumber = positive(serial);
  certificate.validity.notBefore = new Date(content.notBefore);
  certificate.validity.notAfter = new Date(content.notAfter);
  certificate.setSubject(
    commonName === undefined ? [] : [{ name: 'commonName', value: commonName, valueTagClass: UTF8 }],
  );
  certificate.setExtensions([
    ...content.extensions,
    { name: 'subjectKeyIdentifier', value: octetString(keyIdentifier(publicKey)) },
    ...(issuer.certificate
      ? [
          {
            name: 'authorityKeyIdentifier',
            keyIdentifier: binary(keyIdentifier(issuer.certificate.publicKey)),
          },
        ]
      : []),
  ]);

  const fields = [...parts(part(forge.pki.certificateToAsn1(certificate), 0))];
  const subject = part(sequence(fields), TBS.subject);
  fields[TBS.signature] = algorithmIdentifier(type);
  fields[TBS.issuer] = issuer.certificate ? subjectOf(issuer.certificate) : subject;
  fields[TBS.subjectPublicKeyInfo] = fromDer(publicKeyDer(publicKey));

  const toBeSigned = sequence(fields);
  const signature = sign('sha256', toDer(toBeSigned), { key: issuer.privateKey, dsaEncoding: 'der' });
  // The first byte of a bit string counts the unused bits of the last.
  const bits = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BITSTRING, false, `\0${binary(signature)}`);
  return new X509Certificate(toDer(sequence([toBeSigned, algorithmIdentifier(type), bits]))).toString();
}

/** Positions in a TBSCertificate of version 3. */
const TBS = { signature: 2, issuer: 3, subject: 5, subjectPublicKeyInfo: 6 } as const;

const PLACEHOLDER = new forge.jsbn.BigInteger('3');

// node-forge's types take a tag's class where its code takes the tag's type.
const UTF8 = asn1.Type.UTF8 as number as forge.asn1.Class;

/** Two bits of the first byte are fixed: an integer is negative with the first set, and not minimal with nine unset. */
function positive(serial: Uint8Array): string {
  const [first = 0, ...rest] = serial;
  return Buffer.from([(first & 0x7f) | 0x40, ...rest]).toString('hex');
}

function signingKeyType({ asymmetricKeyType }: KeyObject): SigningKeyType {
  if (asymmetricKeyType === 'ec' || asymmetricKeyType === 'rsa') return asymmetricKeyType;
  throw new TypeError(`a key of type ${asymmetricKeyType ?? 'unknown'} signs no certificates here`);
}

function algorithmIdentifier(type: SigningKeyType): Asn1 {
  const { oid, parameters } = SIGNATURES[type];
  const identifier = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(oid).getBytes());
  return sequence([identifier, ...parameters]);
}

/** The subject as it is written in a certificate: an issuer must repeat it byte by byte. */
function subjectOf(certificate: X509Certificate): Asn1 {
  return part(part(fromDer(certificate.raw), 0), TBS.subject);
}

/** The DER of an octet string. */
function octetString(bytes: Uint8Array): string {
  return asn1
    .toDer(asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, binary(bytes)))
    .getBytes();
}
