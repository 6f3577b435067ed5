import { Gauge, Registry } from 'prom-client';
import { HEALTH_PATH, METRICS_PATH, READY_PATH, STATUS_PATH } from '../../contract/places.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { HealthReport } from '../health/health-monitor.ts';
import { json, text, type Page, type Pages } from './page-server.ts';

/** What there is to know of a server, be it one process or several. */
export interface ServerFacts {
  status(): Promise<StatusDocument>;
  /** Says what the last checks found, and asks nobody. */
  health(): Promise<HealthReport>;
  /** Takes the server out of service, or puts it back, by hand. */
  setInService(inService: boolean): Promise<void>;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
}

/**
 * What the operator, the kubelet and Prometheus ask on the status port. Ready is who should get clients: a store that
 * fails does so for all instances, and clients are better told with a 503 than met with a closed port.
 */
export function statusPages(deps: {
  readonly facts: ServerFacts;
  readonly metricsPage: () => Promise<Page>;
  /** True from SIGTERM on: no new clients, please. */
  readonly draining: () => boolean;
}): Pages {
  const { facts } = deps;
  return {
    [HEALTH_PATH]: () => text(200, 'ok'),
    [READY_PATH]: async () => {
      if (deps.draining()) return text(503, 'shutting down');
      const { concerns } = await facts.health();
      return concerns.includes('instance') ? text(503, 'out of service') : text(200, 'ok');
    },
    [STATUS_PATH]: async () => json(200, await facts.status()),
    [METRICS_PATH]: deps.metricsPage,
  };
}

/** docker distribution's pages about health, on the debug listener. */
export function debugPages(facts: ServerFacts): Pages {
  const setInService = async (inService: boolean): Promise<Page> => {
    await facts.setInService(inService);
    return json(200, (await facts.health()).failures);
  };
  return {
    '/debug/health': async () => {
      const { failures } = await facts.health();
      return json(Object.keys(failures).length === 0 ? 200 : 503, failures);
    },
    '/debug/health/down': { post: () => setInService(false) },
    '/debug/health/up': { post: () => setInService(true) },
  };
}

/** Metrics of the server, and facts of the status document as metrics, looked up when Prometheus asks. */
export function createMetricsPage(facts: ServerFacts): () => Promise<Page> {
  const registry = new Registry();
  const updates = statusMetrics.map(([name, help, read]) => {
    const gauge = new Gauge({ name, help, registers: [registry] });
    return (document: StatusDocument): void => {
      const value = read(document);
      if (value === undefined) gauge.remove();
      else gauge.set(value);
    };
  });
  return async () => {
    const document = await facts.status();
    for (const update of updates) update(document);
    const body = `${await facts.metrics()}\n${await registry.metrics()}`;
    return { status: 200, contentType: registry.contentType, body };
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
