import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { CertificatePair } from './certificate-pair.ts';

/** A server that does not listen yet, and how to change the certificate that it serves. */
export interface Listener {
  create(handler: RequestListener): Server;
  /** For new connections; those that are open go on. */
  serve(pair: CertificatePair): void;
}

const OPTIONS = {
  // A push may take any time.
  requestTimeout: 0,
  // As long as distribution's clients keep a connection for reuse.
  keepAliveTimeout: 75_000,
  headersTimeout: 60_000,
  noDelay: true,
  // A client that lost its power says no goodbye. Its upload would stay in progress, and every collector wait for it.
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
};

export function createListener(
  tls: { readonly pair: CertificatePair; readonly minVersion: 'TLSv1.2' | 'TLSv1.3' } | undefined,
): Listener {
  if (tls === undefined) return { create: (handler) => createServer(OPTIONS, handler), serve: () => {} };
  const { minVersion } = tls;
  let server: ReturnType<typeof createTlsServer> | undefined;
  return {
    create(handler) {
      const { cert, key } = tls.pair;
      server = createTlsServer({ ...OPTIONS, cert, key, minVersion }, handler);
      return server;
    },
    serve: ({ cert, key }) => server?.setSecureContext({ cert, key, minVersion }),
  };
}
