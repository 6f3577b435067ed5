import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { NODE_STATES, printNodeReport, type NodeReport } from '../contract/node-report.ts';
import { HEALTH_PATH, METRICS_PATH, STATUS_PATH } from '../contract/places.ts';
import { sendMetrics, sendText } from '../process/plain-answers.ts';

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
      sendText(response, 405, 'only GET and HEAD are answered here\n');
    } else if (path === STATUS_PATH) {
      sendText(response, 200, printNodeReport(state().report), 'application/json');
    } else if (path === HEALTH_PATH) {
      const { problem } = state();
      sendText(response, problem === undefined ? 200 : 503, `${problem ?? 'ok'}\n`);
    } else if (path === METRICS_PATH) void sendMetrics(response, metrics);
    else sendText(response, 404, `not found: there are ${STATUS_PATH}, ${HEALTH_PATH} and ${METRICS_PATH}\n`);
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
    help: 'Registries that the plan has for this node, by state.',
    labelNames: ['state'],
    registers: [],
    collect() {
      const { entries } = state().report;
      for (const one of NODE_STATES) {
        this.set({ state: one }, entries.filter((entry) => entry.state === one).length);
      }
    },
  });
  const failedProbes = new Counter({
    name: 'stevedore_node_mirror_probe_failures_total',
    help: 'Times that a mirror did not answer this node.',
    registers: [],
    collect() {
      this.reset();
      this.inc(state().failedProbes);
    },
  });
  for (const metric of [registries, failedProbes]) register.registerMetric<string>(metric);
  return register;
}
