import type { Registry, RegistryStatus } from '../api/registry.ts';
import { selectorText, serverSelector } from './child-names.ts';
import { toConditions, timestamp } from './conditions.ts';
import { nodeCounts } from './node-facts.ts';
import { registryFindings, userProblems } from './registry-conditions.ts';
import type { RegistryFacts } from './registry-facts.ts';
import { registryUrl } from './registry-url.ts';
import type { Served } from './served.ts';

/** As many as the schema has room for. */
const MOST_ERRORS = 256;

/**
 * The status that follows from the facts and, where the server can't be asked, from what it said last. `now`:
 * milliseconds since the epoch; it is in the status only as the time when a condition changed.
 */
export function registryStatus(registry: Registry, facts: RegistryFacts, now: number): RegistryStatus {
  return {
    ...servedStatus(registry, facts, now),
    ...(facts.deployment !== undefined && {
      replicas: facts.deployment.status?.replicas ?? 0,
      selector: selectorText(serverSelector(registry)),
      readyReplicas: facts.deployment.status?.readyReplicas ?? 0,
    }),
    ...readOnlyStatus(facts),
  };
}

/** What of it every kind with servers has. */
export function servedStatus(registry: Served, facts: RegistryFacts, now: number) {
  const previous = registry.status;
  const generation = registry.metadata.generation ?? 0;
  return {
    observedGeneration: generation,
    conditions: toConditions(registryFindings(registry, facts, now), previous?.conditions, {
      generation,
      now,
    }),
    url: registryUrl(registry),
    ...certificateStatus(facts, previous),
    ...usersStatus(facts, previous),
    ...(facts.nodes !== undefined && { nodes: nodeCounts(facts.nodes) }),
  };
}

function certificateStatus(
  { certificate, servers }: RegistryFacts,
  previous: Pick<RegistryStatus, 'certificate'> | undefined,
): Pick<RegistryStatus, 'certificate'> {
  if (certificate === undefined) return {};
  const { serial, notAfter, renewalTime } = certificate;
  const before = previous?.certificate;
  const serving =
    servers.length === 0
      ? before?.serial === serial && before.serving
      : servers.every((server) => server.certificate?.serial === serial);
  return {
    certificate: {
      serial,
      notAfter: timestamp(notAfter),
      ...(renewalTime !== undefined && { renewalTime: timestamp(renewalTime) }),
      serving,
    },
  };
}

function usersStatus(
  facts: RegistryFacts,
  previous: Pick<RegistryStatus, 'users'> | undefined,
): Pick<RegistryStatus, 'users'> {
  if (facts.users === undefined && facts.keysProblem === undefined) return {};
  const count = facts.servers[0]?.users?.count ?? previous?.users?.count ?? 0;
  const errors = userProblems(facts).slice(0, MOST_ERRORS);
  return { users: { count, ...(errors.length > 0 && { errors }) } };
}

function readOnlyStatus({ servers }: RegistryFacts): Pick<RegistryStatus, 'readOnly'> {
  const server = servers.find(({ readOnly }) => readOnly.active) ?? servers[0];
  if (server === undefined) return {};
  const { active, reason, since } = server.readOnly;
  return {
    readOnly: { active, ...(reason !== undefined && { reason }), ...(since !== undefined && { since }) },
  };
}
