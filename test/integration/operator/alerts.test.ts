import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createKubeMetrics } from '../../../src/kube/metrics.ts';
import { desiredPrometheusRule } from '../../../src/operator/desired-monitoring.ts';
import { registerFleetMetrics } from '../../../src/operator/fleet-metrics.ts';
import { createWorld } from '../../../src/operator/world.ts';
import { logSink } from '../../support/log-sink.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { registry } from '../../unit/operator/resource-builders.ts';

const files = join(import.meta.dirname, '../../../charts/stevedore/files');

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

/** What Prometheus adds to each series by where it found it. */
const TARGET_LABELS = ['namespace', 'service', 'pod', 'instance', 'job'];
/** Of histograms. */
const SERIES = /_(bucket|sum|count)$/;

/** Names of metrics in an expression, with the labels that each is selected by. */
function selectors(expr: string): readonly { readonly metric: string; readonly labels: readonly string[] }[] {
  const names = expr.replaceAll(/\b(by|on|without|ignoring) \([^)]*\)/g, '');
  return [...names.matchAll(/\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b(?!\s*\()(?:\{([^}]*)\})?/g)].map(
    ([, metric = '', matchers = '']) => ({
      metric,
      labels: [...matchers.matchAll(/([a-z_]+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
    }),
  );
}

/** By name of metric, its labels where they are known. */
type Exposed = ReadonlyMap<string, readonly string[] | undefined>;

async function exposed(url: string): Promise<Exposed> {
  const metrics = new Registry();
  createKubeMetrics(metrics);
  collectDefaultMetrics({ register: metrics });
  registerFleetMetrics(metrics, createWorld(logSink().log));
  const page = `${await metrics.metrics()}\n${await (await fetch(`${url}/metrics`)).text()}`;
  const ofOperator = metrics.getMetricsAsArray().map((metric) => {
    const labelNames = 'labelNames' in metric ? metric.labelNames : undefined;
    return [metric.name, Array.isArray(labelNames) ? labelNames.map(String) : undefined] as const;
  });
  const names = [...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => [name, undefined] as const);
  return new Map([...names, ...ofOperator]);
}

function assertExposed(all: Exposed, title: string, expr: string): void {
  const used = selectors(expr.replaceAll('$__rate_interval', '5m'));
  assert.ok(used.length > 0 || /\bup\b/.test(expr), `${title} asks for no metric`);
  for (const { metric, labels } of used) {
    const name = all.has(metric) ? metric : metric.replace(SERIES, '');
    assert.ok(all.has(name), `${title}: nobody exposes ${metric}`);
    const known = all.get(name);
    const unknown =
      known === undefined ? [] : labels.filter((label) => ![...known, ...TARGET_LABELS].includes(label));
    assert.deepEqual(unknown, [], `${title}: ${metric} has no such labels`);
  }
}

test('every metric of the alerts and the dashboard is exposed, with the labels that they select by', async (t) => {
  const { statusUrl } = await startTestRegistry(t, {
    REGISTRY_NOTIFICATIONS_ENDPOINTS: '[{name: hook, url: "http://127.0.0.1:1/"}]',
  });
  const all = await exposed(statusUrl);

  // The files are ours.
  const fleet = load(readFileSync(join(files, 'alerts.yaml'), 'utf8')) as Rules;
  const own = desiredPrometheusRule(registry(), {}) as unknown as { readonly spec: Rules };
  for (const { groups } of [fleet, own.spec]) {
    for (const { alert, expr } of groups.flatMap(({ rules }) => rules)) assertExposed(all, alert, expr);
  }

  const dashboard = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
    readonly panels: readonly {
      readonly title: string;
      readonly targets?: readonly { readonly expr: string }[];
    }[];
    readonly templating: {
      readonly list: readonly { readonly query: { readonly query: string } | string }[];
    };
  };
  for (const { title, targets = [] } of dashboard.panels) {
    for (const { expr } of targets) assertExposed(all, title, expr);
  }
  for (const { query } of dashboard.templating.list) {
    if (typeof query !== 'string') assertExposed(all, 'a variable', query.query);
  }
});

test('the page of the metrics of resources lists what there is', async () => {
  const metrics = new Registry();
  registerFleetMetrics(metrics, createWorld(logSink().log));
  const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/operator-metrics.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `(stevedore_\w+)` +\|/gm)].map(([, name = '']) => name);
  assert.deepEqual(
    listed.toSorted(),
    metrics
      .getMetricsAsArray()
      .map(({ name }) => name)
      .toSorted(),
  );
});

test('each alert says what it is about and what to do, and names each thing once', () => {
  const { groups } = load(readFileSync(join(files, 'alerts.yaml'), 'utf8')) as {
    readonly groups: readonly {
      readonly rules: readonly {
        readonly alert: string;
        readonly labels: { readonly severity: string };
        readonly annotations: { readonly summary: string; readonly description: string };
      }[];
    }[];
  };
  const alerts = groups.flatMap(({ rules }) => rules);
  assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.match(annotations.summary, /^\S.*[^.]$/, alert);
    assert.match(annotations.description, /^\S.*\.$/, alert);
  }
});
