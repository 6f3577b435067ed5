import type { IncomingMessage } from 'node:http';
import { load, YAMLException } from 'js-yaml';
import type { RequestInfo } from '../faults.ts';
import {
  apiVersionOf,
  isJsonObject,
  type Json,
  type JsonObject,
  type Kind,
  type StructuralSchema,
} from '../kind.ts';
import type { PatchType } from '../objects.ts';
import { builtInKinds } from '../kinds/built-in-kinds.ts';
import { decodeProtobuf } from './protobuf.ts';
import { badRequest, internal, noSuchResource, StatusError, unsupportedMediaType } from '../status-error.ts';

/** A path below /api or /apis that names objects. */
export type ResourcePath = Pick<
  RequestInfo,
  'group' | 'version' | 'resource' | 'subresource' | 'namespace' | 'name'
>;

/** What a path names; undefined when it is not of this form. The path is not yet known to exist. @throws {StatusError} 404 */
export function parsePath(path: string): ResourcePath | undefined {
  const parts = path.replace(/\/$/, '').split('/').slice(1).map(decode);
  const [root, ...rest] = parts;
  if (root !== 'api' && root !== 'apis') return undefined;
  const group = root === 'api' ? '' : (rest.shift() ?? '');
  const [version, ...names] = rest;
  if (version === undefined || names.length === 0) return undefined;
  if (names.includes('')) throw noSuchResource();
  // The subresources of a namespace are the only ones that could be taken for objects in it.
  const inNamespace =
    names[0] === 'namespaces' && names.length > 2 && names[2] !== 'status' && names[2] !== 'finalize';
  const [resource = '', name, ...more] = inNamespace ? names.slice(2) : names;
  return {
    group,
    version,
    resource,
    ...(inNamespace && names[1] !== undefined && { namespace: names[1] }),
    ...(name !== undefined && { name }),
    ...(more.length > 0 && { subresource: more.join('/') }),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const LARGEST_BODY = 3 << 20;

/** @throws {StatusError} 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Chunks of a request are buffers when no encoding is set.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) {
      const message = `Request entity too large: limit is ${LARGEST_BODY}`;
      throw new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message, details: {} });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const OBJECT_TYPES = ['application/json', 'application/yaml'];
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

export interface Body {
  readonly object: JsonObject;
  /** Fields that are there twice, as `spec.a`. */
  readonly duplicates: readonly string[];
}

/** The object in the body of a create or update. @throws {StatusError} 400, 415 */
export function parseObject(bytes: Buffer, contentType: string, kind: Kind): Body {
  const text = bytes.toString();
  const type = contentType.split(';')[0]?.trim() ?? '';
  if (type === PROTOBUF && !kind.custom) return { object: parseProtobuf(kind.schema, bytes), duplicates: [] };
  if (type !== '' && !OBJECT_TYPES.includes(type)) throw unsupportedMediaType([...OBJECT_TYPES, PROTOBUF]);
  const unrecognized = (why: string) =>
    badRequest(
      `the object provided is unrecognized (must be of type ${kind.kind}): ${why} (${excerpt(text)})`,
    );
  let value: Json;
  try {
    value = type === 'application/yaml' ? parseYaml(text) : (JSON.parse(text) as Json);
  } catch (error) {
    if (error instanceof YAMLException) throw unrecognized(yamlError(error));
    throw unrecognized(`couldn't get version/kind; json parse error: ${goJsonError(text, error)}`);
  }
  // Go takes null for an object with nothing in it.
  const object = value ?? {};
  if (!isJsonObject(object)) {
    const struct =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    const why = `couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonKind(object)} into Go value of type ${struct}`;
    throw unrecognized(why);
  }
  checkKind(kind, object, text, unrecognized);
  return { object, duplicates: duplicateFields(text) };
}

/** @throws {StatusError} 400 */
export function parseProtobuf(schema: StructuralSchema, bytes: Buffer): JsonObject {
  try {
    return decodeProtobuf(schema, bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badRequest(`the object provided is unrecognized: ${error.message}`);
  }
}

/** As the API server shows what it could not read. */
function excerpt(text: string): string {
  if (text === '') return '<empty>';
  const shown = text.startsWith('{') ? text : Buffer.from(text).toString('hex');
  return shown.length > 30 ? `${shown.slice(0, 30)} ...` : shown;
}

/** The options in the body of a delete. @throws {StatusError} 500 */
export function parseDeleteOptions(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as Json;
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw internal(`couldn't get version/kind; json parse error: ${goJsonError(text, error)}`);
  }
  throw internal("couldn't get version/kind; json parse error: json: not an object");
}

/** What names its kind must fit; objects of built-in kinds may leave it out. */
function checkKind(
  kind: Kind,
  object: JsonObject,
  text: string,
  unrecognized: (why: string) => StatusError,
): void {
  const [given, version] = [object['kind'] ?? '', object['apiVersion'] ?? ''];
  for (const [field, value] of Object.entries({ apiVersion: version, kind: given })) {
    if (typeof value === 'string') continue;
    const why = `json: cannot unmarshal ${jsonKind(value)} into Go struct field .${field} of type string`;
    throw unrecognized(`couldn't get version/kind; json parse error: ${why}`);
  }
  if (typeof given !== 'string' || typeof version !== 'string') return;
  if (kind.custom) {
    if (given === '') throw unrecognized(`Object 'Kind' is missing in '${text}'`);
    if (version !== apiVersionOf(kind)) {
      throw badRequest(
        `the API version in the data (${version}) does not match the expected API version (${apiVersionOf(kind)})`,
      );
    }
    return;
  }
  if ((given === '' || given === kind.kind) && (version === '' || version === apiVersionOf(kind))) return;
  const kinds = builtInKinds.some((other) => other.kind === given && apiVersionOf(other) === version);
  const why = kinds
    ? `converting (${goName(given, version)}) to (${goName(kind.kind, kind.group === '' ? 'core' : kind.group, true)}): unknown conversion`
    : `no kind ${JSON.stringify(given)} is registered for version ${JSON.stringify(version)} in scheme "pkg/runtime/scheme.go:110"`;
  throw badRequest(
    `${given} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}: ${why}`,
  );
}

/** As Go names the type: of a version `v1.Secret`, inside `core.Secret`. */
function goName(kind: string, version: string, isInternal = false): string {
  return `${isInternal ? version.split('.')[0] : version.split('/').at(-1)}.${kind}`;
}

/** The object in the body of a patch. @throws {StatusError} 400 */
export function parsePatch(bytes: Buffer, type: PatchType): Body {
  const text = bytes.toString();
  const isYaml = type === 'apply';
  let value: Json;
  try {
    value = isYaml ? parseYaml(text) : (JSON.parse(text) as Json);
  } catch (error) {
    if (isYaml) throw badRequest(`error decoding YAML: error converting YAML to JSON: ${yamlError(error)}`);
    throw badRequest(`${type === 'merge' ? 'error decoding patch: ' : ''}${goJsonError(text, error)}`);
  }
  if (isJsonObject(value)) return { object: value, duplicates: isYaml ? [] : duplicateFields(text) };
  throw badRequest(
    `error decoding patch: json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]interface {}`,
  );
}

function parseYaml(text: string): Json {
  // JSON.parse gives numbers and duplicate keys as the API server reads them.
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text) as Json;
    } catch {
      // Then it is YAML's own notation.
    }
  }
  // Dates and the like would not be JSON.
  return JSON.parse(JSON.stringify(load(text, { json: true }) ?? null)) as Json;
}

function yamlError(error: unknown): string {
  if (!(error instanceof YAMLException)) return String(error);
  const isCut = error.reason.startsWith('unexpected end of the stream');
  const reason = isCut ? 'did not find expected node content' : error.reason;
  return `yaml: line ${isCut ? 1 : (error.mark?.line ?? 0) + 1}: ${reason}`;
}

function jsonKind(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** As Go's decoder says what is wrong with JSON. */
function goJsonError(text: string, error: unknown): string {
  if (text.trim() === '') return 'unexpected end of JSON input';
  const message = error instanceof Error ? error.message : '';
  if (/end of JSON input|Unterminated|Expected .* at position/.test(message)) {
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? text.length);
    if (position >= text.length) return 'unexpected end of JSON input';
    return `invalid character '${text[position]}' looking for beginning of object key string`;
  }
  const [, found = text.trim().slice(0, 1)] = /Unexpected token '?(.)/.exec(message) ?? [];
  return `invalid character '${found}' looking for beginning of value`;
}

/** Paths of fields that an object in JSON has twice. JSON.parse keeps the last without a word. */
function duplicateFields(text: string): readonly string[] {
  const duplicates: string[] = [];
  const stack: { path: string; here: string; index: number; isList: boolean; readonly keys: Set<string> }[] =
    [];
  // A key is a string with a colon behind it.
  for (const [token, key] of text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:|"(?:[^"\\]|\\.)*"|[{}[\],]/g)) {
    const top = stack.at(-1);
    if (key !== undefined) {
      if (top === undefined) continue;
      top.here = top.path === '' ? key : `${top.path}.${key}`;
      if (top.keys.has(key)) duplicates.push(top.here);
      top.keys.add(key);
    } else if (token === '{' || token === '[') {
      const path = top?.here ?? '';
      const isList = token === '[';
      stack.push({ path, here: isList ? `${path}[0]` : path, index: 0, isList, keys: new Set() });
    } else if (token === '}' || token === ']') stack.pop();
    else if (token === ',' && top?.isList === true) top.here = `${top.path}[${++top.index}]`;
  }
  return duplicates;
}
