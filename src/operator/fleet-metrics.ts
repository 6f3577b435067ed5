import { Gauge, type Registry as Metrics } from 'prom-client';
import { isObject } from '../api/defaults.ts';
import { formatKey, type Stored } from '../kube/object.ts';
import { fieldAt } from './field-at.ts';
import type { UnreadObject } from './resource-types.ts';
import type { World } from './world.ts';

/** How long writes may be held where no RegistryGC says how long a run may take. */
const USUAL_BUDGET_S = 3600;

type Seen = Pick<World, 'registries' | 'registryMirrors' | 'registryGCs'>;

interface Measured {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * What the status of all resources says, as metrics: one place to alert from, also for what does not run. They are read
 * from the caches when Prometheus asks, as the objects come, since reading them by their schemas takes too long for
 * thousands.
 */
export function registerFleetMetrics(metrics: Metrics, world: Seen): void {
  const gauge = (
    name: string,
    help: string,
    labels: readonly string[],
    measure: (world: Seen) => readonly Measured[],
  ): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [metrics],
      collect() {
        made.reset();
        for (const { labels: values, value } of measure(world)) made.set(values, value);
      },
    });
  };
  const which = ['kind', 'namespace', 'name'];
  gauge(
    'stevedore_condition',
    'Conditions of resources: 1 for the status that each has.',
    [...which, 'condition', 'status', 'reason'],
    (all) => everything(all).flatMap(conditionsOf),
  );
  gauge(
    'stevedore_resource_certificate_expiry_timestamp_seconds',
    'When the certificate of a resource ends.',
    which,
    (all) => everything(all).flatMap((object) => timeAt(object, 'status', 'certificate', 'notAfter')),
  );
  gauge(
    'stevedore_read_only_since_timestamp_seconds',
    'Since when writes are refused or held; not there while they are taken.',
    [...which, 'reason'],
    (all) => all.registries.list().flatMap(readOnlySince),
  );
  gauge(
    'stevedore_read_only_budget_seconds',
    'How long a garbage collection of a Registry may take in all.',
    which,
    (all) =>
      all.registries.list().map((registry) => ({ labels: labelsOf(registry), value: budget(all, registry) })),
  );
  gauge(
    'stevedore_gc_last_run_succeeded',
    'Whether the last run of a RegistryGC succeeded; not there before its first ends.',
    [...which, 'registry'],
    ({ registryGCs }) => registryGCs.list().flatMap(lastRun),
  );
  gauge(
    'stevedore_gc_last_run_timestamp_seconds',
    'When the last run of a RegistryGC ended.',
    which,
    ({ registryGCs }) =>
      registryGCs.list().flatMap((gc) => timeAt(gc, 'status', 'lastRun', 'completionTime')),
  );
  gauge(
    'stevedore_gc_next_run_timestamp_seconds',
    'When the next run of a RegistryGC is due.',
    which,
    ({ registryGCs }) => registryGCs.list().flatMap((gc) => timeAt(gc, 'status', 'nextRunTime')),
  );
}

function everything({ registries, registryMirrors, registryGCs }: Seen): readonly Stored<UnreadObject>[] {
  return [...registries.list(), ...registryMirrors.list(), ...registryGCs.list()];
}

function labelsOf({ kind, metadata: { namespace = '', name } }: UnreadObject) {
  return { kind, namespace, name };
}

function conditions(object: UnreadObject): readonly Readonly<Record<string, unknown>>[] {
  const found = fieldAt(object.status, 'conditions');
  return Array.isArray(found) ? found.filter(isObject) : [];
}

function conditionsOf(object: UnreadObject): readonly Measured[] {
  return conditions(object).map(({ type, status, reason }) => ({
    labels: {
      ...labelsOf(object),
      condition: String(type),
      status: String(status),
      reason: String(reason),
    },
    value: 1,
  }));
}

function readOnlySince(registry: UnreadObject): readonly Measured[] {
  return conditions(registry)
    .filter(({ type, status }) => type === 'ReadOnly' && status === 'True')
    .flatMap(({ reason, lastTransitionTime }) =>
      seconds(lastTransitionTime).map((value) => ({
        labels: { ...labelsOf(registry), reason: String(reason) },
        value,
      })),
    );
}

function budget({ registryGCs }: Seen, { metadata: { namespace, name } }: UnreadObject): number {
  const deadlines = registryGCs
    .byIndex('registry', formatKey({ namespace, name }))
    .map(({ spec }) => fieldAt(spec, 'activeDeadlineSeconds'))
    .filter((value) => typeof value === 'number');
  return deadlines.length === 0 ? USUAL_BUDGET_S : Math.max(...deadlines);
}

function lastRun(gc: UnreadObject): readonly Measured[] {
  const result = fieldAt(gc.status, 'lastRun', 'result');
  if (typeof result !== 'string') return [];
  const registry = String(fieldAt(gc.spec, 'registryRef', 'name'));
  return [{ labels: { ...labelsOf(gc), registry }, value: Number(result === 'Succeeded') }];
}

function timeAt(object: UnreadObject, ...path: readonly string[]): readonly Measured[] {
  return seconds(fieldAt(object, ...path)).map((value) => ({ labels: labelsOf(object), value }));
}

/** Since the epoch; none for what is no time. */
function seconds(time: unknown): readonly number[] {
  const milliseconds = typeof time === 'string' ? Date.parse(time) : NaN;
  return Number.isNaN(milliseconds) ? [] : [milliseconds / 1000];
}
