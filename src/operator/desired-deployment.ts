import type { Registry } from '../api/registry.ts';
import { CONFIG_FILE, HEALTH_PATH, READY_PATH, REGISTRY_PORT, STATUS_PORT } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Deployment } from '../kube/resources.ts';
import { childMeta, childNames, childLabels, serverSelector } from './child-names.ts';
import { configFile, configHash } from './desired-config.ts';
import { CREDENTIALS_ANNOTATION } from './desired-credentials.ts';
import { REGISTRY_PORT_NAME } from './desired-service.ts';
import {
  containerEnvironment,
  podIdentity,
  podLabels,
  podVolumes,
  volumeMounts,
  type Credentials,
  type PodSpec,
} from './pod-parts.ts';
import { containerSecurity } from './pod-security.ts';
import { ENDPOINT_SECONDS, GRACE_SECONDS } from './pod-timing.ts';
import { replicasOf, type Served } from './served.ts';
import { securityMounts } from './server-security.ts';
import type { StorageReach } from './storage-reach.ts';
import { upstreamMounts } from './desired-upstream.ts';

/** On the pod: the SHA-256 of the configuration file, which is all that can't be re-read while the server runs. */
export const CONFIG_HASH_ANNOTATION = 'stevedore.dev/config-hash';

/** What the scheduler sets aside when the Registry says nothing. */
const DEFAULT_REQUESTS = { cpu: '50m', memory: '128Mi' } as const;

/** What of the pods is not in the Registry itself. */
export interface PodInputs {
  readonly image: string;
  readonly reach: StorageReach;
  /** Undefined: it needs none. */
  readonly credentials?: Credentials | undefined;
}

/** The registry server. What cannot be read again while it runs is in the template, so that a change rolls the pods. */
export function desiredDeployment(registry: Stored<Served>, inputs: PodInputs): ApplyFields<Deployment> {
  const { credentials, reach } = inputs;
  return {
    metadata: childMeta(registry, childNames(registry).deployment),
    spec: {
      replicas: replicasOf(registry),
      revisionHistoryLimit: 3,
      // A volume that one node mounts must be let go before another pod can have it.
      strategy:
        reach === 'everywhere'
          ? { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
          : { type: 'Recreate' },
      selector: { matchLabels: serverSelector(registry) },
      template: {
        metadata: {
          labels: podLabels(registry, childLabels(registry)),
          annotations: {
            ...registry.spec.podTemplate?.annotations,
            [CONFIG_HASH_ANNOTATION]: configHash(configFile(registry)),
            ...(credentials !== undefined && { [CREDENTIALS_ANNOTATION]: credentials.revision }),
          },
        },
        spec: podSpec(registry, inputs),
      },
    },
  };
}

function podSpec(registry: Served, { image, reach, credentials }: PodInputs): PodSpec {
  const extras = [...securityMounts(registry), ...upstreamMounts(registry)];
  const { affinity } = registry.spec.podTemplate ?? {};
  const environment = containerEnvironment(registry, credentials);
  return {
    ...podIdentity(registry),
    ...(affinity !== undefined && { affinity }),
    ...(registry.kind === 'Registry' &&
      reach === 'everywhere' && { topologySpreadConstraints: spread(registry) }),
    terminationGracePeriodSeconds: GRACE_SECONDS,
    containers: [
      {
        name: 'registry',
        image,
        imagePullPolicy: 'IfNotPresent',
        args: ['serve', CONFIG_FILE],
        ...(environment.length > 0 && { env: environment }),
        ports: [
          { name: REGISTRY_PORT_NAME, containerPort: REGISTRY_PORT, protocol: 'TCP' },
          { name: 'status', containerPort: STATUS_PORT, protocol: 'TCP' },
        ],
        startupProbe: {
          httpGet: { path: HEALTH_PATH, port: 'status' },
          periodSeconds: 1,
          failureThreshold: 60,
        },
        readinessProbe: {
          httpGet: { path: READY_PATH, port: 'status' },
          periodSeconds: 5,
          failureThreshold: 2,
        },
        livenessProbe: {
          httpGet: { path: HEALTH_PATH, port: 'status' },
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 6,
        },
        lifecycle: { preStop: { sleep: { seconds: ENDPOINT_SECONDS } } },
        terminationMessagePolicy: 'FallbackToLogsOnError',
        resources: resourcesOf(registry),
        securityContext: containerSecurity,
        volumeMounts: [
          ...volumeMounts(registry),
          // Whole folders: a subPath would never see an update.
          ...extras.map(({ volume, folder }) => ({ name: volume.name, mountPath: folder, readOnly: true })),
        ],
      },
    ],
    volumes: [...podVolumes(registry), ...extras.map(({ volume }) => volume)],
  };
}

/** Replicas of one revision lie on as many nodes and in as many zones as may be, where nobody says otherwise. */
function spread(registry: Registry): NonNullable<PodSpec['topologySpreadConstraints']> {
  const anyway = { maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway' } as const;
  const constraints = registry.spec.podTemplate?.topologySpreadConstraints ?? [
    { topologyKey: 'kubernetes.io/hostname', ...anyway },
    { topologyKey: 'topology.kubernetes.io/zone', ...anyway },
  ];
  return constraints.map((constraint) => ({
    ...constraint,
    labelSelector: { matchLabels: serverSelector(registry) },
    // Old pods do not count in a rollout, or the new ones would be spread around them.
    matchLabelKeys: ['pod-template-hash'],
  }));
}

/** Where limits are given and requests are not, Kubernetes sets aside the limits. */
function resourcesOf({ spec: { resources } }: Served) {
  if (resources === undefined) return { requests: DEFAULT_REQUESTS };
  const { requests, limits } = resources;
  return {
    ...(requests !== undefined && { requests: quantities(requests) }),
    ...(limits !== undefined && { limits: quantities(limits) }),
  };
}

function quantities(values: Readonly<Record<string, number | string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([resource, quantity]) => [resource, String(quantity)]),
  );
}
