import { createServer, type Server, type ServerResponse } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { NODE_STATES, printNodeReport, type NodeReport } from '../contract/node-report.ts';
import { HEALTH_PATH, METRICS_PATH, STATUS_PATH } from '../contract/places.ts';

/** What the listener tells of. */
export interface NodeAgentState {
  readonly report: NodeReport;
  /** Why the process is to be started anew; undefined while all is well. */
  readonly problem: string | undefined;
  /** Times that a mirror has not answered, since the start. */
  readonly failedProbes: number;
}

/**
 * Serves the report, the health and the metrics of a node agent over plain HTTP. Resolves when the port is open; rejects
 * when it can't be. Close the server to end it.
 */
export async function startStatusListener(
  address: { readonly host: string; /** 0 takes a free one. */ readonly port: number },
  state: () => NodeAgentState,
): Promise<Server> {
  const metrics = createMetrics(state);
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, 'only GET and HEAD are answered here\n');
    } else if (path === STATUS_PATH) {
      send(response, 200, printNodeReport(state().report), 'application/json');
    } else if (path === HEALTH_PATH) {
      const { problem } = state();
      send(response, problem === undefined ? 200 : 503, `${problem ?? 'ok'}\n`);
    } else if (path === METRICS_PATH) void sendMetrics(response, metrics);
    else send(response, 404, `not found: there are ${STATUS_PATH}, ${HEALTH_PATH} and ${METRICS_PATH}\n`);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(address.port, address.host, () => resolve());
  await promise;
  return server;
}

function createMetrics(state: () => NodeAgentState): Registry {
  const register = new Registry();
  const registries = new Gauge({
    name: 'stevedore_node_registries',
    help: 'Registries that the plan has for this node, by runtime and state.',
    labelNames: ['state'],
    registers: [register],
    collect() {
      const { entries } = state().report;
      for (const one of NODE_STATES) {
        this.set({ state: one }, entries.filter((entry) => entry.state === one).length);
      }
    },
  });
  const failed = new Counter({
    name: 'stevedore_node_mirror_probe_failures_total',
    help: 'Times that a mirror did not answer this node.',
    registers: [register],
    collect() {
      this.reset();
      this.inc(state().failedProbes);
    },
  });
  void [registries, failed];
  return register;
}

async function sendMetrics(response: ServerResponse, metrics: Registry): Promise<void> {
  try {
    send(response, 200, await metrics.metrics(), metrics.contentType);
  } catch (error) {
    send(response, 500, `${error instanceof Error ? error.message : 'metrics failed'}\n`);
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
