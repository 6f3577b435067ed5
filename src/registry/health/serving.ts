import { RegistryError } from '../errors.ts';
import type { Route } from '../http/route.ts';
import type { Concern, HealthMonitor } from './health-monitor.ts';

/** Seconds after which a client may try again: about when a check has run anew. */
const RETRY_AFTER = '10';

/**
 * Lets a request through unless a failing check concerns it. docker distribution answers everything with 503 then; here a
 * client still learns that the registry is there and who it is to it (`/v2/`) while the storage is gone.
 * @throws RegistryError UNAVAILABLE
 */
export function assertServing(health: HealthMonitor, kind: Route['kind']): void {
  if (health.isWell) return;
  const concerns = health.concerns();
  const concern = (['instance', 'dependency', 'storage'] as const).find((one) => concerns.has(one));
  if (concern === undefined || (concern === 'storage' && kind === 'base')) return;
  throw new RegistryError(
    {
      code: 'UNAVAILABLE',
      message: messages[concern],
      detail: 'health check failed: please see /debug/health',
    },
    { headers: { 'Retry-After': RETRY_AFTER } },
  );
}

/** What a client may know; names and causes are for `/debug/health` and the log. */
const messages: Readonly<Record<Concern, string>> = {
  instance: 'this instance of the registry is out of service',
  dependency: 'something that the registry depends on does not answer',
  storage: 'the storage of the registry does not answer',
};
