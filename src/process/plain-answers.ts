import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';

/** Answers of a port for probes and metrics, which needs no more than `node:http`. */

export function sendText(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** What the registry collects, in the text format of Prometheus; 500 with the reason when it can't. */
export async function sendMetrics(response: ServerResponse, metrics: Registry): Promise<void> {
  try {
    sendText(response, 200, await metrics.metrics(), metrics.contentType);
  } catch (error) {
    sendText(response, 500, `${error instanceof Error ? error.message : 'metrics failed'}\n`);
  }
}
