import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerFactory,
} from 'fastify';
import { connectionHeaders } from '../../contract/config/http-section.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { TOKEN_PATH } from '../auth/open-access.ts';
import { RegistryError } from '../errors.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { assertServing } from '../health/serving.ts';
import type { AccessLog } from './access-log.ts';
import { answerClientError, answerError } from './error-response.ts';
import { Exchange } from './exchange.ts';
import type { Links } from './links.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { readTarget } from './request-target.ts';
import { parseRoute, type Route, type RouteOf } from './route.ts';
import type { StalledBodies } from './stalled-bodies.ts';
import { giveToken, type TokenIssuer } from './token-endpoint.ts';
import type { UploadLimit } from './upload-limit.ts';

export interface AppDependencies {
  readonly api: Api;
  /** Gives out tokens, where it is this server that does. */
  readonly tokens: TokenIssuer | undefined;
  readonly links: Links;
  readonly uploads: UploadLimit;
  readonly bodies: StalledBodies;
  /** `http.headers`: added to every answer. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly health: HealthMonitor;
  readonly accessLog: AccessLog | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: RequestMetrics;
  /** Makes the listener; without it one for plain HTTP. */
  readonly serverFactory?: FastifyServerFactory;
}

/** What is behind the paths of the API. */
export interface Api {
  /** Lets a request through, or not, and notes in the exchange who asks. @throws RegistryError */
  authorize(exchange: Exchange, route: Route): Promise<void>;
  /** Methods by what the path names. HEAD is answered by GET's handler: Node leaves the body out. */
  readonly handlers: { readonly [K in Route['kind']]: Readonly<Record<string, Handler<K>>> };
}

type Handler<K extends Route['kind']> = (exchange: Exchange, route: RouteOf<K>) => Promise<void> | void;

/** Node takes at most 16 KiB of request line and headers. */
const LONGEST_PATH = 16 * 1024;

/** The registry's API, not listening yet. */
export function buildApp(deps: AppDependencies): FastifyInstance {
  const dispatch = createDispatcher(deps);
  const app = fastify({
    serverFactory: deps.serverFactory ?? ((handler) => createServer(handler)),
    exposeHeadRoutes: false,
    // Bodies are streams of any length; routes that want one whole limit it.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    // While the server drains, requests on connections that are open are still answered.
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    routerOptions: { maxParamLength: LONGEST_PATH },
    frameworkErrors: (_error, request, reply) => {
      void reply.hijack();
      dispatch(request.raw, reply.raw);
    },
  });
  // Nothing is read before a handler asks for it.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  const handle = (request: FastifyRequest, reply: FastifyReply): void => {
    void reply.hijack();
    dispatch(request.raw, reply.raw);
  };
  // Names hold slashes, which no router knows how to match: the dispatcher reads the path.
  app.all('/*', handle);
  app.setNotFoundHandler(handle);
  // What fastify itself objects to, such as a malformed Content-Type, is for the handlers to judge.
  app.setErrorHandler((_error, request, reply) => handle(request, reply));
  return app;
}

/** Finds the handler of each request, and logs and counts it when it is over. */
function createDispatcher(
  deps: AppDependencies,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { accessLog, api, bodies, clock, links, log, metrics, tokens } = deps;
  const root = `${links.prefix}/v2/`;
  const headers: OutgoingHttpHeaders = Object.freeze({
    'docker-distribution-api-version': 'registry/2.0',
    ...Object.fromEntries(
      Object.entries(deps.headers)
        .filter(([name]) => !connectionHeaders.has(name.toLowerCase()))
        .map(([name, values]) => [name, [...values]]),
    ),
  });

  async function handle(exchange: Exchange, path: string, method: string): Promise<void> {
    if (exchange.hasBody) bodies.watch(exchange);
    if (path === '/') return exchange.answer(200);
    if (path === root.slice(0, -1)) return exchange.answer(301, { location: root });
    if (tokens && path === root + TOKEN_PATH) return giveToken(exchange, tokens, links);
    const route = path.startsWith(root) ? parseRoute(path.slice(root.length)) : undefined;
    if (route === undefined) throw new RegistryError({ code: 'PATH_UNKNOWN' });
    countRequest(exchange, route.kind, method);
    assertServing(deps.health, route.kind);
    await api.authorize(exchange, route);
    // The table's type ties each kind to its handlers, which an index by a union loses.
    const methods = api.handlers[route.kind] as Readonly<Record<string, Handler<Route['kind']>>>;
    const handler = methods[method === 'HEAD' ? 'GET' : method];
    if (handler === undefined) throw unsupportedMethod(Object.keys(methods));
    if (route.kind === 'blob') bodies.watch(exchange);
    using _place = exchange.hasBody ? deps.uploads.enter() : undefined;
    await handler(exchange, route);
  }

  function countRequest(exchange: Exchange, kind: Route['kind'], method: string): void {
    const began = clock.monotonic();
    metrics.begin(kind);
    exchange.response.once('close', () => {
      metrics.end(kind, {
        method,
        status: exchange.status,
        seconds: (clock.monotonic() - began) / 1000,
        received: exchange.receivedBytes,
        sent: exchange.sentBytes,
        hasCredentials: exchange.request.headers.authorization !== undefined,
      });
    });
  }

  return (request, response) => {
    const began = clock.monotonic();
    const { path, search } = readTarget(request);
    const method = request.method ?? 'GET';
    const exchange = new Exchange({ request, response, newId: randomUUID, search, headers });
    if (accessLog !== undefined) {
      const peer = request.socket.remoteAddress;
      response.once('close', () => accessLog(exchange, { peer, milliseconds: clock.monotonic() - began }));
    }
    handle(exchange, path, method)
      .catch((error: unknown) => answerError(exchange, error, log))
      .catch((error: unknown) => {
        // What cannot even be told must not end the process.
        log.error({ requestId: exchange.requestId, method, path, error }, 'an error could not be answered');
        response.destroy();
      });
  };
}

function unsupportedMethod(methods: readonly string[]): RegistryError {
  const allow = methods.includes('GET') ? ['HEAD', ...methods] : methods;
  return new RegistryError({ code: 'UNSUPPORTED' }, { headers: { allow: allow.toSorted().join(', ') } });
}
