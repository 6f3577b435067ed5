import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import type { Random } from './backoff.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';

export interface LeaseRecord {
  /** Empty: nobody's. */
  readonly holder: string;
  readonly durationMs: number;
  /** MicroTime, for people: nobody's clock is judged by another's. */
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly transitions: number;
}

export interface VersionedLease {
  readonly record: LeaseRecord;
  /** Changes with every write. */
  readonly version: string;
}

/** Where candidates meet. A write succeeds only on the version it was made for. */
export interface LeaseStore {
  read(signal: AbortSignal): Promise<VersionedLease | undefined>;
  /** Undefined: somebody else made it first. */
  create(record: LeaseRecord, signal: AbortSignal): Promise<VersionedLease | undefined>;
  /** Undefined: it has changed since `version`, or is gone. */
  update(record: LeaseRecord, version: string, signal: AbortSignal): Promise<VersionedLease | undefined>;
}

export interface ElectorOptions {
  /** Of the lease, for logs and metrics. */
  readonly name: string;
  /** Unique to this run of this process: `hostname_uuid`. */
  readonly identity: string;
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  readonly times?: ElectionTimes;
  readonly onElected: () => void;
  /** Somebody else may lead from now on: the process must end, at once. */
  readonly onLost: () => void;
}

/** Must hold: duration > deadline > period. */
export interface ElectionTimes {
  /** Others take over this long after they last saw the lease change. */
  readonly leaseDurationMs: number;
  /** The holder gives up this long after it began the last renewal that succeeded. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

const ELECTION_TIMES: ElectionTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
};

/**
 * Leader election with one lease, as client-go does it. A candidate takes over when it has seen the lease unchanged for
 * the lease's duration by its own monotonic clock; what time the holder says it is never matters. The holder counts
 * from before the request that renewed, and gives up before anybody else can take over. Leaders are still not
 * exclusive in theory (a process can be stopped between a look and a write), so what they do must be repeatable.
 */
export class Elector {
  readonly #options: ElectorOptions;
  readonly #times: ElectionTimes;
  #leading = false;
  /** What was last seen, and the monotonic time when it was first seen so. */
  #seen: { readonly lease: VersionedLease; readonly since: number } | undefined;
  #lastError = '';

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#times = options.times ?? ELECTION_TIMES;
    this.#setLeading(false);
  }

  get leading(): boolean {
    return this.#leading;
  }

  /**
   * Stands for election and leads when elected. Resolves with 'lost' after onLost, or with 'released' when the signal is
   * aborted: a lease held is given back then, so that the next leader need not wait. Abort it last in a shutdown.
   */
  async run(signal: AbortSignal): Promise<'released' | 'lost'> {
    const { clock, log, name, identity, onElected, onLost } = this.#options;
    const electedAt = await this.#acquire(signal);
    if (electedAt === undefined) return 'released';
    this.#setLeading(true);
    log.info({ lease: name, identity }, 'elected as leader');
    onElected();
    const lost = await this.#hold(electedAt, signal);
    this.#setLeading(false);
    if (lost) {
      const holder = this.#seen?.lease.record.holder;
      log.error({ lease: name, identity, holder, lastError: this.#lastError }, 'lost the leader lease');
      onLost();
      return 'lost';
    }
    await this.#release();
    log.info(
      { lease: name, identity, heldMs: Math.round(clock.monotonic() - electedAt) },
      'released the leader lease',
    );
    return 'released';
  }

  /** The monotonic time when the lease that we hold began, or undefined when the signal was aborted first. */
  async #acquire(signal: AbortSignal): Promise<number | undefined> {
    const { clock, random } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      if ((await this.#try(this.#times.renewDeadlineMs / 2, signal)) === 'ours') return startedAt;
      await this.#pause(this.#times.retryPeriodMs * (1 + random()), signal);
    }
    return undefined;
  }

  /** True when the lease is lost, false when the signal was aborted. */
  async #hold(electedAt: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    let deadline = electedAt + this.#times.renewDeadlineMs;
    for (;;) {
      await this.#pause(Math.min(this.#times.retryPeriodMs, deadline - clock.monotonic()), signal);
      if (signal.aborted) return false;
      const startedAt = clock.monotonic();
      if (startedAt >= deadline) return true;
      const timeout = Math.min(this.#times.renewDeadlineMs / 2, deadline - startedAt);
      const result = await this.#try(timeout, signal);
      if (result === 'theirs') return true;
      // A renewal that was answered only after the deadline proves nothing about the time between.
      if (clock.monotonic() >= deadline) return true;
      if (result === 'ours') deadline = startedAt + this.#times.renewDeadlineMs;
    }
  }

  /** One attempt to acquire or renew. */
  async #try(timeoutMs: number, signal: AbortSignal): Promise<'ours' | 'theirs' | 'failed'> {
    const { name, log } = this.#options;
    try {
      const ours = await this.#within(timeoutMs, signal, (limit) => this.#write(limit));
      this.#lastError = '';
      return ours ? 'ours' : 'theirs';
    } catch (error) {
      if (!signal.aborted) {
        this.#lastError = error instanceof Error ? error.message : String(error);
        log.warn({ error, lease: name, leading: this.#leading }, 'leader lease out of reach');
      }
      return 'failed';
    }
  }

  /** True when the lease is ours after this. */
  async #write(signal: AbortSignal): Promise<boolean> {
    const { store, identity } = this.#options;
    // The holder renews what it wrote last without looking first; a candidate always looks.
    if (this.#seen?.lease.record.holder === identity) {
      const renewed = await store.update(
        this.#renewal(this.#seen.lease.record),
        this.#seen.lease.version,
        signal,
      );
      if (renewed !== undefined) return this.#observe(renewed);
    }
    const found = await store.read(signal);
    if (found === undefined) {
      const created = await store.create(this.#acquisition(0), signal);
      return created !== undefined && this.#observe(created);
    }
    this.#observe(found);
    const { record, version } = found;
    if (record.holder === identity) {
      // An earlier write of ours had landed after all.
      const renewed = await store.update(this.#renewal(record), version, signal);
      if (renewed === undefined) throw new Error('the lease changed while it was being renewed');
      return this.#observe(renewed);
    }
    if (this.#leading || !this.#mayTake(record)) return false;
    const taken = await store.update(this.#acquisition(record.transitions + 1), version, signal);
    return taken !== undefined && this.#observe(taken);
  }

  /** Notes what was seen, and since when by our own clock. True when it is ours. */
  #observe(lease: VersionedLease): boolean {
    if (this.#seen?.lease.version !== lease.version) {
      this.#seen = { lease, since: this.#options.clock.monotonic() };
    }
    return lease.record.holder === this.#options.identity;
  }

  #mayTake(record: LeaseRecord): boolean {
    if (record.holder === '') return true;
    const since = this.#seen?.since ?? this.#options.clock.monotonic();
    return this.#options.clock.monotonic() - since >= record.durationMs;
  }

  #acquisition(transitions: number): LeaseRecord {
    const now = microTime(this.#options.clock.now());
    const { leaseDurationMs: durationMs } = this.#times;
    return { holder: this.#options.identity, durationMs, acquireTime: now, renewTime: now, transitions };
  }

  #renewal(record: LeaseRecord): LeaseRecord {
    const renewTime = microTime(this.#options.clock.now());
    return { ...record, durationMs: this.#times.leaseDurationMs, renewTime };
  }

  /** Best effort: a lease that could not be given back lapses. */
  async #release(): Promise<void> {
    const { log, name } = this.#options;
    try {
      const never = new AbortController().signal;
      await this.#within(this.#times.renewDeadlineMs / 2, never, (limit) => this.#writeRelease(limit));
    } catch (error) {
      log.warn({ error, lease: name }, 'leader lease not released');
    }
  }

  async #writeRelease(signal: AbortSignal): Promise<void> {
    const { store, identity, clock } = this.#options;
    const released = (record: LeaseRecord): LeaseRecord => {
      return { ...record, holder: '', durationMs: 1000, renewTime: microTime(clock.now()) };
    };
    const seen = this.#seen?.lease;
    if (seen !== undefined && (await store.update(released(seen.record), seen.version, signal)) !== undefined)
      return;
    // A renewal that the shutdown cut short had landed.
    const found = await store.read(signal);
    if (found?.record.holder === identity) await store.update(released(found.record), found.version, signal);
  }

  /** Runs `work`, but fails after the time even if it does not heed its signal. */
  async #within<T>(
    timeoutMs: number,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const limit = new AbortController();
    const finished = new AbortController();
    const stop = AbortSignal.any([signal, finished.signal]);
    const timeout = async (): Promise<never> => {
      await this.#options.clock.sleep(timeoutMs, stop);
      const error = new Error('no answer in time');
      limit.abort(error);
      throw error;
    };
    try {
      return await Promise.race([work(AbortSignal.any([signal, limit.signal])), timeout()]);
    } finally {
      finished.abort();
    }
  }

  async #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    // Who paused looks at the signal next.
    await this.#options.clock.sleep(milliseconds, signal).catch(() => undefined);
  }

  #setLeading(leading: boolean): void {
    this.#leading = leading;
    this.#options.metrics.leader.set({ name: this.#options.name }, leading ? 1 : 0);
  }
}
