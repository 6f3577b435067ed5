import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { deleteIfThere, readIfThere } from '../storage/if-there.ts';
import { RUNS_ROOT, SERVERS_ROOT } from '../storage/paths.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { decodeAnnouncement, type Announcement } from './announcement.ts';
import { elapsedForHolder, momentOf, type Moment } from './elapsed.ts';
import { LeaseWatch, type Look } from './lease-watch.ts';
import type { LeaseParameters } from './parameters.ts';
import { READS_AT_ONCE, listNames, modifiedAtIfThere, runPath, writeRun } from './run-files.ts';
import type { RunRecord } from './run-record.ts';
import { afterRunStep, type RunOutcome, type RunStep } from './run-steps.ts';
import { Silence } from './silence.ts';

/** The run is over: its lease could not be renewed in time, or an operation had no answer. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/** An operation that takes something away had no answer in time: it may still land, so the lease is left to lapse. */
export class UnansweredError extends LeaseLostError {}

/** Another collector runs. */
export class LeaseConflictError extends Error {
  override readonly name = 'LeaseConflictError';
}

/** Servers still had uploads in progress when the time for draining was over. */
export class DrainTimeoutError extends Error {
  override readonly name = 'DrainTimeoutError';
}

/** No server of ours answered, so something else may be writing to this storage. */
export class NoServerError extends Error {
  override readonly name = 'NoServerError';
}

export interface CollectorLeaseDependencies {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly parameters: LeaseParameters;
  /** A name for the run that nobody else uses. */
  readonly run: string;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

type SeenServer = Announcement & {
  /** Milliseconds since the announcement was written, by the store's clock. */
  readonly age: number;
  /** Milliseconds that this run has seen no new one, by its own clock. */
  readonly silence: number;
};

/** Announcements that follow each other faster may have the same stamp, milliseconds: stores count seconds. */
const STAMPS_DIFFER = 2_000;

/** A collector that waits for servers reads what they say this often, milliseconds. */
const POLL_EVERY = 250;

/** A collector's finished and dead runs stay on record this long, so that every server can learn of them. */
const RECORDS_STAY = 24 * 3600_000;

/**
 * The collector's side of the read-only lease (docs/decisions/0003-read-only-lease.md): takes it, renews it beside the
 * work, waits for the servers, and says before each batch whether it still holds.
 */
export class CollectorLease {
  readonly #deps: CollectorLeaseDependencies;
  readonly #watch: LeaseWatch;
  readonly #silence = new Silence();
  /** What servers said some time ago, with the stamp of it. */
  readonly #said = new Map<string, { readonly stamp: number; readonly announcement: Announcement }>();
  readonly #ended = new AbortController();
  #record: RunRecord;
  /** Start of the last renewal that completed while the one before was valid. */
  #renewed: Moment | undefined;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #renewing: Promise<void> | undefined;
  /** A write that failed may land when the run is marking, and let servers write. */
  #mayStillLetWrite = false;
  /** Set when the lease may not be released: an operation that had no answer could still land. */
  #abandoned = false;

  constructor(deps: CollectorLeaseDependencies) {
    this.#deps = deps;
    this.#watch = new LeaseWatch(deps);
    this.#record = { run: deps.run, phase: 'calling', counter: 0, duration: deps.parameters.duration };
  }

  /**
   * Declares the run, unless another is live. If two declare at once both withdraw and try again after a random while.
   * @returns whether another one was met: it may have done what this one is for.
   * @throws LeaseConflictError when another collector stays live.
   */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, parameters } = this.#deps;
    // Long enough to outlive a collector that died.
    const giveUpAt = clock.monotonic() + parameters.duration + parameters.margin;
    let declared = 0;
    let met = false;
    const perform: Readonly<Partial<Record<RunStep, () => Promise<RunOutcome>>>> = {
      look: async () => {
        if ((await this.#lookForOthers()).live.length === 0) return 'done';
        await this.#pause(giveUpAt, signal);
        return 'others';
      },
      declare: async () => {
        // Under a name of its own: a run that said `done` is over for everybody who saw it.
        const run = ++declared === 1 ? this.#deps.run : `${this.#deps.run}-${declared}`;
        await this.#write({ run, phase: 'calling' });
        return 'done';
      },
      'look-again': async () => {
        const { live } = await this.#watch.look();
        return live.some(({ run }) => run !== this.#record.run) ? 'others' : 'done';
      },
      withdraw: async () => {
        await this.#write({ phase: 'done' });
        await this.#pause(giveUpAt, signal);
        return 'done';
      },
    };
    let step: RunStep = 'look';
    for (let action = perform[step]; action !== undefined; action = perform[step]) {
      const outcome = await action();
      met ||= outcome === 'others';
      step = afterRunStep(step, outcome);
    }
    this.#renewing = this.#renewUntilEnded();
    return met;
  }

  /** Until the next try. @throws LeaseConflictError when it is time to give up. */
  async #pause(giveUpAt: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#deps;
    if (clock.monotonic() >= giveUpAt) {
      throw new LeaseConflictError('another garbage collection runs on this storage');
    }
    await clock.sleep(1_000 + random() * 4_000, signal);
  }

  /** @throws LeaseLostError when the lease may have ended by now. Check before each batch that deletes. */
  assertHeld(): void {
    if (this.#valid()) return;
    throw new LeaseLostError(
      'the lease could not be renewed in time; the run stopped before it deleted more',
    );
  }

  /**
   * Waits until every server that is writing has seen the run, while all go on writing, and for no longer than a
   * permission lasts: one that has not answered by then has died, or has to look before it writes again.
   * @throws NoServerError (unless `offline`), LeaseLostError
   */
  async call(options: { offline: boolean; signal: AbortSignal }): Promise<void> {
    const { clock } = this.#deps;
    const began = clock.monotonic();
    for (;;) {
      this.assertHeld();
      const servers = await this.#servers();
      const isOver = clock.monotonic() - began >= this.#patience;
      if (isOver || servers.every((server) => server.state === 'idle' || this.#hasSeen(server))) {
        if (!options.offline) this.#assertServed(servers);
        return;
      }
      await clock.sleep(POLL_EVERY, options.signal);
    }
  }

  /** From here on servers hold new writes. */
  declareDraining(): Promise<void> {
    return this.#declare('draining');
  }

  /**
   * Waits until every server that answered the call holds new writes and has nothing in progress. Those that have died
   * since are passed over: they say nothing new for longer than a permission lasts.
   * @param drainTimeout milliseconds that servers with uploads or writes in progress are waited for.
   * @throws DrainTimeoutError, LeaseLostError
   */
  async drain(options: { drainTimeout: number; signal: AbortSignal }): Promise<void> {
    const { clock } = this.#deps;
    const began = clock.monotonic();
    for (;;) {
      this.assertHeld();
      const servers = (await this.#servers()).filter(
        // One that is alive says so at each of its looks, as long as it is waited for.
        (server) => server.state === 'writing' && this.#hasSeen(server) && server.silence < this.#patience,
      );
      const busy = servers.filter(
        (server) => this.#isHeld(server) && (server.writes > 0 || server.uploads > 0),
      );
      if (busy.length === 0 && servers.every((server) => this.#isHeld(server))) return;
      if (busy.length > 0 && clock.monotonic() - began >= options.drainTimeout) {
        const uploads = busy.reduce((sum, server) => sum + server.uploads, 0);
        throw new DrainTimeoutError(
          `${uploads} uploads were still in progress after ${options.drainTimeout / 1000} s; nothing was deleted`,
        );
      }
      await clock.sleep(POLL_EVERY, options.signal);
    }
  }

  /** From here on no server accepts a write. Completed before the trash is listed and roots are read. */
  declareMarking(): Promise<void> {
    return this.#declare('marking');
  }

  async #declare(phase: 'draining' | 'marking'): Promise<void> {
    this.assertHeld();
    if (this.#mayStillLetWrite) {
      throw new LeaseLostError('a record of the run had no answer and may still land; nothing was deleted');
    }
    await this.#write({ phase });
    this.assertHeld();
  }

  /** The store's clock: the stamp of this run's file as of its last renewal, milliseconds. */
  async storeNow(): Promise<number> {
    return (await this.#deps.driver.stat(runPath(this.#record.run))).modifiedAt;
  }

  /**
   * Does one operation that deletes or moves, if the lease holds.
   * @param operation is told for how many milliseconds the lease still holds: a store that can refuses it after that.
   * @throws LeaseLostError when the lease is over, or when the operation has no answer in time: it may still land, so
   * the lease is not released either, it lapses.
   */
  async fenced<T>(operation: (left: number) => Promise<T>): Promise<T> {
    this.assertHeld();
    const left = this.#left();
    const { clock, parameters } = this.#deps;
    const answered = new AbortController();
    const timeout = clock.sleep(parameters.deleteTimeout, answered.signal).then(() => {
      throw new UnansweredError('a delete had no answer in time; the run stopped and its lease lapses');
    });
    try {
      return await Promise.race([operation(left), timeout]);
    } catch (error) {
      if (error instanceof UnansweredError) this.#abandon();
      throw error;
    } finally {
      timeout.catch(() => undefined);
      answered.abort();
    }
  }

  /** Nobody renews or releases the lease any more. */
  #abandon(): void {
    this.#abandoned = true;
    this.#ended.abort();
  }

  /** Ends the run on every path: writes `done`, unless an operation without an answer could still land. */
  async release(): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
    if (this.#abandoned || this.#renewed === undefined) return;
    await this.#write({ phase: 'done' });
    this.#renewed = undefined;
    await this.#forgetOldRecords().catch((error: unknown) =>
      this.#deps.log.warn({ error }, 'old records of runs and servers cannot be removed'),
    );
  }

  #valid(): boolean {
    return !this.#abandoned && this.#left() > 0;
  }

  /** Milliseconds for which the lease holds by the last renewal. */
  #left(): number {
    const { clock, parameters } = this.#deps;
    if (this.#renewed === undefined) return 0;
    return parameters.duration - parameters.margin - elapsedForHolder(clock, this.#renewed);
  }

  /**
   * One that died before this process began to look is told by the store's stamps, so that it need not be watched until it
   * lapses. Our own stamp is on a record that is over from the start: nobody waits for it.
   */
  async #lookForOthers(): Promise<Look> {
    const look = await this.#watch.look();
    if (look.live.length === 0) return look;
    const run = `${this.#deps.run}-look`;
    await writeRun(this.#deps.driver, { ...this.#record, run, phase: 'done' });
    const { modifiedAt } = await this.#deps.driver.stat(runPath(run));
    return this.#watch.look(modifiedAt);
  }

  async #renewUntilEnded(): Promise<void> {
    const { clock, parameters, log } = this.#deps;
    while (!this.#ended.signal.aborted) {
      try {
        await clock.sleep(parameters.renewEvery, this.#ended.signal);
        // A lease that lapsed is not taken up again: others may have acted on its end.
        if (!this.#valid()) return;
        await this.#write({});
      } catch (error) {
        if (!this.#ended.signal.aborted) log.warn({ error }, 'the lease could not be renewed');
      }
    }
  }

  /** One write at a time; it counts as a renewal from its start if the lease was still valid when it completed. */
  #write(change: Partial<Pick<RunRecord, 'run' | 'phase'>>): Promise<void> {
    const write = async (): Promise<void> => {
      const began = momentOf(this.#deps.clock);
      const first = this.#renewed === undefined || change.phase === 'calling';
      this.#record = { ...this.#record, ...change, counter: this.#record.counter + 1 };
      try {
        await writeRun(this.#deps.driver, this.#record);
      } catch (error) {
        if (this.#record.phase === 'calling' || this.#record.phase === 'draining')
          this.#mayStillLetWrite = true;
        throw error;
      }
      if (first || this.#valid()) this.#renewed = began;
    };
    const next = this.#lastWrite.then(write, write);
    this.#lastWrite = next.catch(() => undefined);
    return next;
  }

  async #servers(): Promise<SeenServer[]> {
    const { driver, clock } = this.#deps;
    const now = await this.storeNow();
    const servers: SeenServer[] = [];
    await forEachAtOnce(await listNames(driver, SERVERS_ROOT), READS_AT_ONCE, async (server) => {
      const stamp = await modifiedAtIfThere(driver, `${SERVERS_ROOT}/${server}`);
      if (stamp === undefined) return;
      const age = now - stamp;
      const said = await this.#saidBy(server, stamp, age);
      if (said === undefined) return;
      const silence = this.#silence.of(server, stamp, clock.monotonic());
      servers.push({ ...said, age, silence });
    });
    return servers;
  }

  /** Servers that have died stay on record for days: what they said last is read once. */
  async #saidBy(server: string, stamp: number, age: number): Promise<Announcement | undefined> {
    const before = this.#said.get(server);
    if (before?.stamp === stamp) return before.announcement;
    const bytes = await readIfThere(this.#deps.driver, `${SERVERS_ROOT}/${server}`);
    if (bytes === undefined) return undefined;
    const announcement = decodeAnnouncement(server, bytes) ?? unreadable(server);
    if (age > STAMPS_DIFFER) this.#said.set(server, { stamp, announcement });
    return announcement;
  }

  /** Milliseconds after which who has looked at nothing may not write any more. */
  get #patience(): number {
    return this.#deps.parameters.permission + 1_000;
  }

  #hasSeen({ runs }: Announcement): boolean {
    return runs.includes(this.#record.run);
  }

  #isHeld({ holds }: Announcement): boolean {
    return holds.includes(this.#record.run);
  }

  /** Docker distribution knows no lease, so a run needs a sign that the servers here are ours. */
  #assertServed(servers: readonly SeenServer[]): void {
    const { announcementCounts } = this.#deps.parameters;
    const served = servers.some(
      (server) => this.#hasSeen(server) || (server.state === 'idle' && server.age < announcementCounts),
    );
    if (served) return;
    throw new NoServerError(
      'no running server of this storage answered. Start one, or stop everything that writes to it and use --offline',
    );
  }

  async #forgetOldRecords(): Promise<void> {
    const { driver } = this.#deps;
    const now = await this.storeNow();
    const live = new Set((await this.#watch.look()).live.map(({ run }) => run));
    for (const run of await listNames(driver, RUNS_ROOT)) {
      const modifiedAt = await modifiedAtIfThere(driver, runPath(run));
      if (live.has(run) || modifiedAt === undefined || now - modifiedAt < RECORDS_STAY) continue;
      await deleteIfThere(driver, runPath(run));
    }
    for (const server of await listNames(driver, SERVERS_ROOT)) {
      const modifiedAt = await modifiedAtIfThere(driver, `${SERVERS_ROOT}/${server}`);
      // A live server writes every 12 h.
      if (modifiedAt === undefined || now - modifiedAt < 2 * RECORDS_STAY) continue;
      await deleteIfThere(driver, `${SERVERS_ROOT}/${server}`);
    }
  }
}

/** A file that cannot be understood is a server that writes and does not answer. */
function unreadable(server: string): Announcement {
  return { server, state: 'writing', runs: [], holds: [], writes: 0, uploads: 0 };
}
