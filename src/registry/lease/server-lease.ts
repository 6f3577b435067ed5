import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import { RegistryError } from '../errors.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { Announcer } from './announcer.ts';
import { elapsedForHolder } from './elapsed.ts';
import { judgeLook, overAt } from './judge-look.ts';
import { LeaseWatch, type Look } from './lease-watch.ts';
import { OpenUploads } from './open-uploads.ts';
import { leaseParameters, type LeaseParameters } from './parameters.ts';
import { holdsWrites, type RunRecord } from './run-record.ts';
import type { UploadActivity, WriteGate, WriteKind, WritePermit } from './write-gate.ts';

export interface ServerLeaseDependencies {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  /** Names this server's announcement; unique among all servers of the store. */
  readonly serverId: string;
  /** `maintenance.readonly`: separate from the lease, answered with 405 at once. */
  readonly readOnly: boolean;
  readonly parameters?: LeaseParameters;
}

/** How long the state waits for a look, in milliseconds: the operator waits for no more than twice that. */
const STATE_WITHIN = 1000;

/**
 * The server's side of the read-only lease (docs/decisions/0003-read-only-lease.md). While the server has something to
 * write it is announced as `writing` and looks at the collectors' runs every 2 s, more often while there is one; otherwise
 * it holds no permission and reads nothing.
 */
export class ServerLease implements WriteGate, UploadActivity {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #readOnly: boolean;
  readonly #parameters: LeaseParameters;
  readonly #watch: LeaseWatch;
  readonly #announcer: Announcer;
  readonly #uploads: OpenUploads;
  readonly #stop = new AbortController();
  readonly #background: Promise<void>[] = [];
  /** Requests that hold a permission; uploads are counted apart. */
  #writes = 0;
  #waiting = 0;
  /** Monotonic milliseconds of the last write that began or ended. */
  #lastWrite = 0;
  #looking: Promise<Look> | undefined;
  /** Resolves at the end of the next look. */
  #looked = Promise.withResolvers<void>();
  #state: 'idle' | 'writing' = 'idle';
  /** The announcement of the other state is on its way: nobody may begin to write before it has landed. */
  #turning: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  /** Counts how often the server turned to writing, so that one loop at a time goes on. */
  #period = 0;
  #readOnlySince: number | undefined;

  constructor(deps: ServerLeaseDependencies) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#readOnly = deps.readOnly;
    this.#parameters = deps.parameters ?? leaseParameters;
    this.#watch = new LeaseWatch({ driver: deps.driver, clock: deps.clock, parameters: this.#parameters });
    this.#uploads = new OpenUploads({
      clock: deps.clock,
      linger: this.#parameters.uploadLinger,
      changed: () => this.#answerSoon(),
    });
    this.#announcer = new Announcer({ driver: deps.driver, serverId: deps.serverId });
    if (deps.readOnly) this.#readOnlySince = deps.clock.now();
  }

  /** Announces the server and keeps the announcement fresh. @throws what the store throws: it must be writable. */
  async start(): Promise<void> {
    if (this.#readOnly) return;
    await this.#announcer.announce(this.#facts('idle'));
    this.#background.push(this.#keepAnnounced());
  }

  /** Takes the announcement back. Call when no request is in progress any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server stops'));
    await Promise.allSettled([...this.#background, this.#loop]);
    if (!this.#readOnly) await this.#announcer.withdraw();
  }

  enter(uploadId: string): Disposable {
    const request = this.#uploads.enter(uploadId);
    return {
      [Symbol.dispose]: () => {
        request[Symbol.dispose]();
        this.#lastWrite = this.#clock.monotonic();
      },
    };
  }

  leave(uploadId: string): void {
    this.#uploads.leave(uploadId);
  }

  openUploads(): number {
    return this.#uploads.count();
  }

  /** What /status says. Looks at the runs if nobody else does at the moment, and goes by the last look if that fails. */
  async state(): Promise<StatusDocument['readOnly']> {
    if (!this.#readOnly && this.#state === 'idle') await this.#lookBriefly();
    const reason = this.#readOnlyReason();
    if (reason === undefined) return { active: false };
    const since = new Date(this.#readOnlySince ?? this.#clock.now()).toISOString();
    return { active: true, reason, since };
  }

  async begin(kind: WriteKind, signal?: AbortSignal): Promise<WritePermit> {
    if (this.#readOnly) throw readOnlyConfigured();
    const asked = this.#clock.monotonic();
    let permit = await this.#try(kind);
    while (permit === undefined) {
      const left = this.#parameters.holdFor - (this.#clock.monotonic() - asked);
      if (left <= 0) throw heldTooLong(this.#holding());
      await this.#waitForLook(left, signal);
      permit = this.#permitNow(kind);
    }
    return permit;
  }

  async tryBegin(): Promise<WritePermit | undefined> {
    return this.#readOnly ? undefined : this.#try('open');
  }

  async #try(kind: WriteKind): Promise<WritePermit | undefined> {
    this.#lastWrite = this.#clock.monotonic();
    // The announcement has landed before the first look that may give permission, so a collector finds this server.
    while (this.#state === 'idle' || this.#turning)
      await (this.#turning ?? this.#turn(this.#becomeWriting()));
    if (!this.#watch.permission()) await this.#look();
    return this.#permitNow(kind);
  }

  /** By the last look. */
  #permitNow(kind: WriteKind): WritePermit | undefined {
    const free = this.#watch.permission();
    const holding = this.#holding();
    if (holding.length === 0) return free && this.#permit(kind, free);
    const { last } = this.#watch;
    return last && isForOpenUpload(kind, holding) ? this.#permit(kind, last) : undefined;
  }

  /** Live runs for which writes are held. */
  #holding(): readonly RunRecord[] {
    return this.#watch.live().filter(holdsWrites);
  }

  #permit(kind: WriteKind, look: Look): WritePermit {
    // validate() compares with these for the whole request.
    let known = overAt(look);
    if (kind !== 'upload') this.#writes++;
    let ended = false;
    return {
      check: async () => {
        // A look that others began may be too old by the time it ends; then one of our own decides.
        for (const fresh of [false, true]) {
          if (this.#watch.permission()) return;
          const { live, began } = await this.#look({ fresh });
          const holding = live.filter(holdsWrites);
          if (holding.length === 0) continue;
          if (!isForOpenUpload(kind, holding)) throw heldTooLong(holding);
          if (elapsedForHolder(this.#clock, began) < this.#parameters.permission) return;
        }
        if (!this.#watch.permission()) throw heldTooLong(this.#holding());
      },
      validate: async () => {
        const seen = await this.#look({ fresh: true });
        const judged = judgeLook(known, seen);
        if (judged.verdict === 'refuse') throw heldTooLong(seen.live);
        known = judged.known;
        return judged.verdict;
      },
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        this.#lastWrite = this.#clock.monotonic();
        if (kind === 'upload') return;
        this.#writes--;
        if (this.#writes === 0) this.#answerSoon();
      },
    };
  }

  /** One look at a time is enough for all who ask, unless one must begin after now. */
  async #look(options: { readonly fresh?: boolean; readonly storeNow?: number } = {}): Promise<Look> {
    if (options.fresh || options.storeNow !== undefined) {
      return this.#noteChange(await this.#watch.look(options.storeNow));
    }
    this.#looking ??= this.#watch.look().finally(() => {
      this.#looking = undefined;
    });
    return this.#noteChange(await this.#looking);
  }

  #noteChange(look: Look): Look {
    this.#looked.resolve();
    this.#looked = Promise.withResolvers();
    this.#answerSoon();
    const active = this.#readOnlyReason() !== undefined;
    if (active && this.#readOnlySince === undefined) {
      this.#readOnlySince = this.#clock.now();
      this.#log.info({ runs: look.live.map(({ run }) => run) }, 'a garbage collection holds writes');
    } else if (!active && this.#readOnlySince !== undefined) {
      const heldMilliseconds = this.#clock.now() - this.#readOnlySince;
      this.#readOnlySince = undefined;
      this.#log.info({ heldMilliseconds }, 'writes are free again');
    }
    return look;
  }

  /** Who asks for the state wants an answer, above all when the store has none. */
  async #lookBriefly(): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#look(), this.#clock.sleep(STATE_WITHIN, over.signal)]).catch(() => {});
    over.abort();
  }

  #readOnlyReason(): StatusDocument['readOnly']['reason'] {
    if (this.#readOnly) return 'Configured';
    const holding = this.#holding();
    return holding.length === 0 ? undefined : reasonOf(holding);
  }

  async #turn(transition: Promise<void>): Promise<void> {
    this.#turning = transition.finally(() => {
      this.#turning = undefined;
    });
    await this.#turning;
  }

  async #becomeWriting(): Promise<void> {
    const period = ++this.#period;
    try {
      const storeNow = await this.#announcer.announce(this.#facts('writing'));
      await this.#look(storeNow === undefined ? {} : { storeNow });
      this.#state = 'writing';
      this.#answerSoon();
    } finally {
      this.#loop = this.#lookWhileWriting(period);
    }
  }

  async #becomeIdle(): Promise<void> {
    this.#state = 'idle';
    // Permission goes first: an idle server must not hold one.
    this.#watch.forget();
    await this.#announcer.announce(this.#facts('idle'));
  }

  /** Looks every 2 s, or every half while a run is live, until there was nothing to write for a while, then says so. */
  async #lookWhileWriting(period: number): Promise<void> {
    while (this.#period === period) {
      try {
        const { lookEvery, lookEveryInRun } = this.#parameters;
        const pause = this.#watch.live().length > 0 ? lookEveryInRun : lookEvery;
        await this.#clock.sleep(pause, this.#stop.signal);
        if (this.#turning || this.#period !== period) continue;
        if (this.#state === 'writing') await this.#look();
        // Idle already: the store failed in the middle of a turn, and what is announced may be wrong.
        if (this.#state === 'idle' || this.#isIdle()) {
          await this.#turn(this.#becomeIdle());
          return;
        }
        const written = await this.#answer();
        // As long as something is in progress, so that a collector does not wait for a server that has died.
        if (written === undefined && this.#isDraining()) await this.#announcer.refresh();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.warn({ error }, 'the read-only lease cannot be read; writes wait until it can');
      }
    }
  }

  #isIdle(): boolean {
    if (this.#writes > 0 || this.#waiting > 0 || this.#uploads.count() > 0) return false;
    return this.#clock.monotonic() - this.#lastWrite >= this.#parameters.idleAfter;
  }

  /** While a run is live, the announcement says that it was seen, and what is still in progress when it holds writes. */
  async #answer(): Promise<number | undefined> {
    return this.#state === 'writing' ? this.#announcer.announce(this.#facts('writing')) : undefined;
  }

  #answerSoon(): void {
    if (this.#watch.live().length === 0 || this.#stop.signal.aborted) return;
    this.#answer().catch((error: unknown) => this.#log.warn({ error }, 'the announcement cannot be written'));
  }

  #isDraining(): boolean {
    return this.#holding().length > 0 && this.#writes + this.#uploads.count() > 0;
  }

  #facts(state: 'idle' | 'writing'): Parameters<Announcer['announce']>[0] {
    const runs = this.#watch.live().map(({ run }) => run);
    const holds = this.#holding().map(({ run }) => run);
    // Counts matter to who drains alone; without one they would make the announcement change with each request.
    const counts =
      holds.length > 0 ? { writes: this.#writes, uploads: this.#uploads.count() } : { writes: 0, uploads: 0 };
    return { state, runs, holds, ...counts };
  }

  async #keepAnnounced(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#clock.sleep(this.#parameters.announceEvery, this.#stop.signal);
        await this.#announcer.refresh();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.warn({ error }, 'the announcement cannot be written');
      }
    }
  }

  /** Until the loop has looked, so that one look is enough for all that wait. @param milliseconds at most. */
  async #waitForLook(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    const looked = new AbortController();
    const signals = signal ? [signal, looked.signal] : [looked.signal];
    this.#waiting++;
    try {
      await Promise.race([this.#looked.promise, this.#clock.sleep(milliseconds, AbortSignal.any(signals))]);
    } finally {
      this.#waiting--;
      looked.abort();
    }
  }
}

function readOnlyConfigured(): RegistryError {
  return new RegistryError({
    code: 'UNSUPPORTED',
    message: 'the registry is read-only by its configuration (storage.maintenance.readonly)',
  });
}

/** Bytes for an upload that is open, and its commit, go on while runs drain. */
function isForOpenUpload(kind: WriteKind, holding: readonly RunRecord[]): boolean {
  return kind === 'upload' && holding.every(({ phase }) => phase === 'draining');
}

function reasonOf(holding: readonly RunRecord[]): 'Draining' | 'Marking' {
  return holding.some(({ phase }) => phase === 'marking') ? 'Marking' : 'Draining';
}

function heldTooLong(holding: readonly RunRecord[]): RegistryError {
  return new RegistryError(
    {
      code: 'UNAVAILABLE',
      message: 'a garbage collection holds writes for a short time; try again',
      detail: { reason: `GarbageCollection${reasonOf(holding)}` },
    },
    { headers: { 'Retry-After': '10' } },
  );
}
