import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../../process/clock.ts';
import type { Faults, RequestInfo } from '../faults.ts';
import type { JsonObject, Kind } from '../kind.ts';
import { text } from '../kinds/read.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';
import type { Objects, PatchType, Subresource, WriteOptions } from '../objects.ts';
import { patchOfScale, scaleOf } from '../scale.ts';
import {
  badRequest,
  methodNotAllowed,
  noSuchResource,
  notFound,
  StatusError,
  unsupportedMediaType,
} from '../status-error.ts';
import type { Store } from '../store.ts';
import { keyOf, resourceOf } from '../stored-object.ts';
import { formOf, listText, objectText, type Form } from './answer.ts';
import { authorize, type User } from './authorize.ts';
import { parseDeletion, parseWriteOptions } from './options.ts';
import { listObjects, parseListOptions } from './read.ts';
import { parseJson, parseObject, parsePatch, readBody } from './request.ts';
import { serveWatch } from './watch.ts';

/** What the node has of a container's output. Throws Error with what is to be told when it has none. */
export type PodLogs = (request: {
  readonly pod: JsonObject;
  /** As in the API: `container`, `follow`, `previous`, `tailLines`, `timestamps`. */
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}) => Promise<AsyncIterable<Uint8Array>>;

export interface Resources {
  readonly store: Store;
  readonly objects: Objects;
  readonly kinds: ServedKinds;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly podLogs: PodLogs | undefined;
}

interface Exchange {
  readonly user: User;
  readonly resources: Resources;
  readonly kind: Kind;
  readonly request: RequestInfo;
  readonly query: URLSearchParams;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

/** There is nothing at all at a path: no Status, as Go's HTTP server answers. */
export class NoSuchPathError extends Error {}

/** Answers a request for objects that is let in. @throws {StatusError | NoSuchPathError} */
export async function serveResource(
  resources: Resources,
  user: User,
  request: RequestInfo,
  query: URLSearchParams,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { kinds, faults } = resources;
  const { group, version, resource, subresource, namespace, name } = request;
  const kind = kinds.find(group, version, resource);
  if (kind === undefined) {
    const isBuiltIn = kinds.all.some((other) => other.group === group && !other.custom);
    throw isBuiltIn ? noSuchResource() : new NoSuchPathError();
  }
  const fault = faults.answer?.(request);
  if (fault !== undefined) throw faultError(fault.code, fault.retryAfterSeconds);
  if (kind.namespaced ? name !== undefined && namespace === undefined : namespace !== undefined)
    throw noSuchResource();
  const exchange = { resources, user, kind, request, query, message, response };
  if (subresource !== undefined) await serveSubresource(exchange, subresource, name ?? '');
  else if (name === undefined) await serveCollection(exchange);
  else await serveObject(exchange, name);
}

function faultError(code: number, retryAfterSeconds: number | undefined): StatusError {
  const reasons: Readonly<Record<number, string>> = {
    409: 'Conflict',
    410: 'Expired',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
  };
  const details = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new StatusError({
    code,
    reason: reasons[code] ?? '',
    message: `a fault switch answers ${code}`,
    details,
  });
}

async function serveCollection(exchange: Exchange): Promise<void> {
  const { kind, request, message, resources } = exchange;
  const canCreate = !kind.namespaced || request.namespace !== undefined;
  if (kind.custom && !canCreate && message.method !== 'GET') throw new NoSuchPathError();
  if (message.method === 'GET') return serveList(exchange);
  if (message.method !== 'POST' || !canCreate) throw methodNotAllowed();
  const options = writeOptions(exchange, 'CreateOptions');
  answerObject(exchange, 201, await resources.objects.create(kind, await objectBody(exchange), options));
}

async function serveList(exchange: Exchange): Promise<void> {
  const { kind, request, query, response, resources } = exchange;
  const form = formFor(exchange);
  const options = parseListOptions(kind, query);
  const { store, clock, faults } = resources;
  if (options.isWatch) return serveWatch({ store, clock, faults, kind, request, options, form, response });
  const list = listObjects(store, kind, request.namespace, options, faults.staleBy?.(request));
  const metadata = { resourceVersion: String(list.revision) };
  send(exchange, 200, listText(kind, list.objects, metadata, form, clock.now()));
}

async function serveObject(exchange: Exchange, name: string, subresource?: 'status'): Promise<void> {
  const { kind, request, message, resources } = exchange;
  switch (message.method) {
    case 'GET': {
      const object = resources.store.get(resourceOf(kind), keyOf(request.namespace, name));
      if (object === undefined) throw notFound(kind, name);
      return answerObject(exchange, 200, object);
    }
    case 'PUT': {
      const options = writeOptions(exchange, 'UpdateOptions');
      const body = await objectBody(exchange);
      const object = await resources.objects.update(kind, name, body, subresource, options);
      return answerObject(exchange, 200, object);
    }
    case 'PATCH': {
      const result = await patch(exchange, name, subresource);
      return answerObject(exchange, result.created ? 201 : 200, result.object);
    }
    case 'DELETE':
      if (subresource === undefined) return deleteObject(exchange, name);
      throw methodNotAllowed();
    case undefined:
    default:
      throw methodNotAllowed();
  }
}

const STRATEGIC = 'application/strategic-merge-patch+json';
/** Strategic merge is as good as merge for all that `kubectl apply` says of a ConfigMap or Secret: see parsePatch. */
const PATCH_TYPES: Readonly<Record<string, PatchType>> = {
  'application/apply-patch+yaml': 'apply',
  'application/merge-patch+json': 'merge',
  [STRATEGIC]: 'merge',
};
const STRATEGIC_KINDS = ['ConfigMap', 'Secret'];

async function patch(
  exchange: Exchange,
  name: string,
  subresource: Subresource | undefined,
  change = (body: JsonObject) => body,
) {
  const { kind, request, message, resources, user } = exchange;
  const isStrategic = !kind.custom && STRATEGIC_KINDS.includes(kind.kind);
  const types = Object.keys(PATCH_TYPES).filter((key) => isStrategic || key !== STRATEGIC);
  const given = (message.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  const type = PATCH_TYPES[given];
  if (type === undefined || !types.includes(given)) throw unsupportedMediaType(types);
  const options = writeOptions(exchange, 'PatchOptions', type === 'apply');
  const body = parsePatch(await readBody(message), type, given === STRATEGIC);
  const isThere = resources.store.latest(resourceOf(kind), keyOf(request.namespace, name)) !== undefined;
  if (type === 'apply' && !isThere) authorize(user, { ...request, verb: 'create' });
  const wanted = { type, body: change(body), force: options.force };
  return resources.objects.patch(kind, name, wanted, subresource, options);
}

async function deleteObject(exchange: Exchange, name: string): Promise<void> {
  const { kind, request, query, message, resources } = exchange;
  const body = (await readBody(message)).toString();
  const { dryRun, ...deletion } = parseDeletion(body === '' ? undefined : parseJson(body), query);
  const { object, isGone } = await resources.objects.delete(kind, name, deletion, {
    namespace: request.namespace,
    dryRun,
  });
  if (!isGone || kind.returnsDeleted === true) return answerObject(exchange, 200, object);
  const { group, plural } = kind;
  const uid = text(object, 'metadata', 'uid');
  const details = { name, ...(group !== '' && { group }), kind: plural, uid };
  const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
  send(exchange, 200, JSON.stringify(success));
}

async function serveSubresource(exchange: Exchange, subresource: string, name: string): Promise<void> {
  const { kind, message } = exchange;
  if (subresource === 'status' && kind.status) return serveObject(exchange, name, 'status');
  if (subresource === 'scale' && kind.scale !== undefined) return serveScale(exchange, name);
  if (subresource === 'log' && kind.plural === 'pods' && message.method === 'GET')
    return serveLog(exchange, name);
  throw kind.custom ? notFound(kind, name) : noSuchResource();
}

async function serveScale(exchange: Exchange, name: string): Promise<void> {
  const { kind, request, message, resources } = exchange;
  const { scale } = kind;
  if (scale === undefined) throw noSuchResource();
  const toPatch = (body: JsonObject) => patchOfScale(kind, scale, name, body);
  const answer = (object: JsonObject) => send(exchange, 200, JSON.stringify(scaleOf(scale, object)));
  switch (message.method) {
    case 'GET':
      return answer(resources.objects.get(kind, request.namespace, name));
    case 'PUT': {
      const options = writeOptions(exchange, 'UpdateOptions');
      const body = toPatch(parseJson((await readBody(message)).toString()));
      const change = { type: 'merge', body, force: false } as const;
      return answer((await resources.objects.patch(kind, name, change, 'scale', options)).object);
    }
    case 'PATCH':
      return answer((await patch(exchange, name, 'scale', toPatch)).object);
    case undefined:
    default:
      throw methodNotAllowed();
  }
}

async function serveLog(exchange: Exchange, name: string): Promise<void> {
  const { kind, request, query, response, resources } = exchange;
  const pod = resources.objects.get(kind, request.namespace, name);
  if (text(pod, 'spec', 'nodeName') === '') return void response.writeHead(204).end();
  if (resources.podLogs === undefined) throw badRequest('this server has no node that keeps logs');
  const ended = new AbortController();
  response.on('close', () => ended.abort());
  const stream = await resources.podLogs({ pod, query, signal: ended.signal }).catch((error: unknown) => {
    throw badRequest(error instanceof Error ? error.message : String(error));
  });
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  await pipeline(Readable.from(stream), response).catch((error: unknown) => {
    if (!ended.signal.aborted) throw error;
  });
}

/** @throws {StatusError} 422 */
function writeOptions(
  { request, query, message, response }: Exchange,
  what: Parameters<typeof parseWriteOptions>[0],
  isApply = false,
): WriteOptions & { readonly force: boolean } {
  // As HTTP has warnings (RFC 7234 section 5.5); kubectl prints them, also beside an error.
  const warn = (warning: string): void => {
    const header = `299 - ${JSON.stringify(warning)}`;
    const others = [response.getHeader('warning') ?? []].flat();
    if (!others.includes(header)) response.appendHeader('warning', header);
  };
  const agent = message.headers['user-agent'] ?? '';
  return { ...parseWriteOptions(what, query, agent, isApply), namespace: request.namespace, warn };
}

async function objectBody({ kind, message }: Exchange): Promise<JsonObject> {
  return parseObject(await readBody(message), message.headers['content-type'] ?? '', kind);
}

function formFor({ message, query }: Exchange): Form {
  return formOf(message.headers.accept ?? '', query.get('includeObject') ?? '');
}

function answerObject(exchange: Exchange, code: number, object: JsonObject): void {
  const { kind, resources } = exchange;
  send(exchange, code, objectText(kind, object, formFor(exchange), resources.clock.now()));
}

function send({ resources, request, response }: Exchange, code: number, body: string): void {
  if (resources.faults.loseAnswer?.(request) === true) return void response.destroy();
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(body);
}
