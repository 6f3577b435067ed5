import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readJsonLines } from '../../../src/kube/json-lines.ts';
import type { Faults, RequestInfo } from '../../../src/playground/api-server/faults.ts';
import { parsePath } from '../../../src/playground/api-server/http/request.ts';
import { startKubeProxy, type HeldRequest } from './kube-proxy.ts';

export interface ProxiedRequest extends RequestInfo {
  readonly query: URLSearchParams;
}

type Answer = NonNullable<ReturnType<NonNullable<Faults['answer']>>>;

/** What goes wrong, as in the playground's API server. Each is asked every time; what is absent never happens. */
export interface ProxyFaults {
  /** Answer this in place of asking the API server. */
  answer?(request: ProxiedRequest): Answer | undefined;
  /** Answer this when the API server has done what was asked. */
  answerAfter?(request: ProxiedRequest): Answer | undefined;
  /** Cut the connection when the API server has done what was asked. */
  loseAnswer?(request: ProxiedRequest): boolean;
  watchEvent?: Faults['watchEvent'];
  /** In place of the list that the API server gave. */
  staleList?(request: ProxiedRequest, list: Buffer): Buffer;
  /** Cut the connection in the middle of the list. */
  cutList?(request: ProxiedRequest): boolean;
  /** Have lists come in pages of so many. */
  readonly pageSize?: number;
}

/**
 * Stands before a real API server, with TLS, and does wrong. Leases are passed: that one is lost ends the process, which
 * is another matter. Time is real.
 */
export interface KubeFaultProxy {
  /** The writes that came, as `PATCH /apis/…`; of events and leases none. */
  readonly writes: readonly string[];
  /** How often something went wrong. */
  readonly hits: number;
  /** No more faults. Watches are cut; with `forget`, the next of each is told that its position is forgotten. */
  mend(options: { readonly forget: boolean }): void;
  close(): Promise<void>;
}

const VERBS: Readonly<Record<string, RequestInfo['verb']>> = {
  GET: 'get',
  POST: 'create',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Starts it on a free port, and writes to `kubeconfig` how to reach it as the user of `upstream`. */
export async function startKubeFaultProxy(options: {
  readonly upstream: string;
  readonly kubeconfig: string;
  readonly faults: ProxyFaults;
}): Promise<KubeFaultProxy> {
  let { faults } = options;
  const writes: string[] = [];
  const watches = new Set<ServerResponse>();
  let hits = 0;

  async function pass(request: HeldRequest, outgoing: ServerResponse): Promise<void> {
    const { method, url } = request;
    const asked = readRequest(method, url);
    if (asked === undefined || asked.resource === 'leases') {
      await pipeline(await forward(request, outgoing), outgoing);
      return;
    }
    if (method !== 'GET' && asked.resource !== 'events') writes.push(`${method} ${url.pathname}`);
    const refusal = faults.answer?.(asked);
    if (refusal !== undefined) {
      hits++;
      refuse(outgoing, refusal);
      return;
    }
    if (asked.verb === 'list' && faults.pageSize !== undefined) {
      url.searchParams.set('limit', String(faults.pageSize));
    }
    const answer = await forward(request, outgoing);
    if (asked.verb === 'watch' && answer.statusCode === 200) await relayWatch(asked, answer, outgoing);
    else await relay(asked, answer, outgoing);
  }

  /** Asks the API server, and tells the client the head of its answer. */
  async function forward(request: HeldRequest, outgoing: ServerResponse): Promise<IncomingMessage> {
    const answer = await request.forward();
    outgoing.statusCode = answer.statusCode ?? 502;
    outgoing.setHeader('content-type', answer.headers['content-type'] ?? 'application/json');
    return answer;
  }

  async function relay(asked: ProxiedRequest, answer: IncomingMessage, outgoing: ServerResponse) {
    const given = await buffer(answer);
    const isList = asked.verb === 'list' && answer.statusCode === 200;
    const whole = isList ? (faults.staleList?.(asked, given) ?? given) : given;
    const instead = faults.answerAfter?.(asked);
    const isLost = instead === undefined && faults.loseAnswer?.(asked) === true;
    const isCut = isList && faults.cutList?.(asked) === true;
    if (instead !== undefined || isLost || isCut || whole !== given) hits++;
    if (instead !== undefined) refuse(outgoing, instead);
    else if (isLost) outgoing.destroy();
    else if (isCut) {
      outgoing.setHeader('content-length', whole.length);
      outgoing.write(whole.subarray(0, whole.length / 2), () => outgoing.destroy());
    } else outgoing.end(whole);
  }

  async function relayWatch(asked: ProxiedRequest, answer: IncomingMessage, outgoing: ServerResponse) {
    watches.add(outgoing);
    outgoing.once('close', () => watches.delete(outgoing));
    outgoing.flushHeaders();
    let isStalled = false;
    let queue = Promise.resolve();
    for await (const line of readJsonLines(answer)) {
      // As the API server sends it.
      const event = line as Parameters<NonNullable<Faults['watchEvent']>>[1];
      const fault = event.type === 'BOOKMARK' ? 'pass' : (faults.watchEvent?.(asked, event) ?? 'pass');
      isStalled ||= fault === 'stall';
      if (fault !== 'pass') hits++;
      if (isStalled || fault === 'drop') continue;
      const text = `${JSON.stringify(event)}\n`;
      const due = performance.now() + (typeof fault === 'object' ? fault.delayMs : 0);
      queue = queue
        .then(() => delay(Math.max(0, due - performance.now())))
        .then(() => void outgoing.write(fault === 'repeat' ? text + text : text));
    }
    await queue;
    // A stalled one says nothing of its end either.
    if (!isStalled) outgoing.end();
  }

  const close = await startKubeProxy({ upstream: options.upstream, kubeconfig: options.kubeconfig, pass });
  return {
    writes,
    get hits() {
      return hits;
    },
    mend({ forget }) {
      const first = firstOfEach();
      faults = forget
        ? { answer: (asked) => (asked.verb === 'watch' && first(asked) ? { code: 410 } : undefined) }
        : {};
      for (const watch of watches) watch.destroy();
    },
    close,
  };
}

/** True for the first request for each thing that can be asked of each kind. */
export function firstOfEach(): (asked: ProxiedRequest) => boolean {
  const seen = new Set<string>();
  return ({ verb, group, resource, subresource = '' }) =>
    seen.size < seen.add([verb, group, resource, subresource].join(' ')).size;
}

function readRequest(method: string, url: URL): ProxiedRequest | undefined {
  const path = parsePath(url.pathname);
  const verb = VERBS[method];
  if (path === undefined || verb === undefined) return undefined;
  const query = url.searchParams;
  const collection = query.get('watch') === 'true' ? 'watch' : 'list';
  const isCollection = verb === 'get' && path.name === undefined;
  return { ...path, user: '', query, verb: isCollection ? collection : verb };
}

function refuse(outgoing: ServerResponse, { code, retryAfterSeconds }: Answer): void {
  outgoing.writeHead(code, {
    'content-type': 'application/json',
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
  });
  const reasons = {
    409: 'Conflict',
    410: 'Expired',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
  };
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    reason: reasons[code],
    message: 'as the test wants it',
  };
  outgoing.end(JSON.stringify(status));
}
