import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../../process/clock.ts';
import type { Faults, RequestInfo } from '../faults.ts';
import type { JsonObject, Kind } from '../kind.ts';
import { text } from '../kinds/read.ts';
import type { ServedKinds } from '../kinds/served-kinds.ts';
import {
  keyOf,
  metaOf,
  resourceOf,
  type Objects,
  type PatchType,
  type Subresource,
  type WriteOptions,
} from '../objects.ts';
import { parseScale, patchOfScale, scaleOf } from '../scale.ts';
import {
  badRequest,
  methodNotAllowed,
  noSuchResource,
  notFound,
  qualified,
  StatusError,
  unsupportedMediaType,
} from '../status-error.ts';
import type { Store } from '../store.ts';
import { formOf, listText, objectText } from './answer.ts';
import { authorize, type User } from './authorize.ts';
import { parseDeletion, parseWriteOptions } from './options.ts';
import { checkNotAhead, listPage, parseListOptions } from './read.ts';
import { parseDeleteOptions, parseObject, parsePatch, readBody, type Body } from './request.ts';
import { serveWatch } from './watch.ts';

/** What the node has of a container's output. Throws Error with what is to be told when it has none. */
export type PodLogs = (request: {
  readonly pod: JsonObject;
  /** As in the API: `container`, `follow`, `previous`, `tailLines`, `sinceSeconds`, `timestamps`, `limitBytes`. */
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

async function createObject(exchange: Exchange): Promise<void> {
  const { kind, query, message, resources } = exchange;
  const options = {
    ...parseWriteOptions('CreateOptions', query, agentOf(message), false),
    ...shared(exchange),
  };
  const body = await objectBody(exchange);
  const object = await resources.objects.create(kind, body.object, {
    ...options,
    duplicates: body.duplicates,
  });
  answerObject(exchange, 201, object);
}

async function serveCollection(exchange: Exchange): Promise<void> {
  const { kind, request, message } = exchange;
  const { namespace } = request;
  const canCreate = !kind.namespaced || namespace !== undefined;
  if (kind.custom && !canCreate && message.method !== 'GET') throw new NoSuchPathError();
  if (message.method === 'GET') return serveList(exchange);
  if (message.method === 'POST' && canCreate) return createObject(exchange);
  if (message.method === 'DELETE' && canCreate && kind.kind !== 'Namespace')
    return deleteCollection(exchange);
  if (kind.custom && message.method === 'PUT') throw badRequest('name must be provided');
  if (kind.custom && !['PATCH', 'DELETE', 'HEAD'].includes(message.method ?? ''))
    throw notSupported(kind, '');
  throw methodNotAllowed();
}

async function serveList(exchange: Exchange): Promise<void> {
  const { kind, request, query, message, response, resources } = exchange;
  const form = formOf(message.headers.accept ?? '', query.get('includeObject') ?? '');
  const options = parseListOptions(kind, query);
  const { store, clock, faults } = resources;
  if (options.isWatch) return serveWatch({ store, clock, faults, kind, request, options, form, response });
  const page = listPage(store, kind, request.namespace, options, faults.staleBy?.(request) ?? 0);
  send(exchange, 200, listText(kind, page.objects, page.metadata, form, clock.now()));
}

async function deleteCollection(exchange: Exchange): Promise<void> {
  const { kind, request, query, resources } = exchange;
  const form = formOf(exchange.message.headers.accept ?? '', '');
  const options = { ...parseListOptions(kind, query), limit: 0 };
  const deletion = parseDeletion(await optionalBody(exchange), query);
  const page = listPage(resources.store, kind, request.namespace, options, 0);
  for (const object of page.objects) {
    const { name, namespace } = metaOf(object);
    const place = typeof namespace === 'string' ? namespace : undefined;
    await resources.objects.delete(kind, text(name), deletion, {
      ...shared(exchange),
      namespace: place,
      dryRun: deletion.dryRun,
    });
  }
  send(exchange, 200, listText(kind, page.objects, page.metadata, form, resources.clock.now()));
}

async function serveObject(exchange: Exchange, name: string, subresource?: 'status'): Promise<void> {
  const { kind, request, query, message, resources } = exchange;
  const { objects } = resources;
  switch (message.method) {
    case 'GET': {
      const object = resources.store.get(resourceOf(kind), keyOf(request.namespace, name));
      if (object === undefined) throw notFound(kind, name);
      checkNotAhead(resources.store, query.get('resourceVersion') ?? '');
      return answerObject(exchange, 200, object);
    }
    case 'PUT': {
      const options = {
        ...parseWriteOptions('UpdateOptions', query, agentOf(message), false),
        ...shared(exchange),
      };
      const body = await objectBody(exchange);
      const result = await objects.update(kind, name, body.object, subresource, {
        ...options,
        duplicates: body.duplicates,
      });
      return answerObject(exchange, result.created ? 201 : 200, result.object);
    }
    case 'PATCH': {
      const result = await patch(exchange, name, subresource);
      return answerObject(exchange, result.created ? 201 : 200, result.object);
    }
    case 'POST': {
      // As the API server, which ignores the name then.
      if (kind.custom && subresource === undefined) return createObject(exchange);
      throw methodNotAllowed();
    }
    case 'DELETE': {
      if (subresource === undefined) return deleteObject(exchange, name);
      throw methodNotAllowed();
    }
    case undefined:
    default:
      throw methodNotAllowed();
  }
}

const PATCH_TYPES: Readonly<Record<string, PatchType>> = {
  'application/apply-patch+yaml': 'apply',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
};
/** What `kubectl apply` and `kubectl edit` need it for here. */
const STRATEGIC_KINDS = ['ConfigMap', 'Secret'];

async function patch(
  exchange: Exchange,
  name: string,
  subresource: Subresource | undefined,
  change = (body: JsonObject) => body,
) {
  const { kind, request, query, message, resources, user } = exchange;
  const type = PATCH_TYPES[(message.headers['content-type'] ?? '').split(';')[0]?.trim() ?? ''];
  const isStrategic = !kind.custom && STRATEGIC_KINDS.includes(kind.kind);
  if (type === undefined || (type === 'strategic' && !isStrategic)) {
    if (type === undefined && !kind.custom) {
      const text = '415: Unsupported Media Type';
      throw new StatusError({ code: 415, reason: 'UnsupportedMediaType', message: text, details: {} });
    }
    throw unsupportedMediaType(
      Object.keys(PATCH_TYPES).filter((name) => isStrategic || PATCH_TYPES[name] !== 'strategic'),
    );
  }
  const { force, ...options } = parseWriteOptions('PatchOptions', query, agentOf(message), type === 'apply');
  const body = parsePatch(await readBody(message), type);
  const written = { ...options, ...shared(exchange), duplicates: body.duplicates };
  const isThere = resources.store.latest(resourceOf(kind), keyOf(request.namespace, name)) !== undefined;
  if (type === 'apply' && !isThere) authorize(user, { ...request, verb: 'create' });
  return resources.objects.patch(
    kind,
    name,
    { type, body: change(body.object), force },
    subresource,
    written,
  );
}

async function deleteObject(exchange: Exchange, name: string): Promise<void> {
  const { kind, query, resources } = exchange;
  const deletion = parseDeletion(await optionalBody(exchange), query);
  const { object, isGone } = await resources.objects.delete(kind, name, deletion, {
    ...shared(exchange),
    dryRun: deletion.dryRun,
  });
  if (!isGone) {
    return answerObject(exchange, 200, object);
  }
  if (kind.returnsDeleted === true) return answerObject(exchange, 200, object);
  const details = {
    name,
    ...(kind.group !== '' && { group: kind.group }),
    kind: kind.plural,
    uid: text(object, 'metadata', 'uid'),
  };
  send(
    exchange,
    200,
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }),
  );
}

async function serveSubresource(exchange: Exchange, subresource: string, name: string): Promise<void> {
  const { kind, message } = exchange;
  if (subresource === 'status' && kind.status) {
    if (kind.custom && (message.method === 'POST' || message.method === 'DELETE'))
      throw notSupported(kind, message.method);
    return serveObject(exchange, name, 'status');
  }
  if (subresource === 'scale' && kind.scale !== undefined) return serveScale(exchange, name);
  if (subresource === 'log' && kind.plural === 'pods' && message.method === 'GET')
    return serveLog(exchange, name);
  if (subresource === 'binding' && kind.plural === 'pods' && message.method === 'POST')
    return serveBinding(exchange, name);
  throw kind.custom ? notFound(kind, name) : noSuchResource();
}

/** Gives a pod to a node, as a scheduler does. */
async function serveBinding(exchange: Exchange, name: string): Promise<void> {
  const { kind, request, query, message, resources } = exchange;
  const { dryRun } = parseWriteOptions('CreateOptions', query, agentOf(message), false);
  // What a body says is looked at field by field.
  const binding = JSON.parse((await readBody(message)).toString()) as JsonObject;
  const { namespace } = request;
  await resources.objects.bind(kind, name, text(binding, 'target', 'name'), { namespace, dryRun });
  send(
    exchange,
    201,
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
  );
}

function notSupported(kind: Kind, method: string): StatusError {
  const verb = { POST: 'create', DELETE: 'delete' }[method] ?? '';
  const message = `${verb} is not supported on resources of kind "${qualified(kind)}"`;
  return new StatusError({
    code: 405,
    reason: 'MethodNotAllowed',
    message,
    details: { group: kind.group, kind: kind.plural },
  });
}

async function serveScale(exchange: Exchange, name: string): Promise<void> {
  const { kind, request, query, message, resources } = exchange;
  const { scale } = kind;
  if (scale === undefined) throw noSuchResource();
  const answer = (object: JsonObject) => send(exchange, 200, JSON.stringify(scaleOf(scale, object)));
  const { namespace } = request;
  switch (message.method) {
    case 'GET':
      return answer(resources.objects.get(kind, namespace, name));
    case 'PUT': {
      const options = {
        ...parseWriteOptions('UpdateOptions', query, agentOf(message), false),
        ...shared(exchange),
      };
      const object = parseScale((await readBody(message)).toString());
      const change = { type: 'merge', body: patchOfScale(kind, scale, name, object), force: false } as const;
      return answer(
        (await resources.objects.patch(kind, name, change, 'scale', { ...options, duplicates: [] })).object,
      );
    }
    case 'PATCH':
      return answer(
        (await patch(exchange, name, 'scale', (body) => patchOfScale(kind, scale, name, body))).object,
      );
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

const agentOf = (message: IncomingMessage): string => message.headers['user-agent'] ?? '';

function shared({ request, response }: Exchange): Pick<WriteOptions, 'namespace' | 'warn'> {
  // As HTTP has warnings (RFC 7234 section 5.5); kubectl prints them, also beside an error.
  const warn = (warning: string): void => {
    const header = `299 - ${JSON.stringify(warning)}`;
    const others = [response.getHeader('warning') ?? []].flat();
    if (!others.includes(header)) response.appendHeader('warning', header);
  };
  return { namespace: request.namespace, warn };
}

async function objectBody({ kind, message }: Exchange): Promise<Body> {
  return parseObject(await readBody(message), message.headers['content-type'] ?? '', kind);
}

async function optionalBody({ message }: Exchange): Promise<JsonObject | undefined> {
  const content = (await readBody(message)).toString();
  return content === '' ? undefined : parseDeleteOptions(content);
}

function answerObject(exchange: Exchange, code: number, object: JsonObject): void {
  const { kind, message, query, resources } = exchange;
  const form = formOf(message.headers.accept ?? '', query.get('includeObject') ?? '');
  send(exchange, code, objectText(kind, object, form, resources.clock.now()));
}

function send({ resources, request, response }: Exchange, code: number, body: string): void {
  if (resources.faults.loseAnswer?.(request) === true) return void response.destroy();
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(body);
}
