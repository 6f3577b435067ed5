import type { Json, JsonObject, Kind } from '../kind.ts';
import { badRequest } from '../status-error.ts';

/** Fields by their number: text, or a map of texts or bytes, or a message. */
interface Message {
  readonly [number: number]: readonly [name: string, type: 'text' | 'texts' | 'bytes' | Message];
}

const TYPE: Message = { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] };
const METADATA: Message = {
  1: ['name', 'text'],
  3: ['namespace', 'text'],
  11: ['labels', 'texts'],
  12: ['annotations', 'texts'],
};
/** What `kubectl create` makes in the form that kubectl prefers. Other kinds are sent as JSON, or not at all. */
const MESSAGES: Readonly<Record<string, Message>> = {
  ConfigMap: { 1: ['metadata', METADATA], 2: ['data', 'texts'], 3: ['binaryData', 'bytes'] },
  Namespace: { 1: ['metadata', METADATA] },
  Secret: { 1: ['metadata', METADATA], 2: ['data', 'bytes'], 3: ['type', 'text'] },
  ServiceAccount: { 1: ['metadata', METADATA] },
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
  try {
    if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0') throw new RangeError('there is no envelope');
    const [type, object] = [...fieldsOf(bytes.subarray(4))].map(([, value]) => value);
    return { ...message(TYPE, type), ...message(MESSAGES[kind] ?? {}, object) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badRequest(`the object provided is unrecognized: ${error.message}`);
  }
}

function message(fields: Message, bytes: Buffer = Buffer.alloc(0)): JsonObject {
  const result = new Map<string, Json>();
  for (const [number, value] of fieldsOf(bytes)) {
    const [name, type] = fields[number] ?? [];
    if (name === undefined || type === undefined) continue;
    if (typeof type === 'object') result.set(name, message(type, value));
    else if (type === 'text') result.set(name, value.toString());
    else {
      // A map comes entry by entry.
      const [key = '', item = ''] = Array.from(fieldsOf(value), ([part, entry]) =>
        entry.toString(part === 2 && type === 'bytes' ? 'base64' : 'utf8'),
      );
      result.set(name, { ...(result.get(name) as JsonObject | undefined), [key]: item });
    }
  }
  // What is empty is as good as absent, and many clients write it.
  return Object.fromEntries([...result].filter(([, value]) => value !== ''));
}

/** The fields of a message that have a length, in their order: number and content. */
function* fieldsOf(bytes: Buffer): Generator<readonly [number, Buffer]> {
  let at = 0;
  const varint = (): number => {
    for (let result = 0, factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++);
      result += (byte % 128) * factor;
      if (byte < 128) return result;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if (![0, 2].includes(tag % 8)) throw new RangeError('no protobuf message');
    const value = varint();
    if (tag % 8 === 0) continue;
    if (at + value > bytes.length) throw new RangeError('a protobuf message is cut off');
    yield [Math.floor(tag / 8), bytes.subarray(at, (at += value))];
  }
}
