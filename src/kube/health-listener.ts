import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { sendMetrics, sendText } from '../process/plain-answers.ts';

/** One thing that must be so. */
export interface HealthCheck {
  readonly name: string;
  /** Why it is not so, or undefined when all is well. */
  readonly problem: () => string | undefined;
}

/**
 * Serves `/healthz`, `/readyz` and `/metrics` over plain HTTP. Health says that the process answers and no more: a restart
 * mends no API server that is away, and whoever waits in a back-off when it comes back is late. Readiness names every check.
 * Resolves when the port is open; rejects when it can't be. Close the server to end it.
 */
export async function startHealthListener(options: {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly ready: readonly HealthCheck[];
  readonly metrics: Registry;
}): Promise<Server> {
  const { host, port, ready, metrics } = options;
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendText(response, 405, 'only GET and HEAD are answered here\n');
    } else if (path === '/healthz') sendText(response, 200, 'ok\n');
    else if (path === '/readyz') sendChecks(response, ready);
    else if (path === '/metrics') void sendMetrics(response, metrics);
    else sendText(response, 404, 'not found: there are /healthz, /readyz and /metrics\n');
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, () => resolve());
  await promise;
  return server;
}

/** The check that a set of caches has been filled. */
export function cachesSynced(
  caches: readonly { readonly type: { readonly kind: string }; readonly isSynced: boolean }[],
): HealthCheck {
  return {
    name: 'caches',
    problem: () => {
      const missing = caches.filter((cache) => !cache.isSynced).map((cache) => cache.type.kind);
      return missing.length === 0 ? undefined : `not listed yet: ${missing.join(', ')}`;
    },
  };
}

function sendChecks(response: ServerResponse, checks: readonly HealthCheck[]): void {
  const results = checks.map(({ name, problem }) => ({ name, found: problem() }));
  const failed = results.some(({ found }) => found !== undefined);
  const lines = results.map(({ name, found }) =>
    found === undefined ? `${name}: ok\n` : `${name}: ${found}\n`,
  );
  sendText(response, failed ? 503 : 200, lines.join(''));
}
