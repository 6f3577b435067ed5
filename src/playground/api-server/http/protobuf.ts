import type { Json, JsonObject, StructuralSchema } from '../kind.ts';
import { definitionName, protobufFields } from '../kinds/recorded.ts';

/**
 * Reads an object as kubectl sends it from 1.34 on, for built-in kinds alone: an envelope with a message in it. What
 * comes out is what the same client would have sent as JSON.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * @throws {RangeError} when it is cut off or is not of this form
 */
export function decodeProtobuf(schema: StructuralSchema, bytes: Buffer): JsonObject {
  if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0') throw new RangeError('no protobuf envelope');
  let typeMeta: JsonObject = {};
  let object: JsonObject = {};
  for (const { number, value } of fieldsOf(bytes.subarray(4))) {
    if (number === 1) typeMeta = typeMetaOf(bytesOf(value));
    if (number === 2) object = message(definitionName(schema) ?? '', schema, bytesOf(value));
  }
  return { ...typeMeta, ...object };
}

function typeMetaOf(bytes: Buffer): JsonObject {
  const names: Readonly<Record<number, string>> = { 1: 'apiVersion', 2: 'kind' };
  const entries = [...fieldsOf(bytes)].map(({ number, value }) => [
    names[number] ?? '',
    bytesOf(value).toString(),
  ]);
  return Object.fromEntries(entries);
}

/** `definition` numbers the fields, `schema` says what they hold: of an inlined struct these are two. */
function message(definition: string, schema: StructuralSchema, bytes: Buffer): JsonObject {
  const names = protobufFields(definition);
  const result = new Map<string, Json>();
  for (const { number, value } of fieldsOf(bytes)) {
    const name = names[number];
    if (name === undefined) continue;
    if (name.startsWith('>')) {
      const inlined = `${definition.slice(0, definition.lastIndexOf('.') + 1)}${name.slice(1)}`;
      for (const [key, item] of Object.entries(message(inlined, schema, bytesOf(value))))
        result.set(key, item);
      continue;
    }
    const key = name.replace(/-$/, '');
    const property = schema.properties?.[key];
    if (property === undefined) continue;
    const item = decode(property, value, result.get(key));
    const isZero = item === 0 || item === '' || item === false || item === null;
    if (!isZero || (key === name && item !== null)) result.set(key, item);
  }
  return Object.fromEntries(result);
}

/** One value; of a list or map, `before` with one more. */
function decode(schema: StructuralSchema, value: Buffer | bigint, before?: Json): Json {
  const name = definitionName(schema);
  if (name?.endsWith('.Quantity') === true) return textIn(bytesOf(value), 1);
  if (name?.endsWith('.IntOrString') === true) {
    const isText = numberIn(bytesOf(value), 1) === 1;
    return isText ? textIn(bytesOf(value), 3) : numberIn(bytesOf(value), 2);
  }
  if (schema.format === 'date-time') return timeOf(bytesOf(value), name?.endsWith('MicroTime') === true);
  switch (schema.type) {
    case 'array':
      return [
        ...(Array.isArray(before) ? (before as readonly Json[]) : []),
        decode(schema.items ?? {}, value),
      ];
    case 'object': {
      if (schema.properties !== undefined) return message(name ?? '', schema, bytesOf(value));
      const values = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
      const entry = new Map([...fieldsOf(bytesOf(value))].map((field) => [field.number, field.value]));
      const key = bytesOf(entry.get(1) ?? Buffer.alloc(0)).toString();
      // It began as an object.
      return {
        ...(before as JsonObject | undefined),
        [key]: decode(values, entry.get(2) ?? Buffer.alloc(0)),
      };
    }
    case 'integer':
      return Number(BigInt.asIntN(64, integerOf(value)));
    case 'boolean':
      return integerOf(value) !== 0n;
    case 'string':
      return bytesOf(value).toString(schema.format === 'byte' ? 'base64' : 'utf8');
    case 'number':
    case undefined:
    default:
      return null;
  }
}

const numberIn = (bytes: Buffer, number: number): number =>
  Number(
    BigInt.asIntN(64, integerOf([...fieldsOf(bytes)].find((field) => field.number === number)?.value ?? 0n)),
  );
const textIn = (bytes: Buffer, number: number): string =>
  bytesOf([...fieldsOf(bytes)].find((field) => field.number === number)?.value ?? Buffer.alloc(0)).toString();

function timeOf(bytes: Buffer, isMicro: boolean): Json {
  const seconds = numberIn(bytes, 1);
  // Go's zero time, which stands for none.
  if (bytes.length === 0 || seconds === -62135596800) return null;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  const micros = String(Math.floor(numberIn(bytes, 2) / 1000)).padStart(6, '0');
  return isMicro ? `${whole}.${micros}Z` : `${whole}Z`;
}

interface Field {
  readonly number: number;
  readonly value: Buffer | bigint;
}

/** The fields of a message in their order. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else if (wire === 2) {
      const end = Number(varint()) + at;
      if (end > bytes.length) throw new RangeError('a protobuf message is cut off');
      yield { number, value: bytes.subarray(at, end) };
      at = end;
    } else throw new RangeError('no protobuf message');
  }
}

const bytesOf = (value: Buffer | bigint): Buffer => (typeof value === 'bigint' ? Buffer.alloc(0) : value);
const integerOf = (value: Buffer | bigint): bigint => (typeof value === 'bigint' ? value : 0n);
