import type { Registry } from '../api/registry.ts';
import { timestamp, type Finding } from './conditions.ts';
import { quantityValue } from './quantity.ts';
import { isReason, reasons, type ConditionType, type Reason } from './reasons.ts';
import type { RegistryFacts } from './registry-facts.ts';
import { registryUrl } from './registry-url.ts';
import { rolloutOf } from './rollout.ts';

type Verdict = Omit<Finding, 'type'>;

/** The conditions that follow from the facts. `now`: milliseconds since the epoch. */
export function registryFindings(registry: Registry, facts: RegistryFacts, now: number): readonly Finding[] {
  const particular = [
    found('CertificateReady', certificateVerdict(registry, facts, now)),
    found('UsersReady', usersVerdict(registry, facts)),
    found('StorageReady', storageVerdict(facts)),
    found('ReadOnly', readOnlyVerdict(facts)),
  ].flat();
  const ready = readyVerdict(registry, facts, now);
  return [
    ...found('Ready', ready),
    ...found('Reconciling', reconcilingVerdict(facts, ready, particular)),
    ...found('Stalled', stalledVerdict(facts)),
    ...particular,
  ];
}

function found(type: ConditionType, verdict: Verdict | undefined): Finding[] {
  return verdict === undefined ? [] : [{ type, ...verdict }];
}

/** What its reason means, where there is nothing more to say. */
function verdict(
  status: Finding['status'],
  reason: Reason,
  message: string = reasons[reason].meaning,
): Verdict {
  return { status, reason, message };
}

function readyVerdict(registry: Registry, facts: RegistryFacts, now: number): Verdict {
  const halt = haltVerdict(facts, 'False');
  if (halt !== undefined) return halt;
  if (hasExpired(facts, now)) return verdict('False', 'Expired', expiryMessage(facts));
  const rollout = facts.deployment === undefined ? undefined : rolloutOf(facts.deployment, facts.pods);
  if (rollout?.available === true) return verdict('True', 'Available', `Serves at ${registryUrl(registry)}`);
  if (rollout?.problem !== undefined) {
    // Until a volume is bound no pod finds a node, and that is the usual way of things.
    const usual = facts.claim?.status?.phase !== 'Bound';
    return verdict('False', usual ? 'Progressing' : 'PodFailing', rollout.problem);
  }
  return verdict('False', 'Progressing');
}

/** The verdict of a step that could not go on. */
function haltVerdict({ halt }: RegistryFacts, status: Finding['status']): Verdict | undefined {
  if (halt === undefined) return undefined;
  const reason = isReason(halt.reason) ? halt.reason : 'Progressing';
  return halt.kind === 'stalled' ? verdict(status, reason, halt.message) : verdict(status, reason);
}

/** Something is on its way: a step that waits, the pods, or what the server must still notice. */
function reconcilingVerdict(
  facts: RegistryFacts,
  ready: Verdict,
  particular: readonly Finding[],
): Verdict | undefined {
  if (facts.halt?.kind === 'stalled') return undefined;
  if (facts.halt?.kind === 'waiting') return haltVerdict(facts, 'True');
  if (facts.deployment === undefined || !rolloutOf(facts.deployment, facts.pods).complete) {
    return ready.status === 'True' ? verdict('True', 'Progressing') : { ...ready, status: 'True' };
  }
  if (facts.servers.some(({ configHash }) => configHash !== facts.configHash)) {
    return verdict('True', 'ConfigRollout');
  }
  const onItsWay = particular.find(({ reason }) => reason === 'Propagating' || reason === 'Resizing');
  return onItsWay === undefined ? undefined : verdict('True', onItsWay.reason, onItsWay.message);
}

function stalledVerdict(facts: RegistryFacts): Verdict | undefined {
  return facts.halt?.kind === 'stalled' ? haltVerdict(facts, 'True') : undefined;
}

function certificateVerdict(registry: Registry, facts: RegistryFacts, now: number): Verdict | undefined {
  if (registry.spec.tls.mode === 'Disabled') return undefined;
  const { certificate, servers } = facts;
  if (certificate === undefined) {
    return facts.halt?.reason === 'AuthorityUnusable'
      ? haltVerdict(facts, 'False')
      : verdict('Unknown', 'Issuing');
  }
  if (hasExpired(facts, now)) return verdict('False', 'Expired', expiryMessage(facts));
  if (certificate.authorityProblem !== undefined) {
    return verdict('False', 'AuthorityExpiring', certificate.authorityProblem);
  }
  if (servers.length === 0) return verdict('Unknown', 'StatusUnknown');
  if (servers.some((server) => server.certificate?.serial !== certificate.serial)) {
    return verdict(
      'False',
      'Propagating',
      `A server does not serve the certificate ${certificate.serial} yet.`,
    );
  }
  return verdict('True', 'Serving', `Serves the certificate ${certificate.serial}.`);
}

function hasExpired({ certificate }: RegistryFacts, now: number): boolean {
  return certificate !== undefined && certificate.notAfter <= now;
}

function expiryMessage({ certificate }: RegistryFacts): string {
  return `The certificate ended at ${timestamp(certificate?.notAfter ?? 0)}.`;
}

function usersVerdict(registry: Registry, facts: RegistryFacts): Verdict | undefined {
  if (registry.spec.auth === undefined) return undefined;
  const { users, servers } = facts;
  if (users === undefined) return verdict('Unknown', 'UsersPending');
  const [first] = users.problems;
  if (first !== undefined) {
    return verdict(
      'False',
      first.reason,
      users.problems.map(({ name, message }) => `${name}: ${message}`).join(' '),
    );
  }
  const [server] = servers;
  if (server === undefined) return verdict('Unknown', 'StatusUnknown');
  if (servers.some((other) => other.users?.hash !== users.hash)) {
    return verdict('False', 'Propagating', 'A server has not read the new users yet.');
  }
  const [refused] = server.users?.errors ?? [];
  if (refused !== undefined) {
    return verdict('False', 'EntriesRefused', `Line ${refused.line} of htpasswd: ${refused.reason}`);
  }
  return verdict('True', 'InForce', `Users that can log in: ${server.users?.count ?? 0}.`);
}

function storageVerdict(facts: RegistryFacts): Verdict {
  const { claim } = facts;
  if (facts.halt !== undefined && STORAGE_HALTS.has(facts.halt.reason)) {
    return haltVerdict(facts, 'False') ?? verdict('Unknown', 'StoragePending');
  }
  if (claim === undefined) return verdict('Unknown', 'StoragePending');
  const { name } = claim.metadata;
  switch (claim.status?.phase) {
    case 'Bound': {
      const asked = claim.spec?.resources?.requests?.['storage'];
      const there = claim.status.capacity?.['storage'];
      return (quantityValue(there) ?? Infinity) < (quantityValue(asked) ?? 0)
        ? verdict('True', 'Resizing', `The claim ${name} has ${there ?? ''} and is to have ${asked ?? ''}.`)
        : verdict('True', 'Bound', `The claim ${name} is bound to a volume of ${there ?? 'unknown size'}.`);
    }
    case 'Lost':
      return verdict('False', 'ClaimLost', `The claim ${name} has lost its volume.`);
    case undefined:
    default:
      return verdict('False', 'ClaimPending', `The claim ${name} waits for a volume.`);
  }
}

const STORAGE_HALTS: ReadonlySet<string> = new Set<Reason>(['ClaimNotFound', 'ClaimMismatch', 'ClaimLost']);

function readOnlyVerdict({ servers }: RegistryFacts): Verdict {
  if (servers.length === 0) return verdict('Unknown', 'StatusUnknown');
  const holding = servers.find(({ readOnly }) => readOnly.active);
  return holding === undefined
    ? verdict('False', 'Writable')
    : verdict('True', holding.readOnly.reason ?? 'Configured');
}
