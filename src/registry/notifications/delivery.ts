import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { envelope } from './event.ts';
import type { EventQueue } from './event-queue.ts';
import type { EndpointMetrics } from './notification-metrics.ts';
import type { Outcome } from './post-event.ts';

/** Longest pause that grows by itself, and longest that an endpoint can ask for; milliseconds. */
const LONGEST_PAUSE = 60_000;
const LONGEST_RETRY_AFTER = 3600_000;

export interface DeliveryOptions {
  readonly name: string;
  readonly queue: EventQueue;
  /** Tries in a row that may fail without a pause. */
  readonly threshold: number;
  /** The first pause, in milliseconds. */
  readonly backoff: number;
  /** Refusals after which an event is a dead letter. */
  readonly attempts: number;
  readonly post: (event: { readonly id: string; readonly body: string }) => Promise<Outcome>;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: EndpointMetrics;
}

/**
 * Hands the events of one endpoint over, one after the other in their order. One that cannot be delivered is tried again
 * until it is, or until the endpoint has refused it too often.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #stopping = new AbortController();
  #wake: (() => void) | undefined;
  /** In a row, whatever the event. */
  #failures = 0;
  readonly #run: Promise<void>;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#run = this.#deliverAll();
  }

  /** An event was put into the queue. */
  wake(): void {
    this.#wake?.();
  }

  /** Lets the try in progress end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#run;
  }

  async #deliverAll(): Promise<void> {
    const { queue } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const line = queue.peek();
      if (line === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else await this.#deliver(line);
    }
  }

  async #deliver(line: string): Promise<void> {
    const { queue, log, name } = this.#options;
    const event = read(line);
    if (event === undefined) {
      log.error(
        { endpoint: name, bytes: line.length },
        'an event that was kept cannot be read and is given up',
      );
      return queue.shift();
    }
    for (let refusals = 0; !this.#stopping.signal.aborted;) {
      const outcome = await this.#options.post(event);
      this.#count(outcome);
      if (outcome.kind === 'accepted') {
        if (this.#failures > 0)
          log.info({ endpoint: name, failures: this.#failures }, 'an endpoint takes events again');
        this.#failures = 0;
        if (queue.peek() === line) queue.shift();
        return;
      }
      this.#failed(event.id, outcome);
      if (outcome.kind === 'refused' && ++refusals >= this.#options.attempts) {
        if (queue.peek() === line) this.#bury(event.id, outcome.status);
        return;
      }
      await this.#pause(outcome);
      // It may have had to make room meanwhile.
      if (queue.peek() !== line) return;
    }
  }

  #count(outcome: Outcome): void {
    const { metrics } = this.#options;
    if (outcome.status === undefined) metrics.error();
    else metrics.answer(outcome.status, outcome.kind === 'accepted');
  }

  /** One line when it begins to fail, and one for each long pause: not one for each try. */
  #failed(event: string, outcome: Exclude<Outcome, { kind: 'accepted' }>): void {
    const { log, name, threshold, queue } = this.#options;
    this.#failures++;
    if (this.#failures !== 1 && this.#failures < threshold) return;
    const reason = outcome.kind === 'refused' ? `status ${outcome.status}` : outcome.reason;
    log.warn(
      { endpoint: name, event, reason, failures: this.#failures, pending: queue.size },
      'an event could not be delivered and is tried again',
    );
  }

  #bury(event: string, status: number): void {
    const { queue, log, name, attempts, metrics } = this.#options;
    queue.bury();
    metrics.givenUp('refused', 1);
    log.error(
      { endpoint: name, event, status, attempts },
      'an endpoint refused an event too often: it is a dead letter',
    );
  }

  async #pause(outcome: Outcome): Promise<void> {
    const { threshold, backoff, clock, random } = this.#options;
    const asked = outcome.kind === 'unavailable' ? outcome.retryAfter : 0;
    const longest = Math.max(backoff, LONGEST_PAUSE);
    const own =
      this.#failures < threshold ? 0 : Math.min(longest, backoff * 2 ** (this.#failures - threshold));
    const pause = Math.max(own * (0.5 + random() / 2), Math.min(asked, LONGEST_RETRY_AFTER));
    if (pause === 0) return;
    await clock.sleep(pause, this.#stopping.signal).catch(() => undefined); // woken up to stop
  }
}

function read(line: string): { id: string; body: string } | undefined {
  try {
    const { id } = JSON.parse(line) as { id: string }; // what eventLine wrote
    return { id, body: envelope(line) };
  } catch {
    return undefined;
  }
}
