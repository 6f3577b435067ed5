import { Counter, Gauge, type Registry } from 'prom-client';
import { PlainHistogram, SECONDS, type Series } from '../../process/plain-histogram.ts';
import type { Route } from './route.ts';

/** Counts requests under the names that docker distribution uses, so that its dashboards fit. */
export interface RequestMetrics {
  begin(kind: Route['kind']): void;
  end(kind: Route['kind'], facts: RequestFacts): void;
}

interface RequestFacts {
  readonly method: string;
  readonly status: number;
  /** From the first header to the last byte of the answer. */
  readonly seconds: number;
  /** Bytes of the bodies. */
  readonly received: number;
  readonly sent: number;
  /** Whether the client said who it is. */
  readonly hasCredentials: boolean;
}

/** docker distribution's names of its routes. */
const handlers: Readonly<Record<Route['kind'], string>> = {
  base: 'base',
  catalog: 'catalog',
  tags: 'tags',
  manifest: 'manifest',
  blob: 'blob',
  referrers: 'referrers',
  uploads: 'blob_upload',
  upload: 'blob_upload_chunk',
};

/** Upper bounds of buckets for bytes, from 1 KiB to 4 GiB, as docker distribution has them. */
const BYTES = Array.from({ length: 23 }, (_, index) => 1024 * 2 ** index);

/** Requests of one handler and method. */
interface Tally {
  readonly labels: { readonly handler: string; readonly method: string };
  readonly byStatus: Map<number, number>;
  readonly seconds: Series;
  readonly received: Series;
  readonly sent: Series;
}

/** Counts in plain numbers, and makes metrics of them when somebody asks, as PlainHistogram does. */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const running = new Map<Route['kind'], number>();
  const tallies = new Tallies(registry);
  const failures = { credentials: 0, denied: 0 };
  registry.registerMetric(
    new Counter({
      name: 'registry_http_requests_total',
      help: 'Requests by handler, method and status.',
      labelNames: ['handler', 'method', 'code'],
      registers: [],
      collect() {
        this.reset();
        for (const { labels, byStatus } of tallies.all()) {
          for (const [code, count] of byStatus) this.inc({ ...labels, code }, count);
        }
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'registry_http_in_flight_requests',
      help: 'Requests in progress by handler.',
      labelNames: ['handler'],
      registers: [],
      collect() {
        for (const [kind, count] of running) this.set({ handler: handlers[kind] }, count);
      },
    }),
  );
  registry.registerMetric(
    new Counter({
      name: 'stevedore_auth_failures_total',
      help: 'Requests with credentials that were refused: wrong ones (401), or what they do not allow (403).',
      labelNames: ['reason'],
      registers: [],
      collect() {
        this.reset();
        for (const [reason, count] of Object.entries(failures)) this.inc({ reason }, count);
      },
    }),
  );
  return {
    begin: (kind) => void running.set(kind, (running.get(kind) ?? 0) + 1),
    end(kind, { method, status, seconds, received, sent, hasCredentials }) {
      running.set(kind, (running.get(kind) ?? 1) - 1);
      const tally = tallies.of(kind, method);
      tally.byStatus.set(status, (tally.byStatus.get(status) ?? 0) + 1);
      tally.seconds.observe(seconds);
      tally.received.observe(received);
      tally.sent.observe(sent);
      if (hasCredentials && status === 401) failures.credentials++;
      if (hasCredentials && status === 403) failures.denied++;
    },
  };
}

class Tallies {
  readonly #byKind = new Map<Route['kind'], Map<string, Tally>>();
  readonly #seconds: PlainHistogram;
  readonly #received: PlainHistogram;
  readonly #sent: PlainHistogram;

  constructor(registry: Registry) {
    this.#seconds = new PlainHistogram(registry, {
      name: 'registry_http_request_duration_seconds',
      help: 'Time from the first header to the last byte of the answer.',
      bounds: SECONDS,
    });
    this.#received = new PlainHistogram(registry, {
      name: 'registry_http_request_size_bytes',
      help: 'Bytes of the bodies of requests.',
      bounds: BYTES,
    });
    this.#sent = new PlainHistogram(registry, {
      name: 'registry_http_response_size_bytes',
      help: 'Bytes of the bodies of answers.',
      bounds: BYTES,
    });
  }

  all(): Tally[] {
    return [...this.#byKind.values()].flatMap((byMethod) => [...byMethod.values()]);
  }

  of(kind: Route['kind'], method: string): Tally {
    return this.#byKind.get(kind)?.get(method) ?? this.#add(kind, method);
  }

  #add(kind: Route['kind'], method: string): Tally {
    const labels = { handler: handlers[kind], method: method.toLowerCase() };
    const tally = {
      labels,
      byStatus: new Map(),
      seconds: this.#seconds.series(labels),
      received: this.#received.series(labels),
      sent: this.#sent.series(labels),
    };
    const byMethod = this.#byKind.get(kind) ?? new Map<string, Tally>();
    this.#byKind.set(kind, byMethod.set(method, tally));
    return tally;
  }
}
