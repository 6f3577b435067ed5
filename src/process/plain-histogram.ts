import type { Histogram, MetricValueWithName, Registry } from 'prom-client';

/** Upper bounds of buckets for times: those of Prometheus' clients, which docker distribution uses. */
export const SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Observations under one set of labels. */
export interface Series {
  observe(value: number): void;
}

/**
 * A histogram that counts in plain numbers, and makes a metric of them when somebody asks: prom-client's own looks its
 * labels up at each observation, which costs a fifth of the time of a small request.
 */
export class PlainHistogram {
  readonly #bounds: readonly number[];
  readonly #series: PlainSeries[] = [];

  /** @param options.bounds upper bounds of the buckets, from small to large. */
  constructor(
    registry: Registry,
    options: { readonly name: string; readonly help: string; readonly bounds: readonly number[] },
  ) {
    const { name, help, bounds } = options;
    this.#bounds = bounds;
    const described = { name, help, type: 'histogram', aggregator: 'sum' };
    const get = async (): Promise<object> => ({
      ...described,
      values: this.#series.flatMap((series) => series.values(name)),
    });
    // The types want prom-client's own classes; no more than this is asked of a metric.
    registry.registerMetric({ ...described, get } as unknown as Histogram);
  }

  /** Labels are looked up once, here: keep what is returned. */
  series(labels: Readonly<Record<string, string>>): Series {
    const series = new PlainSeries(labels, this.#bounds);
    this.#series.push(series);
    return series;
  }
}

class PlainSeries implements Series {
  readonly #labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  /** Observations by the bucket that they fall into; the last one is for those past every bound. */
  readonly #buckets: number[];
  #sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#buckets = bounds.map(() => 0).concat(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  values(name: string): MetricValueWithName<string>[] {
    let count = 0;
    const cumulative = this.#buckets.map((inBucket, index) => {
      count += inBucket;
      const labels = { ...this.#labels, le: this.#bounds[index] ?? '+Inf' };
      return { metricName: `${name}_bucket`, labels, value: count };
    });
    return [
      ...cumulative,
      { metricName: `${name}_sum`, labels: this.#labels, value: this.#sum },
      { metricName: `${name}_count`, labels: this.#labels, value: count },
    ];
  }
}
