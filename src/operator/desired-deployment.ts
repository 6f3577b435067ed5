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
  const environment = containerEnvironment(registry, credentials);
  return {
    ...podIdentity(registry),
    ...placement(registry, reach),
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

/**
 * Replicas of one revision lie on as many nodes and in as many zones as may be, where nobody says otherwise. Not by spread
 * constraints: the scheduler heeds none of them on a node that lacks the label of one, and not every cluster has zones.
 */
function placement(registry: Served, reach: StorageReach): Partial<PodSpec> {
  const { affinity } = registry.spec.podTemplate ?? {};
  const asSaid = affinity === undefined ? {} : { affinity };
  if (registry.kind !== 'Registry' || reach !== 'everywhere') return asSaid;
  const others = {
    labelSelector: { matchLabels: serverSelector(registry) },
    // Old pods do not count in a rollout, or the new ones would be spread around them.
    matchLabelKeys: ['pod-template-hash'],
  };
  const constraints = registry.spec.podTemplate?.topologySpreadConstraints;
  if (constraints !== undefined) {
    const topologySpreadConstraints = constraints.map((constraint) => ({ ...constraint, ...others }));
    return { ...asSaid, topologySpreadConstraints };
  }
  const apart = ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    weight: 100,
    podAffinityTerm: { topologyKey, ...others },
  }));
  const podAntiAffinity = { preferredDuringSchedulingIgnoredDuringExecution: apart };
  return { affinity: { podAntiAffinity, ...affinity } };
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
