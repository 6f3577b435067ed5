/**
 * What a garbage collection did. `garbage-collect --format json` prints it, and in a pod it is the container's
 * termination message.
 */
export interface CollectionReport {
  readonly result: CollectionResult;
  /** For people: what happened, and for a failure what to do. At most 1024 characters. */
  readonly message: string;
  readonly dryRun: boolean;
  /** RFC 3339, UTC. */
  readonly startTime: string;
  readonly completionTime: string;
  /** Seconds during which servers held writes. 0 when the lease was not taken. */
  readonly readOnlySeconds: number;
  readonly repositoriesScanned: number;
  readonly manifestsScanned: number;
  readonly blobsScanned: number;
  /** In a dry run: what would be deleted, here and below. Repositories in which nothing was left. */
  readonly repositoriesDeleted: number;
  /** Uploads that nobody ended, where no server removes them. */
  readonly uploadsDeleted: number;
  readonly tagsDeleted: number;
  readonly manifestsDeleted: number;
  readonly blobsDeleted: number;
  readonly linksDeleted: number;
  /** Bytes that came back to the store in this run: purged from the trash. */
  readonly bytesReclaimed: number;
  /** Bytes that lie in the trash after this run and come back when their grace is over. */
  readonly bytesInTrash: number;
  /** Seconds that each phase took, of those that were gone through. */
  readonly phaseSeconds: Readonly<Partial<Record<CollectionPhase, number>>>;
}

/**
 * `look`: the whole store is read while servers write. `verify`: all that is needed is read and checked. `drain`: servers
 * hold new writes and end what is in progress. `mark`: the store is read once more. `sweep`: what nothing needs goes.
 * `tidy`: empty folders and abandoned uploads, while servers write again.
 */
export const COLLECTION_PHASES = ['look', 'verify', 'drain', 'mark', 'sweep', 'tidy'] as const;
export type CollectionPhase = (typeof COLLECTION_PHASES)[number];

/**
 * `DrainTimeout`: uploads did not end in time, nothing was deleted. `LeaseLost`: the run could not renew in time and
 * stopped. `Conflict`: another collector runs. Both leave the registry consistent and writable.
 */
export type CollectionResult = 'Succeeded' | 'Failed' | 'DrainTimeout' | 'LeaseLost' | 'Conflict';

/** Kubernetes cuts a container's termination message there. */
const MOST_BYTES = 4096;

/** The report as JSON in one line, with as much of the message as there is room for. */
export function encodeReport(report: CollectionReport): string {
  for (let length = report.message.length; ; length = Math.floor(length / 2)) {
    const text = `${JSON.stringify({ ...report, message: report.message.slice(0, length) })}\n`;
    if (length === 0 || Buffer.byteLength(text) <= MOST_BYTES) return text;
  }
}
