import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { loadKubeConfig } from '../../../src/kube/credentials.ts';
import { writeKubeconfigThrough } from './kubeconfig-through.ts';
import { loopbackCertificate } from './loopback-certificate.ts';

/** Where a process dies: before the API server sees its n-th write, or when it has made it and before the answer. */
interface Trap {
  /** Counts from 1, from the time the trap is set. */
  readonly nth: number;
  readonly when: 'before' | 'after';
  readonly process: ChildProcess;
}

/**
 * Stands before a real API server, with TLS, and passes everything: authentication as it comes, watches as they stream.
 * It counts writes, and ends a process by SIGKILL at the n-th. Renewals of leases and events are passed and not
 * counted: when they come depends on the clock, and nothing is built on them.
 */
export interface WriteCountingProxy {
  /** The writes passed so far, as `PATCH /apis/…`. */
  readonly writes: readonly string[];
  /** Sets the only trap; resolves with the write at which the process died. */
  trap(trap: Trap): Promise<string>;
  close(): Promise<void>;
}

/** Starts it on a free port, and writes to `kubeconfig` how to reach it as the user of `upstream`. */
export async function startWriteCountingProxy(options: {
  readonly upstream: string;
  readonly kubeconfig: string;
}): Promise<WriteCountingProxy> {
  const cluster = loadKubeConfig(options.upstream).getCurrentCluster();
  if (cluster === null) throw new Error(`${options.upstream} has no current cluster`);
  const target = new URL(cluster.server);
  const agent = new Agent({ keepAlive: true, ca: Buffer.from(cluster.caData ?? '', 'base64') });
  const { authority, certificate, key } = await loopbackCertificate();

  const writes: string[] = [];
  let armed: (Trap & { readonly at: number; readonly sprung: (write: string) => void }) | undefined;

  /** The trap, when this write is the one. */
  function count(request: IncomingMessage): typeof armed {
    if (!isCountedWrite(request)) return undefined;
    writes.push(`${request.method} ${request.url?.split('?')[0]}`);
    return armed?.at === writes.length ? armed : undefined;
  }

  async function spring(trap: NonNullable<typeof armed>): Promise<void> {
    const exited = once(trap.process, 'exit');
    trap.process.kill('SIGKILL');
    await exited;
    armed = undefined;
    trap.sprung(writes.at(-1) ?? '');
  }

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Read whole before it is counted, so that a write that was cut short is none.
    const body = request.method === 'GET' ? undefined : await buffer(request);
    const trap = count(request);
    if (trap?.when === 'before') {
      await spring(trap);
      return;
    }
    const forwarded = send(new URL(request.url ?? '/', target), {
      method: request.method,
      headers: { ...request.headers, host: target.host },
      agent,
    });
    response.once('close', () => forwarded.destroy());
    forwarded.end(body);
    // The only value of this event is the answer.
    const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
    if (trap !== undefined) {
      await buffer(answer);
      await spring(trap);
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    await pipeline(answer, response);
  }

  const server = createServer({ cert: certificate, key }, (request, response) => {
    // Whichever side went away: the other one must learn it.
    pass(request, response).catch(() => request.socket.destroy());
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
  return {
    writes,
    async trap(trap) {
      const { promise, resolve } = Promise.withResolvers<string>();
      armed = { ...trap, at: writes.length + trap.nth, sprung: resolve };
      return promise;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      agent.destroy();
    },
  };
}

function isCountedWrite(request: IncomingMessage): boolean {
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return false;
  return !/\/(leases|events)(\/|\?|$)/.test(request.url ?? '');
}
