import { dirname } from 'node:path';
import type { Registry } from '../api/registry.ts';
import {
  CERTIFICATE_FOLDER,
  CONFIG_FILE,
  HEALTH_PATH,
  HTPASSWD_FOLDER,
  READY_PATH,
  REGISTRY_PORT,
  STATUS_PORT,
  STORAGE_ROOT,
} from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Deployment } from '../kube/resources.ts';
import { childMeta, childNames, registryLabels, registrySelector } from './child-names.ts';
import { claimName } from './desired-claim.ts';
import { configFile, configHash } from './desired-config.ts';
import { REGISTRY_PORT_NAME } from './desired-service.ts';
import { containerSecurity, podSecurity } from './pod-security.ts';
import { ENDPOINT_SECONDS, GRACE_SECONDS } from './pod-timing.ts';

/** On the pod: the SHA-256 of the configuration file, which is all that can't be re-read while the server runs. */
export const CONFIG_HASH_ANNOTATION = 'stevedore.dev/config-hash';

/** What the scheduler sets aside when the Registry says nothing. */
const DEFAULT_REQUESTS = { cpu: '50m', memory: '128Mi' } as const;

type PodSpec = NonNullable<Deployment['spec']>['template']['spec'];

/** The registry server. `image` is the operator's own. */
export function desiredDeployment(registry: Stored<Registry>, image: string): ApplyFields<Deployment> {
  const { name } = registry.metadata;
  return {
    metadata: childMeta(registry, childNames(name).deployment),
    spec: {
      replicas: 1,
      revisionHistoryLimit: 3,
      // A volume that one node mounts must be let go before another pod can have it.
      strategy: mountsOnManyNodes(registry)
        ? { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
        : { type: 'Recreate' },
      selector: { matchLabels: registrySelector(name) },
      template: {
        metadata: {
          labels: registryLabels(name),
          annotations: { [CONFIG_HASH_ANNOTATION]: configHash(configFile(registry)) },
        },
        spec: podSpec(registry, image),
      },
    },
  };
}

function mountsOnManyNodes(registry: Registry): boolean {
  const { accessModes, existingClaim } = registry.spec.storage.filesystem;
  return existingClaim === undefined && accessModes.includes('ReadWriteMany');
}

function podSpec(registry: Registry, image: string): NonNullable<PodSpec> {
  const extras = secretMounts(registry);
  return {
    ...podSecurity,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    containers: [
      {
        name: 'registry',
        image,
        imagePullPolicy: 'IfNotPresent',
        args: ['serve', CONFIG_FILE],
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
          { name: 'data', mountPath: STORAGE_ROOT },
          { name: 'config', mountPath: dirname(CONFIG_FILE), readOnly: true },
          { name: 'tmp', mountPath: '/tmp' },
          // Whole folders: a subPath would never see an update.
          ...extras.map(({ volume, folder }) => ({ name: volume, mountPath: folder, readOnly: true })),
        ],
      },
    ],
    volumes: [
      ...serverVolumes(registry),
      ...extras.map(({ volume, secretName }) => ({
        name: volume,
        secret: { secretName, defaultMode: 0o440 },
      })),
    ],
  };
}

/** The volumes that the server and the collector share, by the names of their mounts: data, config, tmp. */
export function serverVolumes(registry: Registry): NonNullable<NonNullable<PodSpec>['volumes']> {
  return [
    { name: 'data', persistentVolumeClaim: { claimName: claimName(registry) } },
    { name: 'config', configMap: { name: childNames(registry.metadata.name).config } },
    { name: 'tmp', emptyDir: {} },
  ];
}

function secretMounts(registry: Registry) {
  const names = childNames(registry.metadata.name);
  return [
    ...(registry.spec.tls.mode === 'Managed'
      ? [{ volume: 'tls', folder: CERTIFICATE_FOLDER, secretName: names.certificate }]
      : []),
    ...(registry.spec.auth !== undefined
      ? [{ volume: 'htpasswd', folder: HTPASSWD_FOLDER, secretName: names.users }]
      : []),
  ];
}

/** Where limits are given and requests are not, Kubernetes sets aside the limits. */
function resourcesOf({ spec: { resources } }: Registry) {
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
