import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { AccessAction } from '../../contract/access-rules.ts';
import type { AccessController } from '../auth/access-controller.ts';
import type { Need } from '../auth/need.ts';
import type { Caller } from '../auth/provider.ts';
import type { Exchange } from './exchange.ts';
import type { Links } from './links.ts';
import { requestedHost } from './request-target.ts';
import type { Route } from './route.ts';

/**
 * Finds out who asks and lets through who may do what the request needs; what else they may do is in the exchange then.
 * @throws RegistryError UNAUTHORIZED, DENIED
 */
export async function authorize(
  exchange: Exchange,
  route: Route,
  controller: AccessController,
  links: Links,
): Promise<void> {
  const needs = needsOf(exchange, route);
  const from = route.kind === 'uploads' ? exchange.query.get('from') : null;
  // Without the right to pull from there the upload goes on without a mount.
  const wanted = from === null ? needs : [...needs, need(from, 'pull')];
  exchange.grant = await controller.authorize(callerOf(exchange, links), needs, wanted);
}

/** What the request says of its sender. */
export function callerOf(exchange: Exchange, links: Links): Caller {
  const { request } = exchange;
  const { headers } = request;
  return {
    authorization: headers.authorization,
    certificateUser: certificateUser(request),
    remote: request.socket.remoteAddress ?? '',
    get signal() {
      return exchange.signal;
    },
    host: requestedHost(request),
    forwardedProto: headers['x-forwarded-proto']?.toString(),
    apiUrl: (path) => links.absolute(request, `${links.prefix}/v2/${path}`),
  };
}

/** By the type of what the path names, and the method. */
function needsOf(exchange: Exchange, route: Route): readonly Need[] {
  if (route.kind === 'base') return [];
  if (route.kind === 'catalog') return [{ kind: 'catalog' }];
  if (route.kind === 'tags') return [need(route.repository, 'list')];
  return actionsOf(exchange.request.method ?? 'GET').map((action) => need(route.repository, action));
}

function need(name: string, action: AccessAction): Need {
  return { kind: 'repository', name, action };
}

function actionsOf(method: string): readonly AccessAction[] {
  if (method === 'GET' || method === 'HEAD') return ['pull'];
  return method === 'DELETE' ? ['delete'] : ['pull', 'push'];
}

/** Asking a connection for its certificate takes longer than a small request. */
const certificateUsers = new WeakMap<TLSSocket, string | undefined>();

/** The common name of a client certificate that the server has verified. */
function certificateUser({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  if (!certificateUsers.has(socket)) {
    const name: unknown = socket.getPeerCertificate().subject?.CN;
    // One that has several names is nobody in particular.
    certificateUsers.set(socket, typeof name === 'string' && name !== '' ? name : undefined);
  }
  return certificateUsers.get(socket);
}
