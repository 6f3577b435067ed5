import type { IncomingMessage } from 'node:http';
import { load, YAMLException } from 'js-yaml';
import type { RequestInfo } from '../faults.ts';
import { apiVersionOf, isJsonObject, type Json, type JsonObject, type Kind } from '../kind.ts';
import { text } from '../kinds/read.ts';
import type { PatchType } from '../objects.ts';
import { badRequest, noSuchResource, StatusError, unsupportedMediaType } from '../status-error.ts';
import { decodeProtobuf, isInProtobuf } from './protobuf.ts';

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

const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** The object in the body of a create or update. @throws {StatusError} 400, 415 */
export function parseObject(bytes: Buffer, contentType: string, kind: Kind): JsonObject {
  const type = contentType.split(';')[0]?.trim() ?? '';
  const takesProtobuf = isInProtobuf(kind);
  if (type === PROTOBUF && takesProtobuf) return decodeProtobuf(kind, bytes);
  if (type !== '' && type !== 'application/json') {
    throw unsupportedMediaType(['application/json', ...(takesProtobuf ? [PROTOBUF] : [])]);
  }
  const object = parseJson(bytes.toString());
  checkKind(kind, object);
  return object;
}

/** @throws {StatusError} 400 for what is no object in JSON */
export function parseJson(body: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(body) as Json;
  } catch (error) {
    throw badRequest(`the body of the request is no JSON: ${error instanceof Error ? error.message : ''}`);
  }
  if (isJsonObject(value)) return value;
  throw badRequest('the body of the request is no object');
}

/** What names its kind must fit; objects of built-in kinds may leave it out. @throws {StatusError} 400 */
function checkKind(kind: Kind, object: JsonObject): void {
  const given = text(object, 'kind');
  const version = text(object, 'apiVersion');
  const expected = apiVersionOf(kind);
  if (kind.custom && given === '') throw badRequest(`Object 'Kind' is missing`);
  if (kind.custom && version !== expected) {
    const why = `does not match the expected API version (${expected})`;
    throw badRequest(`the API version in the data (${version}) ${why}`);
  }
  // That a custom object is of another kind, validation says.
  const isFit = (given === '' || given === kind.kind) && (version === '' || version === expected);
  if (kind.custom || isFit) return;
  throw badRequest(`${given} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}`);
}

/**
 * The object in the body of a patch. A strategic merge patch has words of its own for lists, which are not known here:
 * without them it is a merge patch.
 *
 * @throws {StatusError} 400, 415
 */
export function parsePatch(bytes: Buffer, type: PatchType, isStrategic: boolean): JsonObject {
  const body = bytes.toString();
  if (isStrategic && /"(\$\w+(\/\w+)?|finalizers|ownerReferences)"\s*:/.test(body)) {
    throw unsupportedMediaType(['application/merge-patch+json', 'application/apply-patch+yaml']);
  }
  // What is JSON is read as such, since YAML has other numbers.
  return type === 'apply' && !body.trimStart().startsWith('{') ? parseYaml(body) : parseJson(body);
}

function parseYaml(body: string): JsonObject {
  let value: Json;
  try {
    // Dates and the like would not be JSON.
    value = JSON.parse(JSON.stringify(load(body, { json: true }) ?? null)) as Json;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    throw badRequest(`error decoding YAML: error converting YAML to JSON: yaml: ${error.reason}`);
  }
  if (isJsonObject(value)) return value;
  throw badRequest('the body of the request is no object');
}
