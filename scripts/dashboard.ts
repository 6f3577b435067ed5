/** The Grafana dashboard of the chart: a row for the fleet, one for a registry, one for the operator. */

interface Panel {
  readonly title: string;
  readonly type: 'stat' | 'timeseries' | 'table';
  readonly unit?: string;
  /** Query and legend. */
  readonly targets: readonly (readonly [expr: string, legend: string])[];
}

const COLUMNS = 3;
const WIDTH = 24 / COLUMNS;
const HEIGHT = 7;

/** What is selected above the panels; a ServiceMonitor of a Registry gives these labels. */
const REGISTRY = 'namespace=~"$namespace",service=~"$registry-status"';
const OPERATOR = 'controller=~"registry.*"';

const stat = (title: string, expr: string, unit = 'none'): Panel => ({
  title,
  type: 'stat',
  unit,
  targets: [[expr, '']],
});

const lines = (title: string, unit: string, ...targets: Panel['targets']): Panel => ({
  title,
  type: 'timeseries',
  unit,
  targets,
});

const rows: Readonly<Record<string, readonly Panel[]>> = {
  Fleet: [
    stat('Not ready', 'count(stevedore_condition{condition="Ready",status!="True"}) or vector(0)'),
    stat('Degraded', 'count(stevedore_condition{condition="Degraded",status="True"}) or vector(0)'),
    stat(
      'Next certificate to end',
      'min(stevedore_resource_certificate_expiry_timestamp_seconds) - time()',
      's',
    ),
    {
      title: 'What is wrong',
      type: 'table',
      targets: [
        [
          'max by (kind, namespace, name, condition, reason) (stevedore_condition{condition=~".*Ready",status="False"} or stevedore_condition{condition=~"Stalled|Degraded",status="True"})',
          '',
        ],
      ],
    },
    lines('Writes held for', 's', [
      'time() - max by (namespace, name) (stevedore_read_only_since_timestamp_seconds)',
      '{{namespace}}/{{name}}',
    ]),
    {
      title: 'Garbage collections that failed',
      type: 'table',
      targets: [['max by (namespace, name, registry) (stevedore_gc_last_run_succeeded) == 0', '']],
    },
  ],
  Registry: [
    lines('Requests', 'reqps', [
      `sum by (code) (rate(registry_http_requests_total{${REGISTRY}}[$__rate_interval]))`,
      '{{code}}',
    ]),
    lines(
      'Duration of requests',
      's',
      ...[0.5, 0.99].map(
        (quantile) =>
          [
            `histogram_quantile(${quantile}, sum by (le) (rate(registry_http_request_duration_seconds_bucket{${REGISTRY}}[$__rate_interval])))`,
            `${quantile * 100} %`,
          ] as const,
      ),
    ),
    lines(
      'Bytes',
      'Bps',
      [`sum(rate(registry_http_request_size_bytes_sum{${REGISTRY}}[$__rate_interval]))`, 'pushed'],
      [`sum(rate(registry_http_response_size_bytes_sum{${REGISTRY}}[$__rate_interval]))`, 'pulled'],
    ),
    lines('Storage, 99 %', 's', [
      `histogram_quantile(0.99, sum by (le, action) (rate(registry_storage_action_seconds_bucket{${REGISTRY}}[$__rate_interval])))`,
      '{{action}}',
    ]),
    lines(
      'Uploads and read-only',
      'none',
      [`sum(stevedore_open_uploads{${REGISTRY}})`, 'open uploads'],
      [`max(stevedore_read_only{${REGISTRY}})`, 'read-only'],
      [`sum(registry_http_in_flight_requests{${REGISTRY}})`, 'requests in progress'],
    ),
    lines('Refused logins', 'reqps', [
      `sum by (reason) (rate(stevedore_auth_failures_total{${REGISTRY}}[$__rate_interval]))`,
      '{{reason}}',
    ]),
    lines('Processor', 'none', [
      `sum by (pod) (rate(process_cpu_seconds_total{${REGISTRY}}[$__rate_interval]))`,
      '{{pod}}',
    ]),
    lines('Memory', 'bytes', [`max by (pod) (process_resident_memory_bytes{${REGISTRY}})`, '{{pod}}']),
    lines('Events that wait', 'none', [
      `max by (endpoint) (registry_notifications_pending_total{${REGISTRY}})`,
      '{{endpoint}}',
    ]),
  ],
  Operator: [
    lines('Reconciles', 'ops', [
      `sum by (controller, result) (rate(controller_runtime_reconcile_total{${OPERATOR}}[$__rate_interval]))`,
      '{{controller}} {{result}}',
    ]),
    lines('Queue', 'none', [`sum by (controller) (workqueue_depth{${OPERATOR}})`, '{{controller}}']),
    lines('Requests to the API server', 'reqps', [
      'sum by (code, method) (rate(rest_client_requests_total{host!=""}[$__rate_interval]))',
      '{{method}} {{code}}',
    ]),
  ],
};

/** As Grafana imports it, from version 10 on. */
export function dashboard(banner: string): object {
  let y = 0;
  let id = 0;
  const panels = Object.entries(rows).flatMap(([title, ofRow]) => {
    const head = { id: ++id, type: 'row', title, collapsed: false, gridPos: { h: 1, w: 24, x: 0, y } };
    const top = y + 1;
    y = top + Math.ceil(ofRow.length / COLUMNS) * HEIGHT;
    const body = ofRow.map((panel, index) => ({
      id: ++id,
      type: panel.type,
      title: panel.title,
      datasource: { type: 'prometheus', uid: '${datasource}' },
      gridPos: {
        h: HEIGHT,
        w: WIDTH,
        x: (index % COLUMNS) * WIDTH,
        y: top + Math.floor(index / COLUMNS) * HEIGHT,
      },
      fieldConfig: { defaults: { unit: panel.unit ?? 'none' }, overrides: [] },
      targets: panel.targets.map(([expr, legendFormat], target) => ({
        refId: String.fromCodePoint(65 + target),
        expr,
        legendFormat,
        ...(panel.type !== 'timeseries' && { instant: true }),
        ...(panel.type === 'table' && { format: 'table' }),
      })),
    }));
    return [head, ...body];
  });
  return {
    uid: 'stevedore',
    title: 'Stevedore',
    description: `Registries, mirrors and their operator. ${banner}`,
    tags: ['stevedore'],
    schemaVersion: 39,
    time: { from: 'now-6h', to: 'now' },
    refresh: '1m',
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        variable('namespace', 'label_values(stevedore_condition, namespace)'),
        variable('registry', 'label_values(stevedore_condition{namespace=~"$namespace"}, name)'),
      ],
    },
    panels,
  };
}

function variable(name: string, query: string): object {
  return {
    name,
    type: 'query',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    query: { query, refId: name },
    includeAll: true,
    multi: true,
    current: { text: 'All', value: '$__all' },
    refresh: 2,
  };
}
