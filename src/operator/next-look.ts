import { done, waiting, type Outcome } from '../kube/outcome.ts';
import { areNodesSettled } from './node-facts.ts';
import { userProblems } from './registry-conditions.ts';
import type { RegistryFacts } from './registry-facts.ts';

/** How soon the status port is asked again, in milliseconds: nothing announces what it says. */
const WHILE_CHANGING_MS = 2000;
const WHILE_QUIET_MS = 60_000;
/** Nothing announces what the agents of nodes do. */
const FOR_NODES_MS = 10_000;
/** A Secret without our label changes unseen. */
const FOR_SECRETS_MS = 30_000;

/**
 * When to look at a Registry again although nothing of it is seen to change. `degradesAt`: when its status changes by
 * time alone, if it does; in milliseconds since the epoch, as `now`.
 */
export function nextLook(facts: RegistryFacts, degradesAt: number | undefined, now: number): Outcome {
  const look = nextLookAtFacts(facts, now);
  if (degradesAt === undefined) return look;
  const afterMs = degradesAt - now;
  if (look.kind === 'stalled') return { ...look, afterMs };
  return look.kind === 'waiting' && look.afterMs <= afterMs ? look : waiting(afterMs, 'Degradation');
}

function nextLookAtFacts(facts: RegistryFacts, now: number): Outcome {
  if (facts.halt !== undefined) return facts.halt;
  const { certificate, users, access, servers, configHash } = facts;
  const looks: { readonly afterMs: number; readonly reason: string }[] = [];
  // A time that has passed without a renewal: at the end of the authority there is nothing to renew.
  if (certificate?.renewalTime !== undefined && certificate.renewalTime > now) {
    looks.push({ afterMs: certificate.renewalTime - now, reason: 'CertificateRenewal' });
  }
  if (certificate?.authorityChange !== undefined) {
    looks.push({ afterMs: certificate.authorityChange - now, reason: 'AuthorityRotation' });
  }
  if (certificate?.problem !== undefined)
    looks.push({ afterMs: FOR_SECRETS_MS, reason: 'CertificateProblem' });
  if ((facts.upstreamProblems ?? []).length > 0) {
    looks.push({ afterMs: FOR_SECRETS_MS, reason: 'UpstreamsIncomplete' });
  }
  if (facts.nodes !== undefined && !areNodesSettled(facts.nodes)) {
    looks.push({ afterMs: FOR_NODES_MS, reason: 'NodesPending' });
  }
  if ((facts.shares ?? []).length > 0) looks.push({ afterMs: FOR_SECRETS_MS, reason: 'SharesIncomplete' });
  if (userProblems(facts).length > 0) {
    looks.push({ afterMs: FOR_SECRETS_MS, reason: 'UsersIncomplete' });
  }
  if (servers.length > 0) {
    const settled =
      !facts.collecting &&
      servers.every(
        (server) =>
          server.storage?.problem === undefined &&
          server.readOnly.reason !== 'Draining' &&
          server.readOnly.reason !== 'Marking' &&
          server.configHash === configHash &&
          (certificate === undefined || server.certificate?.serial === certificate.serial) &&
          (users === undefined || server.users?.hash === users.hash) &&
          (access === undefined || server.access?.hash === access.hash),
      );
    looks.push({ afterMs: settled ? WHILE_QUIET_MS : WHILE_CHANGING_MS, reason: 'ServerStatus' });
  } else if (facts.pods.length > 0) {
    // A pod that becomes ready is seen; one whose port does not answer is not.
    looks.push({ afterMs: WHILE_QUIET_MS / 4, reason: 'ServerStatus' });
  }
  const [first] = looks.toSorted((a, b) => a.afterMs - b.afterMs);
  return first === undefined ? done : waiting(first.afterMs, first.reason);
}
