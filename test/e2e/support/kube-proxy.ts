import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { loadKubeConfig } from '../../../src/kube/credentials.ts';
import { writeKubeconfigThrough } from './kubeconfig-through.ts';
import { loopbackCertificate } from './loopback-certificate.ts';

/** A request to a real API server, which a proxy has received whole. */
export interface HeldRequest {
  readonly method: string;
  /** At the API server; what is asked for may be changed. */
  readonly url: URL;
  /** Asks the API server, with authentication as it came. */
  forward(): Promise<IncomingMessage>;
}

/**
 * Stands before a real API server, with TLS, on a free port, and writes to `kubeconfig` how to reach it as the user of
 * `upstream`.
 * @param options.pass is given each request; when it throws, the client's connection is cut.
 * @returns what closes it.
 */
export async function startKubeProxy(options: {
  readonly upstream: string;
  readonly kubeconfig: string;
  readonly pass: (request: HeldRequest, outgoing: ServerResponse) => Promise<void>;
}): Promise<() => Promise<void>> {
  const cluster = loadKubeConfig(options.upstream).getCurrentCluster();
  if (cluster === null) throw new Error(`${options.upstream} has no current cluster`);
  const target = new URL(cluster.server);
  const agent = new Agent({ keepAlive: true, ca: Buffer.from(cluster.caData ?? '', 'base64') });
  const { authority, certificate, key } = await loopbackCertificate();

  async function hold(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '' } = incoming;
    // Whole, so that a write that was cut short is none.
    const body = method === 'GET' ? undefined : await buffer(incoming);
    const url = new URL(incoming.url ?? '/', target);
    const forward = async (): Promise<IncomingMessage> => {
      const headers = { ...incoming.headers, host: target.host };
      const forwarded = send(url, { method, headers, agent });
      outgoing.once('close', () => forwarded.destroy());
      forwarded.end(body);
      // The only value of this event is the answer.
      const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
      return answer;
    };
    await options.pass({ method, url, forward }, outgoing);
  }

  const server = createServer({ cert: certificate, key }, (incoming, outgoing) => {
    // Whichever side went away: the other one must learn it.
    hold(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  await writeKubeconfigThrough({
    from: options.upstream,
    to: options.kubeconfig,
    server: `https://127.0.0.1:${port}`,
    authority,
  });
  return async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    agent.destroy();
  };
}
