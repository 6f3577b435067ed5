import { timestamp, type Finding } from './conditions.ts';
import { degradedVerdict } from './degraded.ts';
import { nodesVerdict } from './node-facts.ts';
import { quantityValue } from './quantity.ts';
import { isReason, reasons, type ConditionType, type Reason } from './reasons.ts';
import type { UserProblem } from './password.ts';
import type { RegistryFacts } from './registry-facts.ts';
import { registryUrl } from './registry-url.ts';
import { rolloutOf } from './rollout.ts';
import { replicasOf, type Served } from './served.ts';
import { isBucket } from './storage-reach.ts';

type Verdict = Omit<Finding, 'type'>;

/** The conditions that follow from the facts. `now`: milliseconds since the epoch. */
export function registryFindings(registry: Served, facts: RegistryFacts, now: number): readonly Finding[] {
  const particular = [
    found('CertificateReady', certificateVerdict(registry, facts, now)),
    found('UsersReady', usersVerdict(registry, facts)),
    found('SharesReady', sharesVerdict(facts)),
    found('StorageReady', storageVerdict(registry, facts)),
    found('UpstreamsReachable', registry.kind === 'RegistryMirror' ? upstreamsVerdict(facts) : undefined),
    found('NodesReady', facts.nodes && nodesVerdict(facts.nodes)),
    found('ReadOnly', registry.kind === 'Registry' ? readOnlyVerdict(facts) : undefined),
  ].flat();
  const ready = readyVerdict(registry, facts, now);
  return [
    ...found('Ready', ready),
    ...found('Reconciling', reconcilingVerdict(facts, ready, particular)),
    ...found('Stalled', stalledVerdict(facts)),
    ...found('Degraded', degradedVerdict(ready, registry.status, now)),
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

function readyVerdict(registry: Served, facts: RegistryFacts, now: number): Verdict {
  const halt = facts.halt?.reason === 'UpgradeQueued' ? undefined : haltVerdict(facts, 'False');
  if (halt !== undefined) return halt;
  if (hasExpired(facts, now)) return verdict('False', 'Expired', expiryMessage(facts));
  if (replicasOf(registry) === 0) return verdict('False', 'ScaledToZero');
  const lockedOut = lockedOutVerdict(facts);
  if (lockedOut !== undefined) return lockedOut;
  const rollout = facts.deployment === undefined ? undefined : rolloutOf(facts.deployment, facts.pods);
  if (rollout?.available === true) return verdict('True', 'Available', `Serves at ${registryUrl(registry)}`);
  if (rollout?.problem !== undefined) {
    // Until a volume is bound no pod finds a node, and that is the usual way of things.
    const usual = facts.claim !== undefined && facts.claim.status?.phase !== 'Bound';
    return verdict('False', usual ? 'Progressing' : 'PodFailing', rollout.problem);
  }
  return verdict('False', 'Progressing');
}

/** A registry that nobody can log in to serves nobody, however well its pods are. */
function lockedOutVerdict(facts: RegistryFacts): Verdict | undefined {
  const problems = userProblems(facts);
  const { servers, users } = facts;
  const isEmpty = servers.length > 0 && servers.every((server) => server.users?.count === 0);
  if (users === undefined || problems.length === 0 || !isEmpty) return undefined;
  return verdict('False', 'NobodyCanLogIn', `Not one user can log in. ${messageOf(problems)}`);
}

/** The verdict of a step that could not go on. */
function haltVerdict({ halt }: RegistryFacts, status: Finding['status']): Verdict | undefined {
  if (halt === undefined) return undefined;
  const reason = isReason(halt.reason) ? halt.reason : 'Progressing';
  return verdict(status, reason, halt.message);
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

function certificateVerdict(registry: Served, facts: RegistryFacts, now: number): Verdict | undefined {
  if (registry.spec.tls.mode === 'Disabled') return undefined;
  const { certificate, servers } = facts;
  if (certificate === undefined) {
    return facts.halt !== undefined &&
      facts.claimRefusal === undefined &&
      CERTIFICATE_HALTS.has(facts.halt.reason)
      ? haltVerdict(facts, 'False')
      : verdict('Unknown', 'Issuing');
  }
  if (hasExpired(facts, now)) return verdict('False', 'Expired', expiryMessage(facts));
  if (certificate.problem !== undefined) {
    return verdict('False', certificate.problem.reason, certificate.problem.message);
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

function usersVerdict(registry: Served, facts: RegistryFacts): Verdict | undefined {
  if (registry.spec.auth === undefined && registry.spec.tls.clientCAs === undefined) return undefined;
  const { users, access, servers } = facts;
  const { htpasswd, token } = registry.spec.auth ?? {};
  if (htpasswd !== undefined && users === undefined) return verdict('Unknown', 'UsersPending');
  const problems = userProblems(facts);
  const [first] = problems;
  if (first !== undefined) {
    return verdict('False', first.reason, messageOf(problems));
  }
  const [server] = servers;
  if (server === undefined) return verdict('Unknown', 'StatusUnknown');
  const unread =
    servers.some((other) => users !== undefined && other.users?.hash !== users.hash) ||
    servers.some((other) => access !== undefined && other.access?.hash !== access.hash);
  const refusedRules = servers.find((other) => other.access?.error !== undefined)?.access?.error;
  if (unread && refusedRules !== undefined) return verdict('False', 'RulesRefused', refusedRules);
  if (unread) return verdict('False', 'Propagating', 'A server has not read the new users or rules yet.');
  const [refused] = server.users?.errors ?? [];
  if (refused !== undefined) {
    return verdict('False', 'EntriesRefused', `Line ${refused.line} of htpasswd: ${refused.reason}`);
  }
  if (token !== undefined) return verdict('True', 'InForce', `Takes tokens of ${token.issuer}.`);
  if (htpasswd === undefined) return verdict('True', 'InForce', 'Takes client certificates.');
  return verdict('True', 'InForce', `Users that can log in: ${server.users?.count ?? 0}.`);
}

/** One on a line: some end with a command, which the next would seem to go on with. */
function messageOf(problems: readonly UserProblem[]): string {
  return problems.map(({ name, message }) => `${name}: ${message}`).join('\n');
}

/** All that keeps somebody from what the spec gives them. */
export function userProblems({ users, access, keysProblem }: RegistryFacts): readonly UserProblem[] {
  return [
    ...(users?.problems ?? []),
    ...(access?.problems ?? []),
    ...(keysProblem === undefined ? [] : [keysProblem]),
  ];
}

function sharesVerdict({ shares }: RegistryFacts): Verdict | undefined {
  if (shares === undefined) return undefined;
  const [first] = shares;
  if (first === undefined) return verdict('True', 'Shared');
  return verdict('False', first.reason, shares.map(({ message }) => message).join(' '));
}

function storageVerdict(registry: Served, facts: RegistryFacts): Verdict {
  const { claim, claimRefusal } = facts;
  if (claimRefusal !== undefined) return verdict('False', 'NotPermitted', claimRefusal);
  if (facts.halt !== undefined && STORAGE_HALTS.has(facts.halt.reason)) {
    return haltVerdict(facts, 'False') ?? verdict('Unknown', 'StoragePending');
  }
  if (registry.spec.storage.ephemeral !== undefined) return verdict('True', 'Ephemeral');
  if (isBucket(registry)) return bucketVerdict(facts);
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

/** Nobody but the servers asks a bucket. */
function bucketVerdict({ servers }: RegistryFacts): Verdict {
  const states = servers.flatMap(({ storage }) => storage ?? []);
  if (states.length === 0)
    return verdict('Unknown', servers.length === 0 ? 'StatusUnknown' : 'StorageUnchecked');
  const problem = states.find((state) => state.problem !== undefined)?.problem;
  return problem === undefined
    ? verdict('True', 'Reachable')
    : verdict('False', 'StorageFailing', `The storage does not answer as it should: ${problem}`);
}

const CERTIFICATE_HALTS: ReadonlySet<string> = new Set<Reason>([
  'AuthorityUnusable',
  'SANNotPermitted',
  'CertificateUnusable',
  'SecretNotFound',
  'NotPermitted',
  'KindNotInstalled',
]);

const STORAGE_HALTS: ReadonlySet<string> = new Set<Reason>([
  'ClaimNotFound',
  'ClaimMismatch',
  'ClaimLost',
  'ReplicasNotSupportedByStorage',
]);

/** What is cached is served anyway, so that this makes a mirror no less ready. */
function upstreamsVerdict({ upstreamProblems = [], servers }: RegistryFacts): Verdict {
  const [problem] = upstreamProblems;
  if (problem !== undefined) {
    return verdict('False', problem.reason, upstreamProblems.map(({ message }) => message).join('\n'));
  }
  const upstreams = servers[0]?.mirror?.upstreams;
  if (upstreams === undefined) return verdict('Unknown', 'StatusUnknown');
  const silent = upstreams.filter(({ reachable }) => reachable === false);
  if (silent.length > 0) {
    const told = silent.map(({ host, lastError }) => `${host}: ${lastError ?? 'does not answer'}`);
    return verdict('False', 'UpstreamUnreachable', told.join('\n'));
  }
  return upstreams.some(({ reachable }) => reachable)
    ? verdict('True', 'UpstreamsAnswer')
    : verdict('Unknown', 'NotAskedYet');
}

function readOnlyVerdict({ servers }: RegistryFacts): Verdict {
  if (servers.length === 0) return verdict('Unknown', 'StatusUnknown');
  const holding = servers.find(({ readOnly }) => readOnly.active);
  return holding === undefined
    ? verdict('False', 'Writable')
    : verdict('True', holding.readOnly.reason ?? 'Configured');
}
