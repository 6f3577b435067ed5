import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createTestAuthority } from '../../support/test-authority.ts';

const GOOGLE = 'www.googleapis.com';

/** Takes programs to an emulator that want to speak to Google itself. */
export interface GoogleProxy extends AsyncDisposable {
  /** For HTTPS_PROXY. */
  readonly url: string;
  /** Of the authority to trust. */
  readonly certificate: string;
}

/** Docker distribution sends pieces of uploads to www.googleapis.com, whatever STORAGE_EMULATOR_HOST says. */
export async function startGoogleProxy(emulator: string): Promise<GoogleProxy> {
  const authority = await createTestAuthority();
  const { certificate, key } = await authority.issue([GOOGLE]);
  const sockets = new Set<Socket>();

  const google = createSecureServer({ cert: certificate, key }, (incoming, answer) => {
    pass(incoming, answer).catch((error: unknown) => answer.destroy(new Error(String(error))));
  });

  function pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method, headers, url = '' } = incoming;
    return new Promise((resolve, reject) => {
      const passed = forward(new URL(url, emulator), { method, headers }, (response) => {
        const { location, ...others } = response.headers;
        const own = location?.replace(/^https?:\/\/[^/]+/, `https://${GOOGLE}`);
        answer.writeHead(response.statusCode ?? 502, {
          ...others,
          ...(own !== undefined && { location: own }),
        });
        response.pipe(answer).on('close', resolve);
      });
      passed.on('error', reject);
      incoming.pipe(passed);
    });
  }

  const proxy = createServer((_, answer) => answer.writeHead(501).end());
  proxy.on('connect', ({ url }, socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    if (url !== `${GOOGLE}:443`) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    google.emit('connection', socket);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo; // of a TCP listener
  return {
    url: `http://127.0.0.1:${port}`,
    certificate: authority.certificate,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
