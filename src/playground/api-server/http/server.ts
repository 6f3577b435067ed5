import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { CertificatePair } from '../../../pki/key-pair.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { Faults, RequestInfo } from '../faults.ts';
import type { JsonObject } from '../kind.ts';
import { KUBERNETES_VERSION } from '../kinds/recorded.ts';
import { ServedKinds } from '../kinds/served-kinds.ts';
import { followWrites } from '../lifecycle.ts';
import { Objects } from '../objects.ts';
import { methodNotAllowed, noSuchResource, StatusError, unauthorized } from '../status-error.ts';
import { CrashedError, Store } from '../store.ts';
import { authorize, mayRead, type User } from './authorize.ts';
import { coreVersions, group, groupList, resourceList } from './discovery.ts';
import { documentIndex, openApiDocument } from './openapi.ts';
import { NoSuchPathError, serveResource, type PodLogs, type Resources } from './resources.ts';
import { parsePath } from './request.ts';

export interface ApiServerOptions {
  /** The file that keeps everything; its folder is there. Undefined: in memory alone. */
  readonly path: string | undefined;
  readonly tls: CertificatePair;
  /** 127.0.0.1 and any free port where absent. */
  readonly host?: string;
  readonly port?: number;
  readonly users: readonly User[];
  readonly clock: Clock;
  /** From 0 up to 1, as Math.random: names and UIDs come from it. */
  readonly random: () => number;
  readonly log: Logger;
  /** Where clusterIPs are taken from. 127.96.0.0/16 where absent. */
  readonly serviceNetwork?: string;
  readonly podLogs?: PodLogs;
  /** Whether what is in a Namespace, or belongs to an owner, goes with it, as controllers do it in a cluster. True where absent. */
  readonly collects?: boolean;
  /** How many of the last writes a watch or an old list can go back. */
  readonly window?: number;
  readonly faults?: Faults;
}

export interface ApiServer {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** Lets one more user in. */
  admit(user: User): void;
  /** Forgets all history, as at a start: older watches get 410. */
  forget(): void;
  /** Ends every connection, and when all that was answered is in the file. */
  close(): Promise<void>;
}

const DEFAULT_WINDOW = 4096;
const ANONYMOUS: User = { name: 'system:anonymous', token: '', rules: [] };
const PUBLIC_PATHS = /^\/(healthz|livez|readyz|version)(\/|$)/;

/** Starts an API server that serves the kinds of src/playground/api-server/kinds and every CustomResourceDefinition. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, random, log, faults = {} } = options;
  const store = await Store.open({ path: options.path, window: options.window ?? DEFAULT_WINDOW, faults });
  const objects = new Objects({
    store,
    clock,
    random,
    serviceNetwork: options.serviceNetwork ?? '127.96.0.0/16',
  });
  const kinds = new ServedKinds();
  const resources: Resources = { store, objects, kinds, clock, faults, podLogs: options.podLogs };
  const users = new Map(options.users.map((user) => [user.token, user]));
  const server = createServer(
    { cert: options.tls.certificate, key: options.tls.key },
    (message, response) => {
      void serve(message, response);
    },
  );
  store.onCrash = () => {
    server.close();
    server.closeAllConnections();
  };
  const collects = options.collects ?? true;
  await followWrites({ store, objects, kinds, now: () => clock.now(), collects });
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { pathname, searchParams } = new URL(message.url ?? '/', 'https://server');
      const user = authenticate(users, message.headers.authorization);
      const path = parsePath(pathname);
      if (path === undefined) return serveOther(pathname, message, response, user);
      const request = {
        ...path,
        verb: verbOf(message.method ?? '', path.name, searchParams),
        user: user.name,
      };
      authorize(user, request);
      await serveResource(resources, user, request, searchParams, message, response);
    } catch (error) {
      fail(response, error);
    }
  }

  /** What clients find their way by. */
  function serveOther(
    pathname: string,
    message: IncomingMessage,
    response: ServerResponse,
    user: User,
  ): void {
    const path = pathname.replace(/\/$/, '');
    const isPublic = PUBLIC_PATHS.test(path);
    if (!isPublic && (user === ANONYMOUS || !mayRead(user, path))) {
      const verb = (message.method ?? 'GET').toLowerCase();
      const text = `forbidden: User "${user.name}" cannot ${verb} path "${pathname}"`;
      throw new StatusError({ code: 403, reason: 'Forbidden', message: text, details: {} });
    }
    if (/^\/(healthz|livez|readyz)$/.test(path)) return plain(response, 200, 'ok');
    const answer = documentAt(path, message.headers.host ?? '');
    if (answer === undefined && path.startsWith('/openapi/')) return void response.writeHead(404).end();
    if (answer === undefined) throw new NoSuchPathError();
    if (message.method !== 'GET') throw methodNotAllowed();
    json(response, 200, answer, path === '/openapi/v3' ? 'text/plain; charset=utf-8' : undefined);
  }

  function documentAt(path: string, host: string): JsonObject | undefined {
    if (path === '/api') return coreVersions(host);
    if (path === '/apis') return groupList(kinds);
    if (path === '/version') return version();
    if (path === '/openapi/v3') return documentIndex(kinds);
    if (path.startsWith('/openapi/v3/')) return openApiDocument(kinds, path.slice('/openapi/v3/'.length));
    const [, root, first = '', second] = path.split('/');
    if (root !== 'api' && root !== 'apis') return undefined;
    if (root === 'apis' && second === undefined) return group(kinds, first);
    const [name, served] = root === 'api' ? ['', first] : [first, second ?? ''];
    const found = resourceList(kinds, name, served);
    const isBuiltIn = kinds.all.some((kind) => kind.group === name && !kind.custom);
    if (found === undefined && isBuiltIn) throw noSuchResource();
    return found;
  }

  function fail(response: ServerResponse, error: unknown): void {
    if (error instanceof CrashedError || response.headersSent) return void response.destroy();
    if (error instanceof NoSuchPathError) return plain(response, 404, '404 page not found\n');
    if (error instanceof StatusError) return sendStatus(response, error);
    log.error({ error }, 'request failed');
    const message = `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`;
    sendStatus(response, new StatusError({ code: 500, reason: 'InternalError', message }));
  }

  // A server that listens on TCP has an address of this kind.
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `https://${address}:${port}`,
    admit: (user) => void users.set(user.token, user),
    forget: () => store.forget(),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await store.close();
    },
  };
}

function authenticate(users: ReadonlyMap<string, User>, authorization: string | undefined): User {
  const token = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1];
  // Other ways to say who one is are not looked at.
  if (token === undefined) return ANONYMOUS;
  const user = users.get(token);
  if (user === undefined) throw unauthorized();
  return user;
}

const WRITES: Readonly<Record<string, RequestInfo['verb']>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
};

function verbOf(method: string, name: string | undefined, query: URLSearchParams): RequestInfo['verb'] {
  const write = WRITES[method];
  if (write !== undefined) return write;
  if (method === 'DELETE') return name === undefined ? 'deletecollection' : 'delete';
  if (name !== undefined) return 'get';
  return ['true', '1'].includes(query.get('watch') ?? '') ? 'watch' : 'list';
}

function json(response: ServerResponse, code: number, body: JsonObject, type = 'application/json'): void {
  response.writeHead(code, { 'content-type': type });
  response.end(JSON.stringify(body));
}

function plain(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(body);
}

function sendStatus(response: ServerResponse, error: StatusError): void {
  const seconds = error.details?.['retryAfterSeconds'];
  response.writeHead(error.code, {
    'content-type': 'application/json',
    ...(typeof seconds === 'number' && { 'retry-after': String(seconds) }),
  });
  response.end(JSON.stringify(error.body));
}

function version(): JsonObject {
  const [major = '', minor = ''] = KUBERNETES_VERSION.replace('v', '').split('.');
  return {
    major,
    minor,
    gitVersion: KUBERNETES_VERSION,
    gitTreeState: '',
    platform: `linux/${process.arch}`,
  };
}
