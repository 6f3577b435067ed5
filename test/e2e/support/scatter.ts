import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * Passes each request on to a server that `choose` names, as a balancer without sticky sessions does. Ends with the test.
 * @returns `127.0.0.1:port`.
 */
export async function scatterRequests(t: TestContext, choose: () => string): Promise<string> {
  // Longer than a client waits between two requests, which else may meet the end of its connection.
  const proxy = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    const { method, url, headers } = request;
    const upstream = send(new URL(url ?? '/', choose()), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo; // of a TCP listener
  return `127.0.0.1:${port}`;
}
