import type { Registry } from 'prom-client';
import type {
  EndpointConfig,
  NotificationsConfig,
  OutboxConfig,
} from '../../contract/config/notifications-section.ts';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { Delivery } from './delivery.ts';
import type { RecordedEvent } from './event-recorder.ts';
import { MemoryQueue, type EventQueue } from './event-queue.ts';
import { createNotificationMetrics, type EndpointMetrics } from './notification-metrics.ts';
import { Outbox } from './outbox.ts';
import { postEvent, type Send } from './post-event.ts';

/** How often what was recorded is synced to the disk, and how often the outbox is looked at; milliseconds. */
const SYNC_EVERY = 1000;
const LOOK_EVERY = 60_000;

export interface NotificationDependencies {
  readonly config: NotificationsConfig;
  readonly settings: OutboxConfig;
  /** Where events wait; undefined: in memory. */
  readonly outbox: string | undefined;
  /** A name that no other living server has and that a restart keeps, such as host and port. */
  readonly server: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly random: () => number;
  readonly send: Send;
}

interface Endpoint {
  readonly name: string;
  readonly queue: EventQueue;
  readonly delivery: Delivery;
  readonly metrics: EndpointMetrics;
  readonly ignoredMediaTypes: ReadonlySet<string>;
  readonly ignoredActions: ReadonlySet<string>;
  /** The last event could not be kept; the log tells of the first. */
  isFull: boolean;
}

/** Webhooks: events go into a queue for each endpoint, and from there to the endpoint. */
export class Notifications {
  readonly #deps: NotificationDependencies;
  readonly #outbox: Outbox | undefined;
  readonly #endpoints: readonly Endpoint[];
  readonly #stopping = new AbortController();
  readonly #upkeep: Promise<unknown>;

  /** @throws a file system's error when the outbox cannot be used. */
  constructor(deps: NotificationDependencies) {
    this.#deps = deps;
    const { config, settings, server, outbox } = deps;
    this.#outbox = outbox === undefined ? undefined : new Outbox(outbox, server, settings.maxpending);
    const metrics = createNotificationMetrics(deps.metrics, () => this.#waiting());
    this.#endpoints = namedEndpoints(config.endpoints).map(([name, endpoint]) =>
      this.#openEndpoint(name, endpoint, metrics(name)),
    );
    if (this.#outbox === undefined) {
      deps.log.warn(
        {},
        'events wait in memory, and a restart loses them: set stevedore.notifications.outbox',
      );
    }
    this.#adopt();
    this.#upkeep = Promise.all([
      this.#every(SYNC_EVERY, () => Promise.all(this.#endpoints.map(({ queue }) => queue.sync()))),
      this.#every(LOOK_EVERY, () => this.#adopt()),
    ]);
  }

  /** Keeps an event for each endpoint that wants it, which outlives this process from then on. */
  take({ action, mediaType, line }: RecordedEvent): void {
    for (const endpoint of this.#endpoints) {
      if (!endpoint.ignoredMediaTypes.has(mediaType) && !endpoint.ignoredActions.has(action))
        this.#push(endpoint, line);
    }
  }

  status(): NonNullable<StatusDocument['notifications']> {
    return this.#waiting();
  }

  /** Lets tries in progress end. What is left waits for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#upkeep, ...this.#endpoints.map(({ delivery }) => delivery.stop())]);
    const left = this.#waiting().reduce((sum, { pending, deadLetters }) => sum + pending + deadLetters, 0);
    for (const { queue } of this.#endpoints) {
      await queue.sync();
      queue.close();
    }
    this.#outbox?.leave(left);
    if (left > 0 && this.#outbox === undefined)
      this.#deps.log.warn({ events: left }, 'events that waited are lost');
  }

  #openEndpoint(name: string, endpoint: EndpointConfig, metrics: EndpointMetrics): Endpoint {
    const { settings, clock, random, log } = this.#deps;
    const queue = this.#outbox?.queue(name) ?? new MemoryQueue(settings.maxpending);
    const secret = settings.secrets[endpoint.name];
    const delivery = new Delivery({
      name,
      queue,
      threshold: endpoint.threshold,
      backoff: endpoint.backoff,
      attempts: settings.attempts,
      post: (event) => postEvent({ ...endpoint, secret }, event, this.#deps),
      clock,
      random,
      log,
      metrics,
    });
    return {
      name,
      queue,
      delivery,
      metrics,
      ignoredMediaTypes: new Set([...endpoint.ignoredmediatypes, ...endpoint.ignore.mediatypes]),
      ignoredActions: new Set(endpoint.ignore.actions),
      isFull: false,
    };
  }

  /** A full disk must not fail the push that the event is about. */
  #push(endpoint: Endpoint, line: string): void {
    const { name, queue, delivery, metrics } = endpoint;
    const { log } = this.#deps;
    metrics.event();
    try {
      const givenUp = queue.push(line);
      endpoint.isFull = false;
      if (givenUp > 0) {
        metrics.givenUp('overflow', givenUp);
        log.error({ endpoint: name, events: givenUp }, 'too many events wait: the oldest were given up');
      }
      delivery.wake();
    } catch (error) {
      metrics.givenUp('lost', 1);
      if (!endpoint.isFull) log.error({ endpoint: name, error }, 'events cannot be kept and are lost');
      endpoint.isFull = true;
    }
  }

  #adopt(): void {
    const { log } = this.#deps;
    const endpoints = new Map(this.#endpoints.map((endpoint) => [endpoint.name, endpoint]));
    const count = this.#outbox?.adopt((name, line) => {
      const endpoint = endpoints.get(name);
      if (endpoint) this.#push(endpoint, line);
    });
    if (count) log.info({ events: count }, 'took over the events of servers that are no more');
  }

  async #every(milliseconds: number, action: () => unknown): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#stopping;
    for (;;) {
      await clock.sleep(milliseconds, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await action();
      } catch (error) {
        log.warn({ error }, 'the outbox cannot be kept up');
      }
    }
  }

  #waiting(): { readonly endpoint: string; readonly pending: number; readonly deadLetters: number }[] {
    return this.#endpoints.map(({ name, queue }) => ({
      endpoint: name,
      pending: queue.size,
      deadLetters: queue.deadLetters,
    }));
  }
}

/** Those that are not disabled, each under a name of its own. */
function namedEndpoints(
  endpoints: readonly EndpointConfig[],
): readonly (readonly [string, EndpointConfig])[] {
  const taken = new Set<string>();
  return endpoints
    .filter(({ disabled }) => !disabled)
    .map((endpoint) => {
      const wanted = endpoint.name || new URL(endpoint.url ?? '').host;
      let name = wanted;
      for (let count = 2; taken.has(name); count++) name = `${wanted}~${count}`;
      taken.add(name);
      return [name, endpoint];
    });
}
