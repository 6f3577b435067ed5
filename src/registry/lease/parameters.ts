/**
 * The times of the read-only lease, milliseconds. They depend on each other: a permission is far shorter than a lease,
 * and a server looks several times within one. docs/decisions/0003-read-only-lease.md says why each is what it is.
 */
export interface LeaseParameters {
  /** A lease ends this long after its last renewal. */
  readonly duration: number;
  /** A collector renews this often. */
  readonly renewEvery: number;
  /** A collector stops this long before its lease would end. */
  readonly margin: number;
  /**
   * A lease whose age is told by the stamps of the store alone counts this much longer: they may be wrong. Who begins to
   * write late in a lease whose holder died waits for its duration, this, and the pause between two looks.
   */
  readonly stampMargin: number;
  /** A collector's delete that has no answer after this ends the run. */
  readonly deleteTimeout: number;
  /** A server may write this long from the moment a look began that saw no lease. */
  readonly permission: number;
  /** A server that is writing looks this often. */
  readonly lookEvery: number;
  /** It looks this often while a run is live: the run, and writes that are held, wait for what it sees. */
  readonly lookEveryInRun: number;
  /** A server holds a write that meets a lease for this long before it answers 503. */
  readonly holdFor: number;
  /**
   * An upload session counts as open this long after its last request ended. Shorter than writes are held: a client that
   * gave up in the middle of an upload makes nobody else's write fail.
   */
  readonly uploadLinger: number;
  /** A server that had nothing to write for this long says it is idle. */
  readonly idleAfter: number;
  /** An idle server writes its announcement anew this often, so that a collector knows it is there. */
  readonly announceEvery: number;
  /** An announcement of an idle server counts this long. */
  readonly announcementCounts: number;
}

export const leaseParameters: LeaseParameters = {
  duration: 45_000,
  renewEvery: 10_000,
  margin: 15_000,
  stampMargin: 10_000,
  deleteTimeout: 5_000,
  permission: 10_000,
  lookEvery: 2_000,
  lookEveryInRun: 500,
  holdFor: 15_000,
  uploadLinger: 10_000,
  idleAfter: 10_000,
  announceEvery: 12 * 3600_000,
  announcementCounts: 24 * 3600_000,
};
