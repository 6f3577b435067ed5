import { Gauge, type Registry } from 'prom-client';
import { HEALTH_PATH, METRICS_PATH, READY_PATH, STATUS_PATH } from '../../contract/places.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { json, text, type Page, type Pages } from './page-server.ts';

/**
 * What the operator, the kubelet and Prometheus ask on the status port. Ready is who should get clients: a store that
 * fails does so for all instances, and clients are better told with a 503 than met with a closed port.
 */
export function statusPages(deps: {
  readonly status: () => Promise<StatusDocument>;
  readonly health: HealthMonitor;
  readonly metricsPage: () => Promise<Page>;
  /** True from SIGTERM on: no new clients, please. */
  readonly draining: () => boolean;
}): Pages {
  return {
    [HEALTH_PATH]: () => text(200, 'ok'),
    [READY_PATH]: () => {
      if (deps.draining()) return text(503, 'shutting down');
      return deps.health.concerns().has('instance') ? text(503, 'out of service') : text(200, 'ok');
    },
    [STATUS_PATH]: async () => json(200, await deps.status()),
    [METRICS_PATH]: deps.metricsPage,
  };
}

/** docker distribution's pages about health, on the debug listener. */
export function debugPages(health: HealthMonitor): Pages {
  return {
    '/debug/health': () => json(health.isWell ? 200 : 503, health.failures()),
    '/debug/health/down': { post: () => setInService(health, false) },
    '/debug/health/up': { post: () => setInService(health, true) },
  };
}

function setInService(health: HealthMonitor, inService: boolean): Page {
  health.setInService(inService);
  return json(200, health.failures());
}

/** Metrics of `registry`, and facts of the status document as metrics, looked up when Prometheus asks. */
export function createMetricsPage(
  registry: Registry,
  status: () => Promise<StatusDocument>,
): () => Promise<Page> {
  const updates = statusMetrics.map(([name, help, read]) => {
    const gauge = new Gauge({ name, help, registers: [registry] });
    return (document: StatusDocument): void => {
      const value = read(document);
      if (value === undefined) gauge.remove();
      else gauge.set(value);
    };
  });
  return async () => {
    const document = await status();
    for (const update of updates) update(document);
    return { status: 200, contentType: registry.contentType, body: await registry.metrics() };
  };
}

const statusMetrics: readonly (readonly [
  name: string,
  help: string,
  read: (document: StatusDocument) => number | undefined,
])[] = [
  ['stevedore_read_only', '1 while writes are held or refused.', ({ readOnly }) => Number(readOnly.active)],
  ['stevedore_open_uploads', 'Upload sessions in progress.', ({ openUploads }) => openUploads],
  ['stevedore_users', 'Entries of the htpasswd file that are in force.', ({ users }) => users?.count],
  [
    'stevedore_user_errors',
    'Entries of the htpasswd file that were left out.',
    ({ users }) => users?.errors.length,
  ],
  [
    'stevedore_certificate_expiry_timestamp_seconds',
    'When the certificate that is served expires.',
    ({ certificate }) => certificate && Date.parse(certificate.notAfter) / 1000,
  ],
];
