import type { Registry } from '../api/registry.ts';
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
        { port: STATUS_PORT_NAME, path: METRICS_PATH, ...(interval !== undefined && { interval }) },
      ],
    },
  };
}

/** Alerts about what the registry cannot mend by itself. */
export function desiredPrometheusRule(
  registry: Stored<Served>,
  { labels, readOnlyFor = '1h' }: NonNullable<Metrics['prometheusRule']>,
): ApplyFields<ForeignObject> {
  const { name, namespace } = registry.metadata;
  const { prometheusRule, statusService } = childNames(registry);
  const which = `namespace="${namespace}",service="${statusService}"`;
  const alert = (title: string, expr: string, duration: string, severity: string, description: string) => ({
    alert: title,
    expr,
    for: duration,
    labels: { severity },
    annotations: { summary: `Registry ${namespace}/${name}`, description },
  });
  return {
    metadata: withLabels(registry, prometheusRule, labels),
    spec: {
      groups: [
        {
          name: `stevedore-${namespace}-${name}`,
          rules: [
            alert(
              'StevedoreRegistryDown',
              `absent(up{${which}} == 1)`,
              '5m',
              'critical',
              `No server of the registry can be asked. Look at kubectl describe registry ${name}.`,
            ),
            alert(
              'StevedoreRegistryReadOnly',
              `max(stevedore_read_only{${which}}) == 1`,
              readOnlyFor,
              'warning',
              'Writes are refused or held for longer than garbage collection should take. Look at the RegistryGC and its Job.',
            ),
            alert(
              'StevedoreCertificateExpiring',
              `min(stevedore_certificate_expiry_timestamp_seconds{${which}}) - time() < 7 * 86400`,
              '1h',
              'warning',
              'The certificate that is served ends within a week and was not renewed. Look at the condition CertificateReady.',
            ),
            alert(
              'StevedoreRegistryErrors',
              `sum(rate(registry_http_requests_total{${which},code=~"5.."}[5m])) / sum(rate(registry_http_requests_total{${which}}[5m])) > 0.05`,
              '10m',
              'warning',
              'More than one request in twenty ends with an error of the server. Look at the log of the pods.',
            ),
          ],
        },
      ],
    },
  };
}

function withLabels(
  registry: Stored<Served>,
  name: string,
  labels: Readonly<Record<string, string>> | undefined,
) {
  const meta = childMeta(registry, name);
  return { ...meta, labels: { ...labels, ...meta.labels } };
}
