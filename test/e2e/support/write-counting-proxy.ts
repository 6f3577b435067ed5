import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { startKubeProxy, type HeldRequest } from './kube-proxy.ts';

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
  const writes: string[] = [];
  let armed: (Trap & { readonly at: number; readonly sprung: (write: string) => void }) | undefined;

  /** The trap, when this write is the one. */
  function count(request: HeldRequest): typeof armed {
    if (!isCountedWrite(request)) return undefined;
    writes.push(`${request.method} ${request.url.pathname}`);
    return armed?.at === writes.length ? armed : undefined;
  }

  async function spring(trap: NonNullable<typeof armed>): Promise<void> {
    const exited = once(trap.process, 'exit');
    trap.process.kill('SIGKILL');
    await exited;
    armed = undefined;
    trap.sprung(writes.at(-1) ?? '');
  }

  async function pass(request: HeldRequest, response: ServerResponse): Promise<void> {
    const trap = count(request);
    if (trap?.when === 'before') {
      await spring(trap);
      return;
    }
    const answer = await request.forward();
    if (trap !== undefined) {
      await buffer(answer);
      await spring(trap);
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    await pipeline(answer, response);
  }

  const close = await startKubeProxy({ ...options, pass });
  return {
    writes,
    async trap(trap) {
      const { promise, resolve } = Promise.withResolvers<string>();
      armed = { ...trap, at: writes.length + trap.nth, sprung: resolve };
      return promise;
    },
    close,
  };
}

function isCountedWrite({ method, url }: HeldRequest): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return false;
  return !/\/(leases|events)(\/|$)/.test(url.pathname);
}
