import type { RegistryMirror, RegistryMirrorStatus } from '../api/registry-mirror.ts';
import { toConditions } from './conditions.ts';
import { nodeCounts } from './node-facts.ts';
import { registryFindings } from './registry-conditions.ts';
import type { RegistryFacts } from './registry-facts.ts';
import { certificateStatus, usersStatus } from './registry-status.ts';
import { registryUrl } from './registry-url.ts';

/** In steps of this size, in bytes, the cache of a mirror without a limit is told. */
const UNLIMITED_STEP = 2 ** 26;

/** As `registryStatus`. */
export function mirrorStatus(
  mirror: RegistryMirror,
  facts: RegistryFacts,
  now: number,
): RegistryMirrorStatus {
  const previous = mirror.status;
  const generation = mirror.metadata.generation ?? 0;
  return {
    observedGeneration: generation,
    conditions: toConditions(registryFindings(mirror, facts, now), previous?.conditions, {
      generation,
      now,
    }),
    url: registryUrl(mirror),
    ...certificateStatus(facts, previous),
    ...usersStatus(facts, previous),
    ...(facts.nodes !== undefined && { nodes: nodeCounts(facts.nodes) }),
    ...serverStatus(facts, previous),
  };
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
