import forge from 'node-forge';

/** The few things about ASN.1 structures that node-forge leaves to its callers. */
export type Asn1 = forge.asn1.Asn1;

const { asn1 } = forge;

export function sequence(members: readonly Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, [...members]);
}

/** The number of the tag, whose meaning depends on its class. */
export function tagOf({ type }: Asn1): number {
  return type;
}

/** @throws {TypeError} when it has no parts */
export function parts(structure: Asn1): readonly Asn1[] {
  if (typeof structure.value === 'string') throw new TypeError('an ASN.1 value that has no parts');
  return structure.value;
}

/** @throws {TypeError | RangeError} when there is no such part */
export function part(structure: Asn1, index: number): Asn1 {
  const found = parts(structure)[index];
  if (found === undefined) throw new RangeError(`an ASN.1 structure without a part ${index}`);
  return found;
}

/** @throws {TypeError} when it has parts */
export function content(structure: Asn1): Buffer {
  if (typeof structure.value !== 'string') throw new TypeError('an ASN.1 value that has parts');
  return Buffer.from(structure.value, 'latin1');
}

/** @throws {Error} when the bytes are no ASN.1 */
export function fromDer(bytes: Uint8Array): Asn1 {
  return asn1.fromDer(binary(bytes));
}

export function toDer(structure: Asn1): Buffer {
  return Buffer.from(asn1.toDer(structure).getBytes(), 'latin1');
}

/** Bytes as node-forge takes them: a string with one byte in each character. */
export function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
