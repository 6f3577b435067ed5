import type { Json, JsonObject, Kind } from '../kind.ts';
import { badRequest } from '../status-error.ts';

type FieldType = 'text' | 'flag' | 'texts by key' | 'bytes by key' | Message;
/** Fields by their number. */
interface Message {
  readonly [number: number]: readonly [name: string, type: FieldType];
}

const metadata: Message = {
  1: ['name', 'text'],
  3: ['namespace', 'text'],
  11: ['labels', 'texts by key'],
  12: ['annotations', 'texts by key'],
};
/** What `kubectl create` makes in the form that kubectl prefers. Other kinds are sent as JSON, or not at all. */
const MESSAGES: Readonly<Record<string, Message>> = {
  ConfigMap: {
    1: ['metadata', metadata],
    2: ['data', 'texts by key'],
    3: ['binaryData', 'bytes by key'],
    4: ['immutable', 'flag'],
  },
  Namespace: { 1: ['metadata', metadata] },
  Secret: {
    1: ['metadata', metadata],
    2: ['data', 'bytes by key'],
    3: ['type', 'text'],
    4: ['stringData', 'texts by key'],
    5: ['immutable', 'flag'],
  },
  ServiceAccount: { 1: ['metadata', metadata] },
};

export function isInProtobuf({ custom, kind }: Kind): boolean {
  return !custom && Object.hasOwn(MESSAGES, kind);
}

/**
 * What the same client would have sent as JSON: an envelope with the type of the object and the object in it.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * @throws {StatusError} 400 when it is cut off or is not of this form
 */
export function decodeProtobuf({ kind }: Pick<Kind, 'kind'>, bytes: Buffer): JsonObject {
  const typeMeta: Message = { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] };
  try {
    if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0') throw new RangeError('there is no envelope');
    const envelope = new Map(fieldsOf(bytes.subarray(4)));
    return {
      ...message(typeMeta, bytesOf(envelope.get(1))),
      ...message(MESSAGES[kind] ?? {}, bytesOf(envelope.get(2))),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badRequest(`the object provided is unrecognized: ${error.message}`);
  }
}

function message(fields: Message, bytes: Buffer): JsonObject {
  const result: Record<string, Json> = {};
  for (const [number, value] of fieldsOf(bytes)) {
    const [name, type] = fields[number] ?? [];
    if (name === undefined || type === undefined) continue;
    const read = decode(type, value, result[name]);
    // What is zero is as good as absent, and many clients write it.
    if (read !== '' && read !== false) result[name] = read;
  }
  return result;
}

function decode(type: FieldType, value: Buffer | bigint, before: Json | undefined): Json {
  if (type === 'flag') return value === 1n;
  if (type === 'text') return bytesOf(value).toString();
  if (typeof type === 'object') return message(type, bytesOf(value));
  const entry = new Map(fieldsOf(bytesOf(value)));
  const text = bytesOf(entry.get(2)).toString(type === 'bytes by key' ? 'base64' : 'utf8');
  // A map comes entry by entry.
  return { ...(before as JsonObject | undefined), [bytesOf(entry.get(1)).toString()]: text };
}

/** The fields of a message in their order: number and value. */
function* fieldsOf(bytes: Buffer): Generator<readonly [number, Buffer | bigint]> {
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
    if ((tag & 7) === 0) yield [number, varint()];
    else if ((tag & 7) === 2) {
      const end = Number(varint()) + at;
      if (end > bytes.length) throw new RangeError('a protobuf message is cut off');
      yield [number, bytes.subarray(at, end)];
      at = end;
    } else throw new RangeError('no protobuf message');
  }
}

const bytesOf = (value: Buffer | bigint | undefined): Buffer =>
  value === undefined || typeof value === 'bigint' ? Buffer.alloc(0) : value;
