import type { X509Certificate } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';
import forge from 'node-forge';
import { binary, content, fromDer, part, parts, sequence, tagOf, type Asn1 } from './asn1.ts';
import {
  ipAddressBytes,
  normalizedIpAddress,
  type SubjectAlternativeNames,
} from './subject-alternative-names.ts';

/**
 * The names that an authority may sign for (RFC 5280 section 4.2.1.10). Whoever trusts it trusts it for these alone:
 * clients refuse a certificate for any other name.
 */
export interface PermittedNames {
  /** Each stands for itself and for all names below it. None: every name is permitted. */
  readonly dnsNames: readonly string[];
  /** Each with its prefix length: `10.0.0.0/8`. None: every address is permitted. */
  readonly ipRanges: readonly string[];
}

const { asn1 } = forge;

const OID = '2.5.29.30';
/** Tags of GeneralName, RFC 5280 section 4.2.1.6. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/**
 * The extension, as node-forge's `setExtensions` takes it.
 *
 * @throws {TypeError} when a range is none
 */
export function nameConstraints({ dnsNames, ipRanges }: PermittedNames): object {
  const subtrees = [
    ...dnsNames.map((name) => subtree(DNS_NAME, name)),
    ...ipRanges.map((range) => subtree(IP_ADDRESS, binary(rangeBytes(range)))),
  ];
  return { id: OID, critical: true, value: sequence([contextSpecific(PERMITTED, subtrees)]) };
}

/**
 * What the certificate of an authority permits; undefined: everything. What it excludes besides is not looked at.
 *
 * @throws {Error} when the extension is malformed
 */
export function permittedNames(authority: X509Certificate): PermittedNames | undefined {
  const extension = extensionOf(authority, OID);
  if (extension === undefined) return undefined;
  const subtrees = parts(fromDer(extension))
    .filter((one) => tagOf(one) === PERMITTED)
    .flatMap((permitted) => parts(permitted).map((one) => part(one, 0)));
  const valuesOf = (tag: number) => subtrees.filter((one) => tagOf(one) === tag).map(content);
  return {
    dnsNames: valuesOf(DNS_NAME).map((name) => name.toString('latin1').toLowerCase().replace(/^\./, '')),
    ipRanges: valuesOf(IP_ADDRESS).map(rangeText),
  };
}

/** The names for which a certificate from such an authority would be refused. */
export function namesNotPermitted(
  wanted: SubjectAlternativeNames,
  { dnsNames, ipRanges }: PermittedNames,
): readonly string[] {
  const allowed = new BlockList();
  for (const range of ipRanges) {
    const [address = '', length = ''] = range.split('/');
    allowed.addSubnet(address, Number(length), family(address));
  }
  return [
    ...wanted.dnsNames.filter(
      (name) => dnsNames.length > 0 && !dnsNames.some((base) => isAtOrBelow(name.replace(/^\*\./, ''), base)),
    ),
    ...wanted.ipAddresses.filter(
      (address) => ipRanges.length > 0 && !allowed.check(address, family(address)),
    ),
  ];
}

/** Whether both permit the same. */
export function samePermittedNames(
  one: PermittedNames | undefined,
  other: PermittedNames | undefined,
): boolean {
  const text = (names: PermittedNames | undefined) =>
    names === undefined
      ? ''
      : [
          ...names.dnsNames.toSorted(),
          ...names.ipRanges.map((range) => rangeText(rangeBytes(range))).toSorted(),
        ].join();
  return text(one) === text(other);
}

function isAtOrBelow(name: string, base: string): boolean {
  return name === base || name.endsWith(`.${base}`);
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

/** The tag of the extensions of a certificate. */
const EXTENSIONS = 3;
/** The tag of permittedSubtrees. */
const PERMITTED = 0;

function subtree(tag: number, value: string): Asn1 {
  return sequence([contextSpecific(tag, value)]);
}

function contextSpecific(tag: number, value: string | Asn1[]): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, typeof value !== 'string', value);
}

/** The address, then the mask: 8 or 32 bytes. */
function rangeBytes(range: string): Uint8Array {
  const [address = '', length = ''] = range.split('/');
  const normalized = normalizedIpAddress(address);
  const bytes = normalized === undefined ? undefined : ipAddressBytes(normalized);
  const bits = Number(length);
  if (bytes === undefined || !/^\d+$/.test(length) || bits > bytes.length * 8) {
    throw new TypeError(`${JSON.stringify(range)} is no range of addresses such as 10.0.0.0/8`);
  }
  const mask = bytes.map((_, index) => 0xff00 >> Math.min(8, Math.max(0, bits - index * 8)));
  return Uint8Array.from([...bytes.map((byte, index) => byte & (mask[index] ?? 0)), ...mask]);
}

/** The inverse of `rangeBytes`. */
function rangeText(bytes: Uint8Array): string {
  const half = bytes.length / 2;
  const address = [...bytes.subarray(0, half)];
  const bits = [...bytes.subarray(half)].map((byte) => byte.toString(2).replaceAll('0', '').length);
  const words = address.flatMap((byte, index) =>
    index % 2 === 0 ? [((byte << 8) | (address[index + 1] ?? 0)).toString(16)] : [],
  );
  const text = half === 4 ? address.join('.') : normalizedIpAddress(words.join(':'));
  return `${text ?? ''}/${bits.reduce((sum, count) => sum + count, 0)}`;
}

/** The content of an extension by its OID. */
function extensionOf({ raw }: X509Certificate, oid: string): Buffer | undefined {
  const fields = parts(part(fromDer(raw), 0));
  const wrapped = fields.find(
    (one) => one.tagClass === asn1.Class.CONTEXT_SPECIFIC && tagOf(one) === EXTENSIONS,
  );
  const extensions = wrapped === undefined ? [] : parts(part(wrapped, 0));
  const found = extensions.find((extension) => asn1.derToOid(binary(content(part(extension, 0)))) === oid);
  return found === undefined ? undefined : content(part(found, parts(found).length - 1));
}
