import { Gauge, type Registry } from 'prom-client';
import { HEALTH_PATH, METRICS_PATH, READY_PATH, STATUS_PATH } from '../../contract/places.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import { REGISTRY_ROOT } from '../storage/paths.ts';
import { json, text, type Page, type Pages } from './page-server.ts';

/** A store that takes longer than this to answer is no good to clients either. */
const STORE_ANSWERS_WITHIN_MS = 5000;

/** What the operator, the kubelet and Prometheus ask on the status port. */
export function statusPages(deps: {
  readonly status: () => Promise<StatusDocument>;
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly metricsPage: () => Promise<Page>;
  /** True from SIGTERM on: no new clients, please. */
  readonly draining: () => boolean;
}): Pages {
  return {
    [HEALTH_PATH]: () => text(200, 'ok'),
    [READY_PATH]: async () => {
      if (deps.draining()) return text(503, 'shutting down');
      const problem = await storeProblem(deps.driver, deps.clock);
      return problem === undefined ? text(200, 'ok') : text(503, `storage: ${problem}`);
    },
    [STATUS_PATH]: async () => json(200, await deps.status()),
    [METRICS_PATH]: deps.metricsPage,
  };
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

async function storeProblem(driver: StorageDriver, clock: Clock): Promise<string | undefined> {
  const late = new AbortController();
  try {
    return await Promise.race([
      driver.stat(REGISTRY_ROOT).then(() => undefined),
      clock.sleep(STORE_ANSWERS_WITHIN_MS, late.signal).then(() => 'no answer'),
    ]);
  } catch (error) {
    if (error instanceof PathNotFoundError) return undefined; // nothing was pushed yet
    return error instanceof Error ? error.message : String(error);
  } finally {
    late.abort();
  }
}
