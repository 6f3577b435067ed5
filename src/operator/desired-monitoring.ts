import type { Registry } from '../api/registry.ts';
import { parseDuration } from '../contract/duration.ts';
import { METRICS_PATH, STATUS_PORT } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ForeignObject, Service } from '../kube/resources.ts';
import { childMeta, childNames, serverSelector } from './child-names.ts';
import type { Served } from './served.ts';

type Metrics = NonNullable<Registry['spec']['metrics']>;

/** The name of the pod's port for status and metrics. */
const STATUS_PORT_NAME = 'status';

/** By which Prometheus finds the pods' status ports. A Service of its own, since the other one may be open to the world. */
export function desiredStatusService(registry: Stored<Served>): ApplyFields<Service> {
  return {
    metadata: childMeta(registry, childNames(registry).statusService),
    spec: {
      clusterIP: 'None',
      // A server that is not ready has something to tell as well.
      publishNotReadyAddresses: true,
      selector: serverSelector(registry),
      ports: [{ name: STATUS_PORT_NAME, port: STATUS_PORT, protocol: 'TCP', targetPort: STATUS_PORT_NAME }],
    },
  };
}

export function desiredServiceMonitor(
  registry: Stored<Served>,
  { labels, interval }: NonNullable<Metrics['serviceMonitor']>,
): ApplyFields<ForeignObject> {
  return {
    metadata: withLabels(registry, childNames(registry).serviceMonitor, labels),
    spec: {
      selector: { matchLabels: serverSelector(registry) },
      endpoints: [
        {
          port: STATUS_PORT_NAME,
          path: METRICS_PATH,
          ...(interval !== undefined && { interval: prometheusDuration(interval) }),
        },
      ],
    },
  };
}

/** Alerts about what the registry cannot mend by itself. */
export function desiredPrometheusRule(
  registry: Stored<Served>,
  rule: NonNullable<Metrics['prometheusRule']>,
): ApplyFields<ForeignObject> {
  const { name, namespace } = registry.metadata;
  const { prometheusRule, statusService } = childNames(registry);
  const which = `namespace="${namespace}",service="${statusService}"`;
  const alerts = registry.kind === 'Registry' ? registryAlerts(which, rule) : mirrorAlerts(which);
  const down = {
    alert: `Stevedore${registry.kind}Down`,
    expr: `absent(up{${which}} == 1)`,
    for: '5m',
    severity: 'critical',
    description: `No server can be asked. Look at kubectl describe ${registry.kind.toLowerCase()} ${name}.`,
  };
  return {
    metadata: withLabels(registry, prometheusRule, rule.labels),
    spec: {
      groups: [
        {
          name: `stevedore-${namespace}-${prometheusRule}`,
          rules: [down, certificateAlert(which), ...alerts].map(({ severity, description, ...alert }) => ({
            ...alert,
            labels: { severity },
            annotations: { summary: `${registry.kind} ${namespace}/${name}`, description },
          })),
        },
      ],
    },
  };
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: 'critical' | 'warning';
  readonly description: string;
}

function certificateAlert(which: string): Alert {
  return {
    alert: 'StevedoreCertificateExpiring',
    expr: `min(stevedore_certificate_expiry_timestamp_seconds{${which}}) - time() < 7 * 86400`,
    for: '1h',
    severity: 'warning',
    description:
      'The certificate that is served ends within a week and was not renewed. Look at the condition CertificateReady.',
  };
}

function registryAlerts(
  which: string,
  { readOnlyFor = '1h' }: NonNullable<Metrics['prometheusRule']>,
): readonly Alert[] {
  return [
    {
      alert: 'StevedoreRegistryReadOnly',
      expr: `max(stevedore_read_only{${which}}) == 1`,
      for: prometheusDuration(readOnlyFor),
      severity: 'warning',
      description:
        'Writes are refused or held for longer than garbage collection should take. Look at the RegistryGC and its Job.',
    },
    {
      alert: 'StevedoreRegistryErrors',
      expr: `sum(rate(registry_http_requests_total{${which},code=~"5.."}[5m])) / sum(rate(registry_http_requests_total{${which}}[5m])) > 0.05`,
      for: '10m',
      severity: 'warning',
      description:
        'More than one request in twenty ends with an error of the server. Look at the log of the pods.',
    },
  ];
}

/** What a mirror does not get it answers with an error, so that errors of its own are no alert: its upstreams are. */
function mirrorAlerts(which: string): readonly Alert[] {
  const asked = `stevedore_mirror_upstream_requests_total{${which}`;
  return [
    {
      alert: 'StevedoreMirrorUpstreamFailing',
      expr: `sum by (upstream) (rate(${asked},result!~"ok|not-found"}[5m])) / sum by (upstream) (rate(${asked}}[5m])) > 0.5`,
      for: '10m',
      severity: 'warning',
      description:
        'More than half of what {{ $labels.upstream }} is asked for fails. What is cached is served. Look at the condition UpstreamsReachable.',
    },
    {
      alert: 'StevedoreMirrorStale',
      expr: `sum by (upstream) (rate(stevedore_mirror_stale_total{${which}}[15m])) > 0`,
      for: '1h',
      severity: 'warning',
      description:
        'Tags of {{ $labels.upstream }} lead where they led when it answered last. Look at the condition UpstreamsReachable.',
    },
    {
      alert: 'StevedoreMirrorRateLimit',
      expr: `min by (upstream) (stevedore_mirror_ratelimit_remaining{${which}}) < 10`,
      for: '5m',
      severity: 'warning',
      description:
        '{{ $labels.upstream }} will give few more manifests until its limit is renewed. Log in there, or make tagFreshness longer.',
    },
  ];
}

function withLabels(
  registry: Stored<Served>,
  name: string,
  labels: Readonly<Record<string, string>> | undefined,
) {
  const meta = childMeta(registry, name);
  return { ...meta, labels: { ...labels, ...meta.labels } };
}

/** Prometheus knows whole numbers alone, from the largest unit to the smallest. */
function prometheusDuration(text: string): string {
  if (/^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.test(text)) return text;
  const milliseconds = Math.max(1, Math.round(parseDuration(text) ?? 0));
  const parts = [
    [Math.floor(milliseconds / 3_600_000), 'h'],
    [Math.floor(milliseconds / 60_000) % 60, 'm'],
    [Math.floor(milliseconds / 1000) % 60, 's'],
    [milliseconds % 1000, 'ms'],
  ] as const;
  return parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
}
