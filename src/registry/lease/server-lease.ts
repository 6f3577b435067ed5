import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import { RegistryError } from '../errors.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { Announcer } from './announcer.ts';
import { elapsedForHolder } from './elapsed.ts';
import { judgeLook } from './judge-look.ts';
import { LeaseWatch, type Look } from './lease-watch.ts';
import { OpenUploads } from './open-uploads.ts';
import { leaseParameters, type LeaseParameters } from './parameters.ts';
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
 * write it is announced as `writing` and looks at the collectors' runs every 2 s; otherwise it holds no permission and
 * reads nothing.
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
      changed: () => this.#acknowledgeSoon(),
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
    for (;;) {
      const permit = await this.#try(kind);
      if (permit) return permit;
      const left = this.#parameters.holdFor - (this.#clock.monotonic() - asked);
      if (left <= 0) throw heldTooLong(this.#watch.live().map(({ phase }) => phase));
      await this.#wait(Math.min(left, this.#parameters.lookEvery / 2), signal);
    }
  }

  async tryBegin(): Promise<WritePermit | undefined> {
    return this.#readOnly ? undefined : this.#try('open');
  }

  async #try(kind: WriteKind): Promise<WritePermit | undefined> {
    this.#lastWrite = this.#clock.monotonic();
    // The announcement has landed before the first look that may give permission, so a collector finds this server.
    while (this.#state === 'idle' || this.#turning)
      await (this.#turning ?? this.#turn(this.#becomeWriting()));
    const look = this.#watch.permission() ?? (await this.#look());
    const live = this.#watch.live();
    if (live.length === 0 && this.#watch.permission()) return this.#permit(kind, look);
    if (kind === 'upload' && live.length > 0 && live.every(({ phase }) => phase === 'draining')) {
      return this.#permit(kind, look);
    }
    return undefined;
  }

  #permit(kind: WriteKind, look: Look): WritePermit {
    // Runs that the look which gave the permission knew of; validate() compares with these for the whole request.
    let known = look.runs;
    if (kind !== 'upload') this.#writes++;
    let ended = false;
    return {
      check: async () => {
        // A look that others began may be too old by the time it ends; then one of our own decides.
        for (const fresh of [false, true]) {
          if (this.#watch.permission()) return;
          const { live, began } = await this.#look({ fresh });
          if (live.length === 0) continue;
          if (kind !== 'upload' || live.some(({ phase }) => phase !== 'draining')) {
            throw heldTooLong(live.map(({ phase }) => phase));
          }
          if (elapsedForHolder(this.#clock, began) < this.#parameters.permission) return;
        }
        if (!this.#watch.permission()) throw heldTooLong(this.#watch.live().map(({ phase }) => phase));
      },
      validate: async () => {
        const judged = judgeLook(known, await this.#look({ fresh: true }));
        if (judged.verdict === 'refuse') throw heldTooLong(['marking']);
        known = judged.known;
        return judged.verdict;
      },
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        this.#lastWrite = this.#clock.monotonic();
        if (kind === 'upload') return;
        this.#writes--;
        if (this.#writes === 0) this.#acknowledgeSoon();
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
    const live = this.#watch.live();
    if (live.length === 0) return undefined;
    return live.some(({ phase }) => phase === 'marking') ? 'Marking' : 'Draining';
  }

  async #turn(transition: Promise<void>): Promise<void> {
    this.#turning = transition.finally(() => {
      this.#turning = undefined;
    });
    await this.#turning;
  }

  async #becomeWriting(): Promise<void> {
    this.#loop = this.#lookWhileWriting(++this.#period);
    const storeNow = await this.#announcer.announce(this.#facts('writing'));
    await this.#look(storeNow === undefined ? {} : { storeNow });
    this.#state = 'writing';
  }

  async #becomeIdle(): Promise<void> {
    this.#state = 'idle';
    // Permission goes first: an idle server must not hold one.
    this.#watch.forget();
    await this.#announcer.announce(this.#facts('idle'));
  }

  /** Looks every 2 s until there was nothing to write for a while, then says so. */
  async #lookWhileWriting(period: number): Promise<void> {
    while (this.#period === period) {
      try {
        await this.#clock.sleep(this.#parameters.lookEvery, this.#stop.signal);
        if (this.#turning || this.#period !== period) continue;
        if (this.#state === 'writing') await this.#look();
        // Idle already: the store failed in the middle of a turn, and what is announced may be wrong.
        if (this.#state === 'idle' || this.#isIdle()) {
          await this.#turn(this.#becomeIdle());
          return;
        }
        await this.#acknowledge();
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

  /**
   * While a run is live, the announcement says that it was seen and what is still in progress; as long as something is, it
   * is written anew at each look, so that a collector does not wait for a server that has died.
   */
  async #acknowledge(): Promise<void> {
    if (this.#state !== 'writing') return;
    const facts = this.#facts('writing');
    const written = await this.#announcer.announce(facts);
    if (written === undefined && facts.writes + facts.uploads > 0) await this.#announcer.refresh();
  }

  #acknowledgeSoon(): void {
    if (this.#watch.live().length === 0) return;
    this.#acknowledge().catch((error: unknown) =>
      this.#log.warn({ error }, 'the announcement cannot be written'),
    );
  }

  #facts(state: 'idle' | 'writing'): Parameters<Announcer['announce']>[0] {
    const runs = this.#watch.live().map(({ run }) => run);
    // Counts matter to a collector alone; without one they would make the announcement change with each request.
    const counts =
      runs.length > 0 ? { writes: this.#writes, uploads: this.#uploads.count() } : { writes: 0, uploads: 0 };
    return { state, runs, ...counts };
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

  async #wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    this.#waiting++;
    try {
      await this.#clock.sleep(milliseconds, signal);
    } finally {
      this.#waiting--;
    }
  }
}

function readOnlyConfigured(): RegistryError {
  return new RegistryError({
    code: 'UNSUPPORTED',
    message: 'the registry is read-only by its configuration (storage.maintenance.readonly)',
  });
}

function heldTooLong(phases: readonly string[]): RegistryError {
  const reason = phases.includes('marking') ? 'Marking' : 'Draining';
  return new RegistryError(
    {
      code: 'UNAVAILABLE',
      message: 'a garbage collection holds writes for a short time; try again',
      detail: { reason: `GarbageCollection${reason}` },
    },
    { headers: { 'Retry-After': '10' } },
  );
}
