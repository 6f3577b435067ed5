import assert from 'node:assert/strict';
import { secrets } from '../../../src/kube/resources.ts';
import { registries, registryGCs } from '../../../src/operator/resource-types.ts';
import { essence, type Essence } from './essence.ts';
import {
  SHARING_NAMESPACE as namespace,
  startFaultStage,
  TAKING_NAMESPACE,
  type FaultStage,
} from './fault-stage.ts';

const FULL = {
  hostname: 'registry.example.com',
  storage: { filesystem: { size: '1Gi' } },
  tls: { trustBundleNamespaces: [TAKING_NAMESPACE], rotation: {} },
  auth: {
    htpasswd: {
      users: [{ name: 'ci', generate: true, groups: ['robots'] }],
      secretRefs: [{ name: 'people' }],
    },
    access: [{ repositories: ['**'], groups: ['robots'], actions: ['Pull', 'Push'] }],
  },
  pullSecrets: [{ user: 'ci', namespaces: [TAKING_NAMESPACE, namespace] }],
  networkPolicy: {},
  ingress: { className: 'nginx' },
  metrics: { serviceMonitor: {}, prometheusRule: {} },
};
const BUCKET = {
  replicas: 2,
  storage: { s3: { bucket: 'images', region: 'eu-1', credentialsSecretRef: { name: 'bucket' } } },
};

/** Two Registries and a RegistryGC that between them have every kind of child. */
async function make(stage: FaultStage): Promise<void> {
  const { client } = stage;
  for (const [name, stringData] of [
    // Hashed already: of bcrypt one is enough.
    ['people', { htpasswd: `alice:$2y$10$${'a'.repeat(53)}\n` }],
    ['bucket', { accesskey: 'key', secretkey: 'secret' }],
  ] as const) {
    const data = Object.fromEntries(
      Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
    const labels = { 'stevedore.dev/use': 'credentials' };
    await client.create(secrets, { metadata: { namespace, name, labels }, data });
  }
  await client.create(registries, { metadata: { namespace, name: 'full' }, spec: FULL });
  await client.create(registries, { metadata: { namespace, name: 'bucket' }, spec: BUCKET });
  await client.create(registryGCs, {
    metadata: { namespace, name: 'night' },
    spec: {
      registryRef: { name: 'full' },
      retention: [{ repositories: ['**'], keepTags: { patterns: ['*'] } }],
    },
  });
}

/** Takes back most of it, and has a new certificate and another user file made. */
async function change({ client }: FaultStage): Promise<void> {
  const { tls, auth, ...kept } = FULL;
  const spec = {
    ...kept,
    hostname: 'images.example.com',
    tls: { ...tls, trustBundleNamespaces: null },
    auth: { htpasswd: { users: auth.htpasswd.users, secretRefs: null }, access: null },
    pullSecrets: [{ user: 'ci', namespaces: [namespace] }],
    networkPolicy: null,
    ingress: null,
    metrics: null,
  };
  await client.patch(registries, { namespace, name: 'full' }, { spec });
  await client.patch(registries, { namespace, name: 'bucket' }, { spec: { replicas: 1 } });
}

async function remove({ client }: FaultStage): Promise<void> {
  await client.delete(registryGCs, { namespace, name: 'night' });
  for (const name of ['full', 'bucket']) await client.delete(registries, { namespace, name });
}

const PHASES = { make, change, remove };
export type Phase = keyof typeof PHASES;
export const PHASE_NAMES = ['make', 'change', 'remove'] as const satisfies readonly Phase[];

/** What there is at the end of each phase, and how many values each thing had that must not change for nothing. */
export interface Story {
  readonly ends: Readonly<Partial<Record<Phase, Essence>>>;
  readonly values: Readonly<Record<string, number>>;
}

/** Goes through the phases; `rest` ends when nothing more happens. */
export async function play(
  stage: FaultStage,
  phases: readonly Phase[],
  rest: () => Promise<void> = () => stage.rest(),
): Promise<Story> {
  const ends: Partial<Record<Phase, Essence>> = {};
  let values: Story['values'] = {};
  for (const phase of phases) {
    await PHASES[phase](stage);
    await rest();
    ends[phase] = await essence(stage.client);
    // Who does not see yet that a Registry is gone makes its children again, which are collected again.
    if (phase === 'remove') continue;
    values = Object.fromEntries([...stage.history].map(([key, { length }]) => [key, length]));
  }
  assert.deepEqual(stage.panics, []);
  return { ends, values };
}

/** Names the first thing that differs, since all of it would be long. */
export function assertSameStory(actual: Story, expected: Story, when = ''): void {
  for (const phase of PHASE_NAMES) {
    const [found, wanted] = [actual.ends[phase] ?? {}, expected.ends[phase] ?? {}];
    assert.deepEqual(Object.keys(found), Object.keys(wanted), `what there is after ${phase} ${when}`);
    for (const [name, object] of Object.entries(wanted)) {
      assert.deepEqual(found[name], object, `${name} after ${phase} ${when}`);
    }
  }
  assert.deepEqual(actual.values, expected.values, `how often things changed ${when}`);
}

/** How it goes when nothing goes wrong. */
export async function undisturbed(phases: readonly Phase[]): Promise<Story & { readonly writes: number }> {
  await using stage = await startFaultStage();
  stage.start();
  return { ...(await play(stage, phases)), writes: stage.writes.length };
}
