import { API_VERSION } from '../../../src/api/names.ts';
import type { RegistryGC } from '../../../src/api/registry-gc.ts';
import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import type { Registry } from '../../../src/api/registry.ts';
import type { KubeObject, Stored } from '../../../src/kube/object.ts';
import type { Deployment, Job, PersistentVolumeClaim, Pod, Secret } from '../../../src/kube/resources.ts';
import { readRegistry, readRegistryGC, readRegistryMirror } from '../../../src/operator/resource-types.ts';

/** Objects as the API server has them: a valid one, plus what a test changes. */

const CREATED = '2026-01-01T00:00:00Z';
const UID = 'a5a5a5a5-0000-4000-8000-000000000001';

const stored = (name: string) => ({
  name,
  namespace: 'team',
  uid: UID,
  resourceVersion: '1',
  generation: 1,
  creationTimestamp: CREATED,
});

interface RegistryChanges {
  readonly name?: string;
  readonly spec?: object;
  readonly status?: object;
  readonly metadata?: object;
}

/** As it is in the cache: with nothing but what a user wrote. */
export function registryObject({ name = 'reg', spec = {}, status, metadata = {} }: RegistryChanges = {}) {
  return {
    apiVersion: API_VERSION,
    kind: 'Registry',
    metadata: { ...stored(name), ...metadata },
    spec: { storage: { filesystem: { size: '20Gi' } }, ...spec },
    ...(status !== undefined && { status }),
  };
}

export function registry(changes: RegistryChanges = {}): Stored<Registry> {
  return readRegistry(registryObject(changes));
}

export function mirrorObject({ name = 'reg', spec = {}, status, metadata = {} }: RegistryChanges = {}) {
  return {
    apiVersion: API_VERSION,
    kind: 'RegistryMirror',
    metadata: { ...stored(name), ...metadata },
    spec: { upstreams: [{ host: 'docker.io' }], storage: { filesystem: { size: '20Gi' } }, ...spec },
    ...(status !== undefined && { status }),
  };
}

export function mirror(changes: RegistryChanges = {}): Stored<RegistryMirror> {
  return readRegistryMirror(mirrorObject(changes));
}

export function user(name: string, secret = name, key?: string) {
  return { name, passwordSecretRef: { name: secret, ...(key !== undefined && { key }) } };
}

export function collectionObject({ name = 'night', spec = {}, status, metadata = {} }: RegistryChanges = {}) {
  return {
    apiVersion: API_VERSION,
    kind: 'RegistryGC',
    metadata: { ...stored(name), ...metadata },
    spec: { registryRef: { name: 'reg' }, ...spec },
    ...(status !== undefined && { status }),
  };
}

export function collection(changes: RegistryChanges = {}): Stored<RegistryGC> {
  return readRegistryGC(collectionObject(changes));
}

export function passwordSecret(
  name: string,
  data: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = { 'stevedore.dev/use': 'credentials' },
): Secret {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'team', labels },
    data: Object.fromEntries(encoded),
  };
}

export function deployment(status: NonNullable<Deployment['status']> = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...stored('reg') },
    spec: { replicas: 1, selector: {}, template: {} },
    status,
  };
}

export const readyDeployment = deployment({
  observedGeneration: 1,
  replicas: 1,
  updatedReplicas: 1,
  readyReplicas: 1,
  availableReplicas: 1,
});

export function boundClaim(asked = '20Gi', there = asked): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: stored('reg'),
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: asked } } },
    status: { phase: 'Bound', capacity: { storage: there } },
  };
}

export function pod(status: NonNullable<Pod['status']>, metadata: Partial<KubeObject['metadata']> = {}): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...stored('reg-1'), ...metadata }, status };
}

export const readyPod = pod({
  phase: 'Running',
  podIP: '10.0.0.7',
  conditions: [{ type: 'Ready', status: 'True' }],
});

export function job(
  name: string,
  status: NonNullable<Job['status']> = {},
  metadata: Partial<KubeObject['metadata']> = {},
): Stored<Job> {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...stored(name), ...metadata },
    spec: { template: {} },
    status,
  };
}
