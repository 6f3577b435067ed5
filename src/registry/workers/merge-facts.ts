import { AggregatorRegistry } from 'prom-client';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { HealthReport } from '../health/health-monitor.ts';
import type { MetricsJson } from './calls.ts';

/**
 * One document of those of all workers. Each follows files by itself: while they differ, the certificate is the one that
 * ends first, so that a new one is told when everybody serves it.
 */
export function mergeStatus(documents: readonly [StatusDocument, ...StatusDocument[]]): StatusDocument {
  const [first] = documents;
  const [certificate] = documents
    .flatMap((document) => document.certificate ?? [])
    .toSorted((a, b) => Date.parse(a.notAfter) - Date.parse(b.notAfter));
  const readOnly = documents.find((document) => document.readOnly.active)?.readOnly ?? first.readOnly;
  const failing = documents.find(({ storage }) => storage?.problem !== undefined);
  return {
    ...first,
    ...(certificate && { certificate }),
    ...(failing && { storage: failing.storage }),
    readOnly,
    openUploads: sum(documents, ({ openUploads }) => openUploads),
  };
}

/** What fails anywhere. Without any worker the server is out of service. */
export function mergeHealth(reports: readonly HealthReport[]): HealthReport {
  if (reports.length === 0) return { failures: { workers: 'no worker is running' }, concerns: ['instance'] };
  return {
    failures: Object.assign({}, ...reports.map(({ failures }) => failures)) as HealthReport['failures'], // of objects of that type
    concerns: [...new Set(reports.flatMap(({ concerns }) => concerns))],
  };
}

/** Counters and histograms added up, and gauges as prom-client says for each. */
export async function mergeMetrics(ofWorkers: readonly MetricsJson[]): Promise<string> {
  return AggregatorRegistry.aggregate([...ofWorkers]).metrics();
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
