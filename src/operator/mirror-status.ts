import type { RegistryMirror, RegistryMirrorStatus } from '../api/registry-mirror.ts';
import type { RegistryFacts } from './registry-facts.ts';
import { servedStatus } from './registry-status.ts';

/** In steps of this size, in bytes, the cache of a mirror without a limit is told. */
const UNLIMITED_STEP = 2 ** 26;

/** As `registryStatus`. */
export function mirrorStatus(
  mirror: RegistryMirror,
  facts: RegistryFacts,
  now: number,
): RegistryMirrorStatus {
  return { ...servedStatus(mirror, facts, now), ...serverStatus(facts, mirror.status) };
}

/** What the server says, or said last. */
function serverStatus(
  { servers }: RegistryFacts,
  previous: RegistryMirrorStatus | undefined,
): Pick<RegistryMirrorStatus, 'upstreams' | 'cache'> {
  const said = servers[0]?.mirror;
  if (said === undefined) {
    const { upstreams, cache } = previous ?? {};
    return { ...(upstreams !== undefined && { upstreams }), ...(cache !== undefined && { cache }) };
  }
  const { bytes, limit } = said.cache;
  const step = limit === undefined ? UNLIMITED_STEP : Math.max(1, Math.floor(limit / 100));
  return {
    upstreams: said.upstreams.map(({ host, reachable, lastError }) => ({
      host,
      ...(reachable !== undefined && { reachable }),
      ...(lastError !== undefined && { lastError }),
    })),
    // Each pull changes a few bytes of it, which would be a write each time.
    cache: { bytes: Math.round(bytes / step) * step, ...(limit !== undefined && { limit }) },
  };
}
