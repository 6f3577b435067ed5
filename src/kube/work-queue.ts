import type { Clock } from '../process/clock.ts';
import { exponential, type Random } from './backoff.ts';
import type { KubeMetrics } from './metrics.ts';

const RETRY = { firstMs: 5, longestMs: 300_000 };

/**
 * Keys to work on. A key waits once however often it is added, is worked on by one worker at a time, and when it is
 * added meanwhile, once more afterwards. For each key at most one addition lies in the future, the earliest; work on
 * the key cancels it, since its result says when to look again.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #labels: { readonly name: string; readonly controller: string };
  /** Key to the monotonic time when it was added; a Map keeps the order. */
  readonly #waiting = new Map<string, number>();
  readonly #running = new Map<string, { readonly startedAt: number; readonly finished: Promise<void> }>();
  /** Added while running. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { readonly at: number; readonly cancel: AbortController }>();
  readonly #failures = new Map<string, number>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#labels = { name: options.name, controller: options.name };
    options.metrics.onCollect(() => this.#collect());
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#state === 'stopped') return;
    if (this.#running.has(key)) {
      if (!this.#again.has(key)) this.#options.metrics.queueAdds.inc(this.#labels);
      this.#again.add(key);
      return;
    }
    if (this.#waiting.has(key)) return;
    this.#options.metrics.queueAdds.inc(this.#labels);
    this.#waiting.set(key, this.#options.clock.monotonic());
    this.#pump();
  }

  /** Adds the key after a time, unless an earlier addition lies ahead already. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#state === 'stopped') return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const at = this.#options.clock.monotonic() + milliseconds;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.at <= at) return;
    this.#cancelLater(key);
    const cancel = new AbortController();
    this.#later.set(key, { at, cancel });
    this.#options.clock.sleep(milliseconds, cancel.signal).then(
      () => {
        if (this.#later.get(key)?.cancel !== cancel) return;
        this.#later.delete(key);
        this.add(key);
      },
      () => undefined,
    );
  }

  /**
   * Adds the key after 5 ms · 2^n for its n-th failure in a row, at most 5 minutes, of which a random half is left
   * out; but not before `atLeastMs`. Gives the milliseconds until then.
   */
  retry(key: string, atLeastMs = 0): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#options.metrics.queueRetries.inc(this.#labels);
    const ceiling = exponential(RETRY.firstMs, RETRY.longestMs, failures);
    const delay = Math.max(atLeastMs, ceiling * (0.5 + this.#options.random() / 2));
    this.addAfter(key, delay);
    return delay;
  }

  /** The key succeeded: its next failure counts as the first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Begins to work on what was added so far and will be. */
  start(): void {
    if (this.#state === 'new') this.#state = 'started';
    this.#pump();
  }

  /** Takes on nothing more. Resolves when the work in progress has ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#waiting.clear();
    this.#again.clear();
    for (const key of this.#later.keys()) this.#cancelLater(key);
    await Promise.all(Array.from(this.#running.values(), (work) => work.finished));
  }

  #pump(): void {
    while (this.#state === 'started' && this.#running.size < this.#options.workers) {
      const next = this.#waiting.entries().next().value;
      if (next === undefined) return;
      const [key, addedAt] = next;
      const { clock, metrics } = this.#options;
      this.#waiting.delete(key);
      this.#cancelLater(key);
      metrics.queueSeconds.observe(this.#labels, (clock.monotonic() - addedAt) / 1000);
      const { promise: finished, resolve } = Promise.withResolvers<void>();
      this.#running.set(key, { startedAt: clock.monotonic(), finished });
      void this.#work(key, clock.monotonic()).then(resolve);
    }
  }

  async #work(key: string, startedAt: number): Promise<void> {
    const { clock, metrics, handle } = this.#options;
    try {
      await handle(key);
    } catch {
      // Whoever works on keys tells failures itself; what escapes it is a fault there, and the key is not lost by it.
      this.retry(key);
    }
    metrics.workSeconds.observe(this.#labels, (clock.monotonic() - startedAt) / 1000);
    this.#running.delete(key);
    if (this.#again.delete(key)) {
      // Counted as an addition when it was added.
      this.#waiting.set(key, clock.monotonic());
    }
    this.#pump();
  }

  #cancelLater(key: string): void {
    const planned = this.#later.get(key);
    this.#later.delete(key);
    planned?.cancel.abort();
  }

  #collect(): void {
    const { clock, metrics } = this.#options;
    const ages = Array.from(this.#running.values(), (work) => (clock.monotonic() - work.startedAt) / 1000);
    metrics.queueDepth.set(this.#labels, this.depth);
    metrics.unfinishedWorkSeconds.set(
      this.#labels,
      ages.reduce((sum, age) => sum + age, 0),
    );
    metrics.longestRunningSeconds.set(this.#labels, Math.max(0, ...ages));
  }
}

export interface WorkQueueOptions {
  readonly name: string;
  /** How many keys are worked on at the same time. */
  readonly workers: number;
  /** Works on one key. Should not throw; a throw is a retry. */
  readonly handle: (key: string) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: KubeMetrics;
}
