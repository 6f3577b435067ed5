import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';

/**
 * What a failing check says. `storage`: what needs the store cannot be answered. `dependency`: something that the
 * registry cannot do without, wherever that runs. `instance`: this process, and no other, is out of service.
 */
export type Concern = 'storage' | 'dependency' | 'instance';

export interface HealthCheck {
  /** As `/debug/health` names it. */
  readonly name: string;
  readonly concern: Concern;
  /** Milliseconds between the end of one check and the next. */
  readonly interval: number;
  /** How often in a row it has to fail before that counts. */
  readonly threshold: number;
  /** Milliseconds after which a check has failed. */
  readonly timeout: number;
  /** Ends early when the signal is aborted. @throws Error that says what is wrong. */
  check(signal: AbortSignal): Promise<void>;
}

/** What fails at the moment. */
export interface HealthReport {
  /** By the name of the check, as docker distribution words it. */
  readonly failures: Readonly<Record<string, string>>;
  readonly concerns: readonly Concern[];
}

interface Result {
  readonly concern: Concern;
  readonly problem: string;
}

/** docker distribution's name for what `POST /debug/health/down` sets. */
const MANUAL = 'manual_http_status';

/** Runs checks all the time and knows which of them fail. */
export class HealthMonitor {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #failing = new Map<string, Result>();
  readonly #stop = new AbortController();
  readonly #running: readonly Promise<void>[];

  constructor(deps: {
    readonly checks: readonly HealthCheck[];
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#running = deps.checks.map((check) => this.#poll(check));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server stops'));
    await Promise.all(this.#running);
  }

  get isWell(): boolean {
    return this.#failing.size === 0;
  }

  report(): HealthReport {
    const failures = Object.fromEntries([...this.#failing].map(([name, { problem }]) => [name, problem]));
    return { failures, concerns: [...this.concerns()] };
  }

  /** What a check of this concern says that fails, undefined while none does. */
  problemOf(concern: Concern): string | undefined {
    return [...this.#failing.values()].find((result) => result.concern === concern)?.problem;
  }

  /** Concerns of the checks that fail. */
  concerns(): ReadonlySet<Concern> {
    return new Set([...this.#failing.values()].map(({ concern }) => concern));
  }

  /** Takes this instance out of service, or puts it back, by hand. */
  setInService(inService: boolean): void {
    if (inService) this.#failing.delete(MANUAL);
    else this.#failing.set(MANUAL, { concern: 'instance', problem: 'manual Check' });
    this.#log.info({ inService }, 'put in or out of service by hand');
  }

  /** The first check is due after an interval: what the registry depends on may be starting as well. */
  async #poll(check: HealthCheck): Promise<void> {
    const attempts = new Attempts(check, this.#clock);
    let failures = 0;
    for (;;) {
      try {
        await this.#clock.sleep(check.interval, this.#stop.signal);
      } catch {
        return;
      }
      const problem = await attempts.next(this.#stop.signal);
      failures = problem === undefined ? 0 : failures + 1;
      if (problem === undefined) this.#succeeded(check);
      else if (failures >= check.threshold) this.#failed(check, problem);
    }
  }

  #failed({ name, concern }: HealthCheck, problem: string): void {
    if (!this.#failing.has(name)) this.#log.error({ check: name, problem }, 'a health check fails');
    this.#failing.set(name, { concern, problem });
  }

  #succeeded({ name }: HealthCheck): void {
    if (this.#failing.delete(name)) this.#log.info({ check: name }, 'a health check is fine again');
  }
}

/** Tries one check, never twice at once: one that hangs must not pile up. */
class Attempts {
  readonly #check: HealthCheck;
  readonly #clock: Clock;
  #hangs = false;

  constructor(check: HealthCheck, clock: Clock) {
    this.#check = check;
    this.#clock = clock;
  }

  /** @returns what is wrong, undefined when nothing is. */
  async next(stop: AbortSignal): Promise<string | undefined> {
    const { timeout } = this.#check;
    if (this.#hangs) return `no answer within ${timeout} ms`;
    const over = new AbortController();
    const late = this.#clock.sleep(timeout, AbortSignal.any([over.signal, stop]));
    const attempt = this.#try(AbortSignal.any([over.signal, stop]));
    try {
      return await Promise.race([attempt, late.then(() => `no answer within ${timeout} ms`)]);
    } catch {
      return undefined; // the server stops
    } finally {
      over.abort();
    }
  }

  async #try(signal: AbortSignal): Promise<string | undefined> {
    this.#hangs = true;
    try {
      await this.#check.check(signal);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.#hangs = false;
    }
  }
}
