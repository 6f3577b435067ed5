/** How an Event tells of a condition that takes on a reason; `false`: it does not. */
type Telling = 'Normal' | 'Warning' | false;

interface ReasonEntry {
  /** The conditions that can carry it, besides `Reconciling` and `Stalled`, which repeat the reason of another. */
  readonly of: readonly ConditionType[];
  readonly event: Telling;
  readonly meaning: string;
  /** What a person does about it; absent when nothing. */
  readonly remedy?: string;
}

export const conditionTypes = {
  Ready:
    'A Registry or RegistryMirror serves as specified. A RegistryGC can run when it is due, and its last run succeeded.',
  Reconciling: 'There only while true: something is on its way to what the spec asks.',
  Stalled: 'There only while true: nothing goes on until somebody changes something.',
  Degraded:
    'What was ready has not been for five minutes. There from when it is first ready, but not while spec.replicas is 0.',
  CertificateReady:
    'The server certificate is valid and the server says that it serves it. Not there without TLS.',
  UsersReady: 'Every user can log in, and the server says that it has read them. Not there without users.',
  SharesReady:
    'Trust bundles and pull secrets are in the namespaces that the spec names. Not there where it names none.',
  StorageReady: 'The volume is there, or the servers say that the bucket answers.',
  UpstreamsReachable:
    'Of a RegistryMirror: every upstream answers, and what the mirror needs for it is there. What is cached is served anyway.',
  NodesReady:
    'What spec.nodes or spec.nodeTrust asks for is on every node, as their agents say. Not there where nothing is asked and nothing is left.',
  ReadOnly:
    'The server says that it refuses or holds writes. It is no fault: garbage collection does it for a while.',
} as const;

export type ConditionType = keyof typeof conditionTypes;

const STATUS_PORT_HINT =
  'Wait if the pod is starting. Otherwise look whether a NetworkPolicy keeps the operator from port 5001 of the pod.';
const RUN_AGAIN = 'Start another run: kubectl annotate reggc NAME stevedore.dev/run-at="$(date)" --overwrite';

/**
 * Every reason a condition can have. Programs may rely on them; docs/reference/conditions.md is made from this table.
 */
export const reasons = {
  Available: { of: ['Ready'], event: 'Normal', meaning: 'The registry serves.' },
  Progressing: { of: ['Ready'], event: false, meaning: 'The pod is being started or replaced.' },
  ConfigRollout: {
    of: ['Ready'],
    event: false,
    meaning: 'The configuration has changed and the pod that serves it is not there yet.',
  },
  PodFailing: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'The pod does not come up. The message has what the kubelet or the scheduler says.',
    remedy: 'Read the message; then kubectl describe pod and kubectl logs of the pod that it names.',
  },
  WithinLimits: {
    of: ['Degraded'],
    event: false,
    meaning: 'It is ready, or has not been for less than five minutes, as while pods are replaced.',
  },
  NotReady: {
    of: ['Degraded'],
    event: 'Warning',
    meaning: 'It was ready and has not been for five minutes. The message has what the condition Ready says.',
    remedy: 'Look up the reason of the condition Ready.',
  },
  NameConflict: {
    of: ['Ready', 'SharesReady'],
    event: 'Warning',
    meaning: 'An object that the operator has to make is there already and belongs to somebody else.',
    remedy: 'Delete or rename that object, or hand it over with the two labels that the message names.',
  },
  PredecessorTerminating: {
    of: ['Ready'],
    event: false,
    meaning: 'Objects of an earlier Registry of this name are still being deleted.',
    remedy: 'Wait. When it lasts, look for a finalizer or a pod that still uses them.',
  },
  UpgradeQueued: {
    of: ['Reconciling'],
    event: false,
    meaning:
      'The operator has a new version and the registry goes on with the old one until it is its turn: registries change one after the other, and none while one that changed does not serve.',
    remedy: 'Wait. When it lasts, look for a Registry that is not ready.',
  },
  ScaledToZero: {
    of: ['Ready'],
    event: 'Normal',
    meaning: 'spec.replicas is 0: nothing serves, and everything is kept.',
    remedy: 'Set spec.replicas to 1 or more.',
  },
  NobodyCanLogIn: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'There are users, and each of them has a problem. The server refuses everybody.',
    remedy: 'Read the message: it has what the condition UsersReady says.',
  },
  InvalidConfig: {
    of: ['Ready'],
    event: 'Warning',
    meaning:
      'spec.config has what may not be set there or what the server does not know, or the spec makes a configuration that the server would refuse. The pods stay as they are.',
    remedy: 'Correct what the message names.',
  },
  KindNotInstalled: {
    of: ['Ready', 'CertificateReady'],
    event: 'Warning',
    meaning:
      'The spec asks for a route of the Gateway API or a Certificate of cert-manager, and the cluster does not have its kind.',
    remedy: 'Install what the message names, or change the spec.',
  },
  ServiceAccountNotFound: {
    of: ['Ready', 'CertificateReady'],
    event: 'Warning',
    meaning: 'The ServiceAccount that spec.podTemplate names is not there.',
    remedy: 'Make it, with the label stevedore.dev/use=credentials; it is looked for each half minute.',
  },
  Refused: {
    of: ['Ready', 'SharesReady'],
    event: 'Warning',
    meaning: 'The API server refuses an object that the operator has to make.',
    remedy:
      'Read the message. Usual causes: a node port that is taken, a quota, a storage class that can not expand.',
  },

  Serving: {
    of: ['CertificateReady'],
    event: 'Normal',
    meaning: 'New connections get the certificate that was issued last.',
  },
  Expired: {
    of: ['CertificateReady', 'Ready'],
    event: 'Warning',
    meaning: 'The certificate that is served has ended.',
    remedy: 'Look at the log of the operator, which renews certificates long before.',
  },
  AuthorityUnusable: {
    of: ['CertificateReady', 'Ready'],
    event: 'Warning',
    meaning: 'The Secret of the certificate authority can not be used. It is never overwritten.',
    remedy:
      'Restore the Secret from a backup. Or delete it, and a new authority is made, which every client must be told to trust.',
  },
  AuthorityExpiring: {
    of: ['CertificateReady'],
    event: 'Warning',
    meaning:
      'The certificate authority of caSecretRef ends so soon that certificates from it are shorter than asked.',
    remedy:
      'Add the next authority to ca.crt of that Secret; when clients have the new bundle, change tls.crt and tls.key.',
  },
  SANNotPermitted: {
    of: ['CertificateReady', 'Ready'],
    event: 'Warning',
    meaning:
      'Names of the registry are outside the name constraints of its authority, or are not its own alone and the authority is shared. The certificate lacks them.',
    remedy:
      'Add them to tls.permittedNames, which rotates the authority, or use other names. The shared authority signs no wildcards, no addresses but those of the Service, and no name that a Registry of another namespace has: use those with tls.authority Own.',
  },
  SANMissing: {
    of: ['CertificateReady'],
    event: 'Warning',
    meaning: 'The certificate is not good for the name that clients are told.',
    remedy: 'Have a certificate with that name issued, or correct hostname.',
  },
  CertificateUnusable: {
    of: ['CertificateReady', 'Ready'],
    event: 'Warning',
    meaning:
      'The certificate in the Secret can not be used: chain, key or times are wrong. The one before is served, if there was one.',
    remedy: 'Correct the Secret as the message says.',
  },
  Propagating: {
    of: ['CertificateReady', 'UsersReady'],
    event: false,
    meaning: 'The Secret is written, and the kubelet carries it to the pod, which takes a minute or two.',
    remedy: 'Wait.',
  },
  StatusUnknown: {
    of: ['CertificateReady', 'UsersReady', 'StorageReady', 'UpstreamsReachable', 'ReadOnly'],
    event: false,
    meaning: 'The status port of the server can not be read.',
    remedy: STATUS_PORT_HINT,
  },
  Issuing: { of: ['CertificateReady', 'Ready'], event: false, meaning: 'The certificate is not issued yet.' },

  InForce: { of: ['UsersReady'], event: 'Normal', meaning: 'Every user of the spec can log in.' },
  SecretNotFound: {
    of: ['UsersReady', 'CertificateReady', 'UpstreamsReachable', 'Ready'],
    event: 'Warning',
    meaning:
      'A Secret that the spec names is not there. A user whose password is in it can not log in; without credentials of the server its pods stay as they are.',
    remedy: 'Make the Secret, with the label stevedore.dev/use=credentials.',
  },
  NotPermitted: {
    of: [
      'UsersReady',
      'CertificateReady',
      'StorageReady',
      'SharesReady',
      'UpstreamsReachable',
      'NodesReady',
      'Ready',
    ],
    event: 'Warning',
    meaning:
      'A Secret, ServiceAccount or claim that the spec names does not carry the label that permits its use, or the cluster does not permit what is asked.',
    remedy: 'kubectl label secret NAME stevedore.dev/use=credentials; otherwise as the message says.',
  },
  EntryInvalid: {
    of: ['UsersReady', 'UpstreamsReachable', 'Ready'],
    event: 'Warning',
    meaning:
      'A line of a htpasswd file is left out, or keys that sign tokens or certificates of authorities cannot be read.',
    remedy: 'Correct what the message names: lines are user:hash with bcrypt, as htpasswd -B writes them.',
  },
  DuplicateUser: {
    of: ['UsersReady'],
    event: 'Warning',
    meaning: 'Two sources name the same user. The first counts: users, then secretRefs, then the selector.',
    remedy: 'Remove the user from one of them.',
  },
  UnknownGroup: {
    of: ['UsersReady'],
    event: 'Warning',
    meaning: 'A rule of access is for a group that no user is in.',
    remedy: 'Correct the name, or give a user of htpasswd.users that group.',
  },
  RulesRefused: {
    of: ['UsersReady'],
    event: 'Warning',
    meaning: 'The server does not take the new rules of access; the old ones are in force.',
    remedy: 'Report it: the operator wrote that file.',
  },
  KeyNotFound: {
    of: ['UsersReady', 'UpstreamsReachable', 'Ready'],
    event: 'Warning',
    meaning: 'A Secret that the spec names lacks a key.',
    remedy: 'Add the key to the Secret that the message names.',
  },
  PasswordUnusable: {
    of: ['UsersReady'],
    event: 'Warning',
    meaning: 'A password is empty, longer than 72 bytes, or holds a null byte.',
    remedy: 'Write another password into the Secret.',
  },
  EntriesRefused: {
    of: ['UsersReady'],
    event: 'Warning',
    meaning: 'The server left out lines of the htpasswd file.',
    remedy: 'Report it: the operator wrote that file.',
  },
  UsersPending: { of: ['UsersReady'], event: false, meaning: 'The users are not written yet.' },

  Shared: {
    of: ['SharesReady'],
    event: 'Normal',
    meaning: 'What other namespaces are to have is there.',
  },
  UserNotFound: {
    of: ['SharesReady'],
    event: 'Warning',
    meaning: 'A pull secret is for a user that is not in auth.htpasswd.users, or that has no password.',
    remedy: 'Correct the name, or add the user.',
  },

  Bound: { of: ['StorageReady'], event: 'Normal', meaning: 'The volume is there.' },
  Resizing: {
    of: ['StorageReady'],
    event: false,
    meaning: 'The volume is there and is being made larger.',
    remedy: 'Wait. When it lasts, look at the events of the claim: not every storage class allows expansion.',
  },
  ClaimPending: {
    of: ['StorageReady'],
    event: false,
    meaning: 'The claim waits for a volume.',
    remedy:
      'When it lasts, kubectl describe pvc. Is there a default storage class, or is storageClassName right?',
  },
  ClaimLost: {
    of: ['StorageReady', 'Ready'],
    event: 'Warning',
    meaning: 'The claim has lost its volume.',
    remedy: 'Restore the volume, or make another Registry.',
  },
  ClaimNotFound: {
    of: ['StorageReady', 'Ready'],
    event: 'Warning',
    meaning: 'The claim that existingClaim names is not there.',
    remedy: 'Make it; it is looked for each half minute.',
  },
  ClaimMismatch: {
    of: ['StorageReady', 'Ready'],
    event: 'Warning',
    meaning: 'The claim of this name has another storage class or other access modes than the spec asks.',
    remedy: 'Make the Registry again with what the claim has, or delete the claim and what is on it.',
  },
  Reachable: {
    of: ['StorageReady'],
    event: 'Normal',
    meaning: 'The servers say that the bucket answers.',
  },
  StorageFailing: {
    of: ['StorageReady'],
    event: 'Warning',
    meaning: 'A server says that the bucket does not answer, or refuses it. Clients get 503.',
    remedy: 'Read the message. Usual causes: wrong credentials, a bucket that is not there, the network.',
  },
  StorageUnchecked: {
    of: ['StorageReady'],
    event: false,
    meaning: 'spec.health.enabled is false, so that no server looks after its storage.',
    remedy: 'Remove spec.health.enabled.',
  },
  Ephemeral: {
    of: ['StorageReady'],
    event: 'Normal',
    meaning: 'Images are on the disk of the node, and go with the pod.',
  },
  ReplicasNotSupportedByStorage: {
    of: ['StorageReady', 'Ready'],
    event: 'Warning',
    meaning: 'There are to be several replicas, and the existing claim can be mounted on one node at a time.',
    remedy:
      'Write replicas 1, or move to a bucket or ReadWriteMany: make a second Registry and copy the images to it.',
  },
  StoragePending: { of: ['StorageReady'], event: false, meaning: 'The claim is not made yet.' },

  UpstreamsAnswer: {
    of: ['UpstreamsReachable'],
    event: 'Normal',
    meaning: 'The server says that every upstream that it asked answers.',
  },
  NotAskedYet: {
    of: ['UpstreamsReachable'],
    event: false,
    meaning: 'Nobody has pulled anything that an upstream had to be asked for.',
  },
  UpstreamUnreachable: {
    of: ['UpstreamsReachable'],
    event: 'Warning',
    meaning:
      'The server says that an upstream does not answer. What is cached is served, and clients fetch the rest themselves.',
    remedy: 'Read the message. Usual causes: the network, a proxy that podTemplate.env lacks, a certificate.',
  },

  NodesConfigured: {
    of: ['NodesReady'],
    event: 'Normal',
    meaning: 'Every node that is selected has what it is to have.',
  },
  NodesPending: {
    of: ['NodesReady'],
    event: false,
    meaning:
      'Agents have not done or taken back everything, or do not tell: a Secret takes a minute or two to reach them, and a mirror is written on a node only when it answers there.',
    remedy:
      'Wait. When it lasts: does the chart install the node agent, and does its pod run on the nodes that the message names?',
  },
  NodeConflict: {
    of: ['NodesReady'],
    event: 'Warning',
    meaning: 'On some node files of somebody else are in the way. They are not touched.',
    remedy: 'Remove what the message names, or take the node out by spec.nodes.selector.',
  },
  NodeNotEffective: {
    of: ['NodesReady'],
    event: 'Warning',
    meaning:
      'Everything is written on some node, and its runtime is configured to read it elsewhere or nowhere.',
    remedy: 'Set what the message names in the configuration of the runtime, and restart it.',
  },
  NodeMirrorUnreachable: {
    of: ['NodesReady'],
    event: 'Warning',
    meaning: 'The mirror no longer answers some node, which pulls from the registries themselves.',
    remedy: 'Look at the condition Ready, and whether a NetworkPolicy keeps nodes from the mirror.',
  },
  NodeFailed: {
    of: ['NodesReady'],
    event: 'Warning',
    meaning: 'Some node does not let its agent write or remove files.',
    remedy: 'Read the message; then look at the log of the agent on that node.',
  },

  Writable: { of: ['ReadOnly'], event: 'Normal', meaning: 'The server takes writes.' },
  Configured: {
    of: ['ReadOnly'],
    event: 'Normal',
    meaning: 'spec.readOnly is true: writes get 405.',
    remedy: 'Set spec.readOnly to false.',
  },
  Draining: {
    of: ['ReadOnly'],
    event: 'Normal',
    meaning: 'Garbage collection waits for uploads in progress; new writes are held for 15 s, then get 503.',
    remedy: 'None: it ends by itself, also when the collector dies.',
  },
  Marking: {
    of: ['ReadOnly'],
    event: 'Normal',
    meaning: 'Garbage collection holds the lease; writes are held for 15 s, then get 503.',
    remedy: 'None: it ends by itself, also when the collector dies.',
  },

  Scheduled: { of: ['Ready'], event: false, meaning: 'The next run is due at status.nextRunTime.' },
  Suspended: {
    of: ['Ready'],
    event: false,
    meaning: 'spec.suspend is true: no scheduled run is started.',
    remedy: 'Set spec.suspend to false.',
  },
  Succeeded: { of: ['Ready'], event: false, meaning: 'The run has succeeded, and there is no next one.' },
  RunPending: { of: ['Ready'], event: false, meaning: 'The pod of the run has not started.' },
  Running: { of: ['Ready'], event: false, meaning: 'The run is going on.' },
  RunFailed: {
    of: ['Ready'],
    event: false,
    meaning: 'The last run failed. The registry is whole and takes writes.',
    remedy: RUN_AGAIN,
  },
  DrainTimeout: {
    of: ['Ready'],
    event: false,
    meaning: 'Uploads did not finish within drainTimeout. Nothing was deleted.',
    remedy: 'Run at a quieter time, or make drainTimeout longer.',
  },
  LeaseLost: {
    of: ['Ready'],
    event: false,
    meaning:
      'The last run could not renew its lease in time and stopped. The registry is whole and takes writes.',
    remedy: RUN_AGAIN,
  },
  AnotherCollector: {
    of: ['Ready'],
    event: false,
    meaning: 'Another collector was at work in the same storage, and the last run gave way to it.',
    remedy: RUN_AGAIN,
  },
  DeadlineExceeded: {
    of: ['Ready'],
    event: false,
    meaning:
      'The last run took longer than activeDeadlineSeconds and was stopped. The registry is whole and takes writes.',
    remedy: 'Make activeDeadlineSeconds longer, or look why the pod did not start.',
  },
  RegistryNotFound: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'There is no Registry of the name in registryRef.',
    remedy: 'Make it, or make another RegistryGC.',
  },
  RegistryNotReady: {
    of: ['Ready'],
    event: false,
    meaning:
      'A run is due and the Registry is not ready. The run starts when it is, within startingDeadlineSeconds.',
    remedy: 'Look at the conditions of the Registry.',
  },
  Conflict: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'An older RegistryGC collects in the same Registry. This one does nothing.',
    remedy: 'Delete one of the two.',
  },
  InvalidSchedule: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'spec.schedule or spec.timeZone makes no sense.',
    remedy: 'Correct it as the message says.',
  },
  GCNotSupportedByStorage: {
    of: ['Ready'],
    event: 'Warning',
    meaning: 'The storage is for one pod only (ReadWriteOncePod, ephemeral), so that no collector can run.',
    remedy: 'Move to a claim with ReadWriteOnce: make a second Registry and copy the images to it.',
  },
} as const satisfies Readonly<Record<string, ReasonEntry>>;

export type Reason = keyof typeof reasons;

/** The reason as the table has it; for reasons that come from elsewhere, such as the outcome of a step. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(reasons, text);
}

/** docs/reference/conditions.md: a section for each condition, and one for each reason. */
export function conditionsPage(): string {
  const entries = Object.entries<ReasonEntry>(reasons);
  const ofConditions = Object.entries(conditionTypes).flatMap(([type, about]) => {
    const links = entries
      .filter(([, { of }]) => of.some((other) => other === type))
      .map(([reason]) => `[\`${reason}\`](#${reason.toLowerCase()})`);
    return [`## ${type}`, about, ...(links.length === 0 ? [] : [`Reasons: ${links.join(', ')}.`])];
  });
  const ofReasons = entries
    .toSorted(([a], [b]) => a.localeCompare(b))
    .flatMap(([reason, { of, meaning, remedy }]) => [
      `### ${reason}`,
      meaning,
      ...(remedy === undefined ? [] : [`What to do: ${remedy}`]),
      `Of ${of.map((type) => `\`${type}\``).join(', ')}.`,
    ]);
  return `${[
    '# Conditions',
    'The conditions of Registry, RegistryMirror and RegistryGC, and every reason that they can have. Reasons are stable: programs may read them. `Ready` sums up the others; `Reconciling` and `Stalled` are there only while they are true, and repeat the reason. `stevedore status registry NAME` shows them with what to do.',
    ...ofConditions,
    '## Reasons',
    ...ofReasons,
  ].join('\n\n')}\n`;
}
