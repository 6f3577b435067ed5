/** Objects of the store, a bit each: a blob's data, the link of its layer, and of each server a manifest and its tag. */
export const BLOB = 1;
export const LAYER = 2;
export const MANIFESTS = [4, 16] as const;
export const TAGS = [8, 32] as const;
/** The first server's tag, saying a manifest that is gone. */
export const OLD_TAG = 64;

/** An operation that has no answer for whoever issued it, and lands at any later moment. */
export type LateKind = 'manifest' | 'tag' | 'remove' | 'purge' | 'record';

/**
 * What is explored. The defaults are the protocol; each mutation turns one rule off. Nothing bounds how long a process
 * stalls between two of its steps, and neither permissions nor the wait for servers are modelled: both only narrow what
 * can happen, and safety must not rest on them.
 */
export interface Rules {
  readonly servers: 1 | 2;
  readonly collectors: 1 | 2;
  /** Ticks that a lease lasts, and by how many its holder stops earlier. */
  readonly duration: number;
  readonly margin: number;
  /** By how many ticks the store's stamps may make a run look older than it is, and how many are taken off for that. */
  readonly stampError: number;
  readonly stampMargin: number;
  /** How often each collector may renew. */
  readonly renewals: number;
  /** How often, in all, one process's clock stands still for a tick. */
  readonly drift: number;
  /** How often, in all, one process's wall clock jumps ahead. */
  readonly jumps: number;
  readonly late: readonly LateKind[];
  /**
   * `rename`: what goes lands in the trash first. `signed`: the store refuses a delete once the lease has run out by its own
   * clock. `versioned`: a delete names the version that was marked. `plain`: neither; a delete lands at most one tick after
   * the check.
   */
  readonly store: 'rename' | 'signed' | 'versioned' | 'plain';
  /** Whether manifests without a tag go. */
  readonly deleteUntagged: boolean;
  /** What a run moved is purged by the same run. */
  readonly noGrace: boolean;
  /** The first server's tag is there at the start and leads to nothing, as a refused push may leave it. */
  readonly danglingTag: boolean;

  /** The rules of docs/decisions/0003-read-only-lease.md that mutations turn off. */
  readonly verify: boolean;
  readonly validate: boolean;
  readonly verifyAgain: boolean;
  readonly verifyTagAgain: boolean;
  readonly restoresNewerTags: boolean;
  readonly notesRunsAtFirstLook: boolean;
  readonly meetsCallingRunsAgain: boolean;
  readonly keepsRecords: boolean;
  readonly ownFiles: boolean;
  readonly declaresMarking: boolean;
  readonly fence: boolean;
  readonly renewsOnlyValid: boolean;
  readonly purgesOnlyListed: boolean;
  readonly leavesUnansweredLease: boolean;
  readonly endsWithUnansweredRecord: boolean;
  readonly observesMonotonic: boolean;
  readonly rewritesWhatItKeeps: boolean;
}

export const PROTOCOL: Rules = {
  servers: 1,
  collectors: 1,
  duration: 3,
  margin: 1,
  stampError: 1,
  stampMargin: 1,
  renewals: 1,
  drift: 0,
  jumps: 0,
  late: [],
  store: 'rename',
  deleteUntagged: true,
  noGrace: false,
  danglingTag: false,
  verify: true,
  validate: true,
  verifyAgain: true,
  verifyTagAgain: true,
  restoresNewerTags: true,
  notesRunsAtFirstLook: true,
  meetsCallingRunsAgain: true,
  keepsRecords: true,
  ownFiles: true,
  declaresMarking: true,
  fence: true,
  renewsOnlyValid: true,
  purgesOnlyListed: true,
  leavesUnansweredLease: true,
  endsWithUnansweredRecord: true,
  observesMonotonic: true,
  rewritesWhatItKeeps: true,
};
