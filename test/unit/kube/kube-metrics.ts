import { Registry } from 'prom-client';
import { createKubeMetrics, type KubeMetrics } from '../../../src/kube/metrics.ts';

/** The runtime's metrics on a registry of their own, and a way to read one value. */
export function testMetrics(): {
  readonly metrics: KubeMetrics;
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>;
} {
  const registry = new Registry();
  return {
    metrics: createKubeMetrics(registry),
    async value(name, labels = {}) {
      await registry.metrics();
      const found = (await registry.getMetricsAsJSON()).find((metric) => metric.name === name);
      const values = found?.values ?? [];
      const wanted = Object.entries(labels);
      const matching = values.filter((entry) =>
        wanted.every(([label, value]) =>
          Object.entries(entry.labels).some(([k, v]) => k === label && v === value),
        ),
      );
      return matching.reduce((sum, entry) => sum + entry.value, 0);
    },
  };
}
