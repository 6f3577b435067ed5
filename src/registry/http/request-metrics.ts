import { Counter, Gauge, type Histogram, type MetricValueWithName, type Registry } from 'prom-client';
import type { Route } from './route.ts';

/** Counts requests under the names that docker distribution uses, so that its dashboards fit. */
export interface RequestMetrics {
  begin(kind: Route['kind']): void;
  /** @param seconds from the first header to the last byte. */
  end(kind: Route['kind'], method: string, status: number, seconds: number): void;
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

/** Upper bounds of the buckets, seconds: those of Prometheus' clients, which distribution uses. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Requests of one handler and method. */
interface Tally {
  readonly labels: { readonly handler: string; readonly method: string };
  readonly byStatus: Map<number, number>;
  /** Requests by the bucket that they fall into; the last one is for those past every bound. */
  readonly buckets: number[];
  seconds: number;
}

/**
 * Counts in plain numbers, and makes metrics of them when somebody asks: looking labels up at each request would cost a
 * fifth of the time of a small one.
 */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const running = new Map<Route['kind'], number>();
  const tallies = new Map<Route['kind'], Map<string, Tally>>();
  const all = (): Tally[] => [...tallies.values()].flatMap((byMethod) => [...byMethod.values()]);
  registry.registerMetric(
    new Counter({
      name: 'registry_http_requests_total',
      help: 'Requests by handler, method and status.',
      labelNames: ['handler', 'method', 'code'],
      registers: [],
      collect() {
        this.reset();
        for (const { labels, byStatus } of all()) {
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
  registerDurations(registry, all);
  return {
    begin: (kind) => void running.set(kind, (running.get(kind) ?? 0) + 1),
    end(kind, method, status, seconds) {
      running.set(kind, (running.get(kind) ?? 1) - 1);
      const tally = tallies.get(kind)?.get(method) ?? newTally(tallies, kind, method);
      tally.byStatus.set(status, (tally.byStatus.get(status) ?? 0) + 1);
      tally.seconds += seconds;
      let bucket = 0;
      while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? 0)) bucket++;
      tally.buckets[bucket] = (tally.buckets[bucket] ?? 0) + 1;
    },
  };
}

function newTally(
  tallies: Map<Route['kind'], Map<string, Tally>>,
  kind: Route['kind'],
  method: string,
): Tally {
  const labels = { handler: handlers[kind], method: method.toLowerCase() };
  const tally = { labels, byStatus: new Map(), buckets: BOUNDS.map(() => 0).concat(0), seconds: 0 };
  const byMethod = tallies.get(kind) ?? new Map<string, Tally>();
  tallies.set(kind, byMethod.set(method, tally));
  return tally;
}

/** A histogram of what is counted already: prom-client's own takes observations one by one alone. */
function registerDurations(registry: Registry, tallies: () => readonly Tally[]): void {
  const described = {
    name: 'registry_http_request_duration_seconds',
    help: 'Time from the first header to the last byte of the answer.',
    type: 'histogram',
    aggregator: 'sum',
  };
  const get = async (): Promise<object> => ({
    ...described,
    values: tallies().flatMap((tally) => histogramValues(described.name, tally)),
  });
  // The types want prom-client's own classes; no more than this is asked of a metric.
  registry.registerMetric({ ...described, get } as unknown as Histogram);
}

function histogramValues(name: string, { labels, buckets, seconds }: Tally): MetricValueWithName<string>[] {
  let count = 0;
  const cumulative = buckets.map((inBucket, index) => {
    count += inBucket;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: BOUNDS[index] ?? '+Inf' }, value: count };
  });
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: seconds },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
