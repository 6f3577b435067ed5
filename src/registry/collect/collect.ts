import type { RepositoryName } from '../../oci/repository-name.ts';
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
import type { WriteGate } from '../lease/write-gate.ts';
import { isFull, makeReserve } from '../storage/reserve.ts';
import { UploadPurge } from '../storage/upload-purge.ts';
import { compactPulls, readLastPulls } from '../pulls/last-pulls.ts';
import type { RetentionRule } from '../../contract/retention-rules.ts';
import { isNothing, nothingRemoved, plannedCounts, type Counts } from './counts.ts';
import { Progress } from './progress.ts';
import type { TagVerdict } from './retention.ts';
import { removeEmptyRepository } from './empty-folders.ts';
import { mark, type Mark, type MarkOptions, type Scanned } from './mark.ts';
import { ReferenceCache } from './reference-cache.ts';
import { RunSweep, type Found } from './run-sweep.ts';
import { verifyNeeded, type VerifyOptions } from './verify.ts';
import { listedTrash } from './trash-sweep.ts';

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
  /**
   * Milliseconds after which an upload that nobody goes on with is removed, where no server does that. Without it they
   * stay.
   */
  readonly uploadAge?: number;
  /** Checks everything that stays before anything goes. */
  readonly verify?: VerifyOptions;
  /** Which tags stay; without rules all of them. */
  readonly retention?: readonly RetentionRule[];
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
  /** Is told how far the run is. */
  readonly progress?: Progress;
  /** Told in a dry run with rules of retention what becomes of each tag. */
  readonly judged?: (verdict: TagVerdict) => void;
}

/**
 * One garbage collection. Where servers may write a first mark runs beside them, without the lease; only when it finds
 * something to do the lease is taken, and all is decided anew under it. Never throws for what goes wrong in the run: the report says it.
 */
export async function collect(options: CollectOptions, deps: CollectDependencies): Promise<CollectionReport> {
  const run = new Collection(options, deps);
  try {
    await run.execute();
    return run.report('Succeeded', run.summary());
  } catch (error) {
    deps.log.error({ error }, 'the garbage collection ended early');
    return run.report(resultOf(error), messageOf(error));
  }
}

function resultOf(error: unknown): CollectionResult {
  if (error instanceof DrainTimeoutError) return 'DrainTimeout';
  if (error instanceof LeaseLostError) return 'LeaseLost';
  if (error instanceof LeaseConflictError) return 'Conflict';
  return 'Failed';
}

function messageOf(error: unknown): string {
  if (isFull(error)) {
    return 'the volume is full, and there is no room to move anything into the trash: set the trash grace to 0s, or make the volume larger';
  }
  return error instanceof Error ? error.message : String(error);
}

const NO_GATE: Pick<WriteGate, 'tryBegin'> = {
  tryBegin: async () => ({
    check: async () => {},
    validate: async () => 'unchanged',
    [Symbol.dispose]() {},
  }),
};

interface Plan {
  readonly planned: Counts;
  readonly emptied: readonly RepositoryName[];
}

class Collection {
  readonly #options: CollectOptions;
  readonly #deps: CollectDependencies;
  readonly #parameters: LeaseParameters;
  readonly #references = new ReferenceCache();
  readonly #startTime: number;
  readonly #progress: Progress;
  #scanned: Scanned = { repositories: 0, manifests: 0, blobs: 0 };
  #counts: Counts = { ...nothingRemoved(), bytesReclaimed: 0, bytesInTrash: 0 };
  #repositories = 0;
  #uploads = 0;
  /** Monotonic milliseconds while writes were held. */
  #held = 0;

  constructor(options: CollectOptions, deps: CollectDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#parameters = deps.parameters ?? leaseParameters;
    this.#startTime = deps.clock.now();
    this.#progress = deps.progress ?? new Progress(deps.clock);
  }

  async execute(): Promise<void> {
    const { driver, log, signal, clock } = this.#deps;
    const { dryRun, offline, verify } = this.#options;
    // Where nothing serves, nobody is spared anything by a look without the lease.
    if (dryRun || verify || !offline) {
      // What it found is forgotten before the second look takes as much memory.
      const { planned, emptied } = await this.#look(clock.now());
      log.info({ ...planned }, 'what a first look found to delete');
      if (dryRun || isNothing(planned)) {
        this.#counts = planned;
        await this.#tidy(emptied);
        return;
      }
    }
    if (!driver.movesAtomically && driver.deleteWithin === undefined) {
      log.warn(
        { driver: driver.name },
        'deletes cannot be made to expire here; one must land within the margin',
      );
    }
    signal.throwIfAborted();
    await this.#tidy(await this.#underLease());
  }

  /** What a run would do, without the lease. */
  async #look(now: number): Promise<Plan> {
    const marked = await this.#markNow(now);
    if (this.#options.verify) {
      this.#progress.begin('verify');
      await verifyNeeded(marked, this.#options.verify, { ...this.#deps, progress: this.#progress });
    }
    return this.#plan(marked, now);
  }

  async #plan(marked: Mark, now: number): Promise<Plan> {
    const planned = await plannedCounts(this.#deps.driver, marked, { ...this.#options, now });
    return { planned, emptied: marked.emptied };
  }

  /** What needs no lease. The folders of repositories in which nothing is left would keep them in the catalog. */
  async #tidy(emptied: readonly RepositoryName[]): Promise<void> {
    const { driver, signal } = this.#deps;
    this.#progress.begin('tidy');
    await this.#purgeUploads();
    if (this.#options.dryRun) {
      this.#repositories = emptied.length;
      return;
    }
    await makeReserve(driver);
    await compactPulls(driver, { name: `merged.${this.#deps.run}`, now: this.#startTime });
    for (const repository of emptied) {
      signal.throwIfAborted();
      if (await removeEmptyRepository(driver, repository)) this.#repositories++;
    }
  }

  /** No collection looks at an upload that nobody goes on with, so that no lease is needed. */
  async #purgeUploads(): Promise<void> {
    const { uploadAge: age, dryRun: dryrun } = this.#options;
    if (age === undefined) return;
    const settings = { enabled: true, dryrun, age, interval: 0 };
    const purge = new UploadPurge(settings, { ...this.#deps, gate: NO_GATE, isInHand: () => false });
    this.#uploads = await purge.once();
  }

  /** @returns repositories in which nothing is left. */
  async #underLease(): Promise<readonly RepositoryName[]> {
    const { clock, log, signal } = this.#deps;
    const lease = new CollectorLease({ ...this.#deps, parameters: this.#parameters });
    const met = await lease.acquire(signal);
    log.info({ run: this.#deps.run }, 'the run is declared; servers are called');
    let heldSince: number | undefined;
    let found: Found | undefined;
    let emptied: readonly RepositoryName[] = [];
    const perform: Readonly<Partial<Record<RunStep, () => Promise<RunOutcome | void>>>> = {
      call: async () => {
        await lease.call({ ...this.#options, signal });
        if (!met) return 'done';
        // The other run may have done all there was to do.
        const now = await lease.storeNow();
        const again = await this.#plan(await this.#markNow(now), now);
        if (!isNothing(again.planned)) return 'done';
        emptied = again.emptied;
        return 'nothing';
      },
      'declare-draining': () => {
        heldSince = clock.monotonic();
        return lease.declareDraining();
      },
      drain: async () => {
        log.info({ run: this.#deps.run }, 'the lease is taken; servers hold new writes');
        this.#progress.begin('drain');
        await lease.drain({ ...this.#options, signal });
      },
      'declare-marking': () => lease.declareMarking(),
      mark: async () => {
        log.info({}, 'the servers have drained; marking');
        this.#progress.begin('mark');
        const trash = await listedTrash(this.#deps.driver);
        const now = await lease.storeNow();
        found = { marked: await this.#markNow(now), trash, now };
        emptied = found.marked.emptied;
      },
      sweep: async () => {
        if (found) await this.#sweep(lease, found);
      },
      release: () => lease.release(),
    };
    let failure: { readonly error: unknown } | undefined;
    let step: RunStep = 'call';
    for (let action = perform[step]; action !== undefined; action = perform[step]) {
      let outcome: RunOutcome = 'done';
      try {
        outcome = (await action()) ?? 'done';
      } catch (error) {
        failure ??= { error };
        outcome = error instanceof UnansweredError ? 'unanswered' : 'failed';
      }
      step = afterRunStep(step, outcome);
    }
    if (heldSince !== undefined) this.#held = clock.monotonic() - heldSince;
    log.info({ heldMilliseconds: Math.round(this.#held) }, 'the lease is released');
    if (failure) throw failure.error;
    return emptied;
  }

  async #sweep(lease: CollectorLease, found: Found): Promise<void> {
    const { trashGrace } = this.#options;
    const sweep = new RunSweep(found, { ...this.#deps, lease, trashGrace, progress: this.#progress });
    try {
      await sweep.execute();
    } finally {
      this.#counts = sweep.counts;
    }
  }

  async #markNow(now: number): Promise<Mark> {
    const { driver, signal, judged } = this.#deps;
    const { retention: rules, dryRun, offline, ...others } = this.#options;
    // What a first look saw tells how much the second has to do.
    const seen = this.#scanned.manifests + this.#scanned.blobs || undefined;
    const options: MarkOptions = {
      ...others,
      now,
      refuseForeignUploads: !offline,
      progress: ({ manifests, blobs }, share) =>
        this.#progress.set(manifests + blobs, share === undefined ? seen : manifests + blobs / share),
      ...(rules && {
        retention: { rules, pulls: await readLastPulls(driver), ...(dryRun && judged && { judged }) },
      }),
    };
    const marked = await mark(driver, options, this.#references, signal);
    this.#scanned = marked.scanned;
    return marked;
  }

  summary(): string {
    const { manifests, tags, links, blobs, bytesReclaimed, bytesInTrash } = this.#counts;
    const others = this.#repositories + this.#uploads;
    if (isNothing(this.#counts) && others === 0) return 'nothing to delete';
    const byRule = tags > 0 ? `${tags} tags, ` : '';
    const what = `${byRule}${manifests} manifests, ${blobs} blobs and ${links} links`;
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
      repositoriesScanned: this.#scanned.repositories,
      manifestsScanned: this.#scanned.manifests,
      blobsScanned: this.#scanned.blobs,
      repositoriesDeleted: this.#repositories,
      uploadsDeleted: this.#uploads,
      tagsDeleted: this.#counts.tags,
      manifestsDeleted: this.#counts.manifests,
      blobsDeleted: this.#counts.blobs,
      linksDeleted: this.#counts.links,
      bytesReclaimed: this.#counts.bytesReclaimed,
      bytesInTrash: this.#counts.bytesInTrash,
      phaseSeconds: this.#progress.seconds(),
    };
  }
}
