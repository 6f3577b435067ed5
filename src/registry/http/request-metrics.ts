import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Route } from './route.ts';

/** Counts requests under the names that docker distribution uses, so that its dashboards fit. */
export interface RequestMetrics {
  begin(kind: Route['kind']): void;
  /** @param seconds from the first header to the last byte. */
  end(kind: Route['kind'], method: string, status: number, seconds: number): void;
}

/** docker distribution's names of its routes. */
const handlers: Readonly<Record<Route['kind'], string>> = {
  base: 'base',
  catalog: 'catalog',
  tags: 'tags',
  manifest: 'manifest',
  blob: 'blob',
  referrers: 'referrers',
  uploads: 'blob_upload',
  upload: 'blob_upload_chunk',
};

export function createRequestMetrics(registry: Registry): RequestMetrics {
  const registers = [registry];
  const total = new Counter({
    name: 'registry_http_requests_total',
    help: 'Requests by handler, method and status.',
    labelNames: ['handler', 'method', 'code'],
    registers,
  });
  const inFlight = new Gauge({
    name: 'registry_http_in_flight_requests',
    help: 'Requests in progress by handler.',
    labelNames: ['handler'],
    registers,
  });
  const duration = new Histogram({
    name: 'registry_http_request_duration_seconds',
    help: 'Time from the first header to the last byte of the answer.',
    labelNames: ['handler', 'method'],
    registers,
  });
  return {
    begin: (kind) => inFlight.inc({ handler: handlers[kind] }),
    end(kind, method, status, seconds) {
      const handler = handlers[kind];
      const label = method.toLowerCase();
      inFlight.dec({ handler });
      total.inc({ handler, method: label, code: status });
      duration.observe({ handler, method: label }, seconds);
    },
  };
}
