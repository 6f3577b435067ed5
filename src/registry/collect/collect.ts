import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { CollectionReport, CollectionResult } from '../../contract/collection-report.ts';
import {
  CollectorLease,
  DrainTimeoutError,
  LeaseConflictError,
  LeaseLostError,
  UnansweredError,
} from '../lease/collector-lease.ts';
import { leaseParameters, type LeaseParameters } from '../lease/parameters.ts';
import { afterRunStep, type RunOutcome, type RunStep } from '../lease/run-steps.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listTrash, type TrashEntry } from '../storage/trash.ts';
import { isExpired, mark, type Mark, type MarkOptions } from './mark.ts';
import type { ReferenceCache } from './repository-scan.ts';
import { Sweep, type SweepCounts } from './sweep.ts';

export interface CollectOptions {
  readonly dryRun: boolean;
  readonly deleteUntagged: boolean;
  /** Milliseconds since the last reference; younger content stays. */
  readonly minimumAge: number;
  /** Milliseconds that deleted content stays in the trash; 0: purged in the same run. */
  readonly trashGrace: number;
  /** Milliseconds that servers with uploads in progress are waited for. */
  readonly drainTimeout: number;
  /** Nothing else writes to the storage: no server needs to answer. */
  readonly offline: boolean;
}

export interface CollectDependencies {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  /** A name for the run that nobody else uses. */
  readonly run: string;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly parameters?: LeaseParameters;
}

/**
 * One garbage collection. A first mark runs beside writing servers, without the lease; only when it finds something to do
 * the lease is taken, and all is decided anew under it. Never throws for what goes wrong in the run: the report says it.
 */
export async function collect(options: CollectOptions, deps: CollectDependencies): Promise<CollectionReport> {
  const run = new Collection(options, deps);
  try {
    await run.execute();
    return run.report('Succeeded', run.summary());
  } catch (error) {
    deps.log.error({ error }, 'the garbage collection ended early');
    return run.report(resultOf(error), error instanceof Error ? error.message : String(error));
  }
}

function resultOf(error: unknown): CollectionResult {
  if (error instanceof DrainTimeoutError) return 'DrainTimeout';
  if (error instanceof LeaseLostError) return 'LeaseLost';
  if (error instanceof LeaseConflictError) return 'Conflict';
  return 'Failed';
}

const NOTHING: SweepCounts = { manifests: 0, links: 0, blobs: 0, bytesReclaimed: 0, bytesInTrash: 0 };

class Collection {
  readonly #options: CollectOptions;
  readonly #deps: CollectDependencies;
  readonly #parameters: LeaseParameters;
  readonly #references: ReferenceCache = new Map();
  readonly #startTime: number;
  #mark: Mark | undefined;
  #counts: SweepCounts = NOTHING;
  /** Monotonic milliseconds while writes were held. */
  #held = 0;

  constructor(options: CollectOptions, deps: CollectDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#parameters = deps.parameters ?? leaseParameters;
    this.#startTime = deps.clock.now();
  }

  async execute(): Promise<void> {
    const { driver, log, signal, clock } = this.#deps;
    requireAtomicMoves(driver);
    const first = await this.#markNow(clock.now());
    const trash = await Array.fromAsync(listTrash(driver));
    const planned = plan(first, trash, { ...this.#options, now: clock.now() });
    log.info({ ...planned }, 'what a first look found to delete');
    if (this.#options.dryRun || isNothing(planned)) {
      this.#counts = planned;
      return;
    }
    signal.throwIfAborted();
    await this.#underLease();
  }

  async #underLease(): Promise<void> {
    const { clock, log, signal, driver, run } = this.#deps;
    const lease = new CollectorLease({ ...this.#deps, parameters: this.#parameters });
    const sweep = new Sweep({ driver, lease, run, signal });
    await lease.acquire(signal);
    const heldSince = clock.monotonic();
    log.info({ run }, 'the lease is taken; servers hold new writes');
    let found:
      { readonly marked: Mark; readonly trash: readonly TrashEntry[]; readonly now: number } | undefined;
    const perform: Readonly<Partial<Record<RunStep, () => Promise<void>>>> = {
      drain: () => lease.drain({ ...this.#options, signal }),
      'declare-marking': () => lease.declareMarking(),
      mark: async () => {
        log.info({}, 'the servers have drained; marking');
        // Only what is in the trash before the mark reads its roots may be purged by what this mark found.
        const trash = await Array.fromAsync(listTrash(driver));
        const now = await lease.storeNow();
        found = { marked: await this.#markNow(now), trash, now };
      },
      sweep: async () => {
        if (found === undefined) return;
        const { marked, trash, now } = found;
        await sweep.restore(marked, trash);
        await sweep.purgeExpired(marked, trash, { trashGrace: this.#options.trashGrace, now });
        await sweep.moveAway(marked);
        if (this.#options.trashGrace === 0) await sweep.purgeMoved(marked);
      },
      release: () => lease.release(),
    };
    let failure: { readonly error: unknown } | undefined;
    let step: RunStep = 'drain';
    for (let action = perform[step]; action !== undefined; action = perform[step]) {
      let outcome: RunOutcome = 'done';
      try {
        await action();
      } catch (error) {
        failure ??= { error };
        outcome = error instanceof UnansweredError ? 'unanswered' : 'failed';
      }
      step = afterRunStep(step, outcome);
    }
    this.#counts = sweep.counts();
    this.#held = clock.monotonic() - heldSince;
    log.info({ heldMilliseconds: Math.round(this.#held) }, 'the lease is released');
    if (failure) throw failure.error;
  }

  async #markNow(now: number): Promise<Mark> {
    const { driver, signal } = this.#deps;
    const options: MarkOptions = { ...this.#options, now, refuseForeignUploads: !this.#options.offline };
    this.#mark = await mark(driver, options, this.#references, signal);
    return this.#mark;
  }

  summary(): string {
    const { manifests, links, blobs, bytesReclaimed, bytesInTrash } = this.#counts;
    if (manifests + links + blobs + bytesReclaimed === 0) return 'nothing to delete';
    const what = `${manifests} manifests, ${blobs} blobs and ${links} links`;
    return this.#options.dryRun
      ? `would delete ${what}; ${bytesReclaimed} bytes would come back, ${bytesInTrash} bytes would be in the trash`
      : `deleted ${what}; ${bytesReclaimed} bytes came back, ${bytesInTrash} bytes are in the trash`;
  }

  report(result: CollectionResult, message: string): CollectionReport {
    return {
      result,
      message: message.slice(0, 1024),
      dryRun: this.#options.dryRun,
      startTime: new Date(this.#startTime).toISOString(),
      completionTime: new Date(this.#deps.clock.now()).toISOString(),
      readOnlySeconds: Math.round(this.#held / 100) / 10,
      repositoriesScanned: this.#mark?.repositories ?? 0,
      manifestsScanned: this.#mark?.manifests ?? 0,
      blobsScanned: this.#mark?.blobs ?? 0,
      manifestsDeleted: this.#counts.manifests,
      blobsDeleted: this.#counts.blobs,
      linksDeleted: this.#counts.links,
      bytesReclaimed: this.#counts.bytesReclaimed,
      bytesInTrash: this.#counts.bytesInTrash,
    };
  }
}

/** The trash takes content by renaming it; copies and deletes that land late would destroy what was written meanwhile. */
function requireAtomicMoves(driver: StorageDriver): void {
  if (driver.movesAtomically) return;
  throw new Error(`this version collects no garbage in storage.${driver.name}, only in storage.filesystem`);
}

/** What a run would do, by what a mark found and what is in the trash. */
function plan(
  marked: Mark,
  trash: readonly TrashEntry[],
  options: { readonly trashGrace: number; readonly now: number },
): SweepCounts {
  const sum = (sizes: readonly { size: number }[]): number =>
    sizes.reduce((total, { size }) => total + size, 0);
  const expired = trash.filter((entry) => isExpired(entry, marked, options));
  const moved = sum(marked.unreferenced);
  const left = sum(trash) - sum(expired);
  return {
    manifests: marked.manifestLinks.length,
    links: marked.links.length + marked.tags.length,
    blobs: marked.unreferenced.length,
    bytesReclaimed: sum(expired) + (options.trashGrace === 0 ? moved : 0),
    bytesInTrash: left + (options.trashGrace === 0 ? 0 : moved),
  };
}

function isNothing({ manifests, links, blobs, bytesReclaimed }: SweepCounts): boolean {
  return manifests + links + blobs + bytesReclaimed === 0;
}
