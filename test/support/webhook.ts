import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

interface HookRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Takes the events of a registry. */
export interface Webhook {
  readonly url: string;
  readonly requests: HookRequest[];
  /** What it answers. */
  answer: (request: HookRequest) => number;
  /** The events so far, one a request. */
  events(): readonly HookEvent[];
}

/** The parts that tests look at. */
interface HookEvent {
  readonly id: string;
  readonly action: string;
  readonly target: Readonly<Record<string, unknown>> & { readonly tag?: string };
  readonly request: Readonly<Record<string, unknown>>;
  readonly actor: Readonly<Record<string, unknown>>;
}

/** On a free port of the loopback address, or on the one that it had before. */
export async function startWebhook(t: TestContext, port = 0): Promise<Webhook & { stop(): Promise<void> }> {
  const requests: HookRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', headers } = request;
      const taken = { method, headers, body: Buffer.concat(chunks).toString() };
      response.statusCode = hook.answer(taken);
      if (response.statusCode < 400) requests.push(taken);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  t.after(stop);
  const hook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`, // it listens on TCP
    requests,
    answer: (_request: HookRequest): number => 200,
    events: () =>
      requests.map(({ body }) => {
        const { events } = JSON.parse(body) as { readonly events: readonly [HookEvent] }; // one a request
        return events[0];
      }),
    stop,
  };
  return hook;
}
