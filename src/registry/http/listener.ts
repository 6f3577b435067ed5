import { createServer, type RequestListener, type Server } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { CertificatePair } from './certificate-pair.ts';
import { admits, clientCertificateOptions, type ClientAuth } from './client-certificates.ts';
import { startsHttp2 } from './http2-preface.ts';

export interface TlsOptions {
  readonly pair: CertificatePair;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** As OpenSSL writes them, joined with colons. */
  readonly ciphers?: string;
  /** What is asked of clients when the pair has client authorities. */
  readonly clientAuth: ClientAuth;
}

/** A server that does not listen yet, and how to change the certificate that it serves. */
export interface Listener {
  create(handler: RequestListener): Server;
  /** For new connections; those that are open go on. */
  serve(pair: CertificatePair): void;
  /** Ends the connections that are idle, and lets no further request begin on those that speak HTTP/2. */
  endIdle(): void;
  /** Ends all connections. */
  endAll(): void;
}

const IDLE_MS = 75_000;

const OPTIONS = {
  // A push may take any time. Bodies that stand still are cut by stalled-bodies.ts.
  requestTimeout: 0,
  // As long as distribution's clients keep a connection for reuse.
  keepAliveTimeout: IDLE_MS,
  headersTimeout: 60_000,
  // Tokens can be long. Node's own limit is 16 KiB.
  maxHeaderSize: 64 * 1024,
  noDelay: true,
  // A client that lost its power says no goodbye. Its upload would stay in progress, and every collector wait for it.
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
};

/** Windows that let a stream of content go on while what came is being written. Node's are those of the RFC, 64 KiB. */
const STREAM_WINDOW = 4 * 1024 * 1024;
const SESSION_WINDOW = 16 * 1024 * 1024;
const HTTP2_SETTINGS = {
  initialWindowSize: STREAM_WINDOW,
  maxFrameSize: 1024 * 1024,
  maxHeaderListSize: OPTIONS.maxHeaderSize,
  // As Go's servers allow.
  maxConcurrentStreams: 250,
};

/** @param options.http2 over TLS for clients that choose it in the handshake, without TLS for those that begin with it. */
export function createListener(options: {
  readonly tls: TlsOptions | undefined;
  readonly http2: boolean;
}): Listener {
  const { tls } = options;
  const sessions = new Set<ServerHttp2Session>();
  /** Connections that have not said yet what they speak. */
  const silent = new Set<Socket>();
  let server: Server | undefined;
  let useContext: ((pair: CertificatePair) => void) | undefined;

  function create(handler: RequestListener): Server {
    const http2 = options.http2 ? http2Connections(handler, sessions) : undefined;
    if (tls === undefined) {
      server = createServer(OPTIONS, handler);
      if (http2 !== undefined) splitPlain(server, http2, silent);
      return server;
    }
    const tlsServer = createTlsServer(
      {
        ...OPTIONS,
        ...contextOptions(tls, tls.pair),
        ALPNProtocols: http2 === undefined ? ['http/1.1'] : ['h2', 'http/1.1'],
      },
      handler,
    );
    splitTls(tlsServer, http2, (socket) => tls.pair.clientCas.length === 0 || admits(socket, tls.clientAuth));
    useContext = (pair) => tlsServer.setSecureContext(contextOptions(tls, pair));
    server = tlsServer;
    return server;
  }

  return {
    create,
    serve: (pair) => useContext?.(pair),
    endIdle() {
      server?.closeIdleConnections();
      for (const session of sessions) session.close();
      for (const socket of silent) socket.destroy();
    },
    endAll() {
      server?.closeAllConnections();
      for (const session of sessions) session.destroy();
      for (const socket of silent) socket.destroy();
    },
  };
}

function contextOptions(tls: TlsOptions, pair: CertificatePair): object {
  return {
    cert: pair.cert,
    key: pair.key,
    minVersion: tls.minVersion,
    ...(tls.ciphers !== undefined && { ciphers: tls.ciphers }),
    ...(pair.clientCas.length > 0 && {
      ca: [...pair.clientCas],
      ...clientCertificateOptions(tls.clientAuth),
    }),
  };
}

type TakeConnection = (socket: Duplex) => void;

/** Speaks HTTP/2 on connections that are handed to it. */
function http2Connections(handler: RequestListener, sessions: Set<ServerHttp2Session>): TakeConnection {
  // Node gives requests and answers of HTTP/2 the shape of those of HTTP/1.1, in all that we use of it.
  const listener = handler as unknown as (request: Http2ServerRequest, response: Http2ServerResponse) => void;
  const server = createHttp2Server({ settings: HTTP2_SETTINGS }, (request, response) => {
    // A body that was cut off would look like one that has ended.
    request.once('aborted', () => request.destroy());
    listener(request, response);
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.setLocalWindowSize(SESSION_WINDOW);
    session.setTimeout(IDLE_MS, () => session.close());
  });
  // What goes wrong with a connection is its client's affair; without a listener it would end the process.
  server.on('sessionError', () => undefined);
  return (socket) => void server.emit('connection', socket);
}

/** Sends each connection where its handshake says, unless it lacks the certificate that it needs. */
function splitTls(
  server: ReturnType<typeof createTlsServer>,
  http2: TakeConnection | undefined,
  isAdmitted: (socket: TLSSocket) => boolean,
): void {
  const http1 = takeListeners(server, 'secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    if (!isAdmitted(socket)) socket.destroy();
    else if (http2 !== undefined && socket.alpnProtocol === 'h2') http2(socket);
    else http1(socket);
  });
}

/** Sends each connection where its first bytes say. */
function splitPlain(server: Server, http2: TakeConnection, silent: Set<Socket>): void {
  const http1 = takeListeners(server, 'connection');
  server.on('connection', (socket: Socket) => {
    const spoke = (): boolean => silent.delete(socket);
    silent.add(socket);
    socket.once('close', spoke);
    startsHttp2(socket, OPTIONS.headersTimeout, (starts) => {
      spoke();
      socket.off('close', spoke);
      if (starts) return http2(socket);
      http1(socket);
      // The parser takes what comes from the connection itself; what was looked at has to be pushed to it.
      socket.resume();
    });
  });
}

/** Takes away the listeners that the server has for an event, as one function. */
function takeListeners(server: Server, event: string): TakeConnection {
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket);
  };
}
