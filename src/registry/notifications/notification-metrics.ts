import { STATUS_CODES } from 'node:http';
import { Counter, Gauge, type Registry } from 'prom-client';

/** Counts under distribution's names, so that its dashboards fit. */
export interface EndpointMetrics {
  /** An event was taken in. */
  event(): void;
  /** The endpoint answered. */
  answer(status: number, accepted: boolean): void;
  /** The endpoint could not be asked. */
  error(): void;
  /** Events were given up: as a dead letter, because too many waited, or because the disk is full. */
  givenUp(why: 'refused' | 'overflow' | 'lost', count: number): void;
}

interface Waiting {
  readonly endpoint: string;
  readonly pending: number;
  readonly deadLetters: number;
}

/** @param waiting looks up how many events wait, and how many dead letters there are, when Prometheus asks. */
export function createNotificationMetrics(
  registry: Registry,
  waiting: () => readonly Waiting[],
): (endpoint: string) => EndpointMetrics {
  const registers = [registry];
  const events = new Counter({
    name: 'registry_notifications_events_total',
    help: 'Events of each endpoint, by what became of them or of a try.',
    labelNames: ['type', 'endpoint'],
    registers,
  });
  const statuses = new Counter({
    name: 'registry_notifications_status_total',
    help: 'Answers of each endpoint, by status.',
    labelNames: ['code', 'endpoint'],
    registers,
  });
  const givenUp = new Counter({
    name: 'stevedore_notifications_given_up_total',
    help: 'Events that were not delivered: refused too often, or too many that waited.',
    labelNames: ['reason', 'endpoint'],
    registers,
  });
  const gauge = (name: string, help: string, read: (endpoint: Waiting) => number): Gauge =>
    new Gauge({
      name,
      help,
      labelNames: ['endpoint'],
      registers,
      collect() {
        for (const endpoint of waiting()) this.set({ endpoint: endpoint.endpoint }, read(endpoint));
      },
    });
  gauge(
    'registry_notifications_pending_total',
    'Events that wait for each endpoint.',
    ({ pending }) => pending,
  );
  gauge(
    'stevedore_notifications_dead_letters',
    'Refused events that are kept.',
    ({ deadLetters }) => deadLetters,
  );
  return (endpoint) => ({
    event: () => events.inc({ type: 'Events', endpoint }),
    answer(status, accepted) {
      events.inc({ type: accepted ? 'Successes' : 'Failures', endpoint });
      statuses.inc({ code: `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd(), endpoint });
    },
    error: () => events.inc({ type: 'Errors', endpoint }),
    givenUp: (reason, count) => givenUp.inc({ reason, endpoint }, count),
  });
}
