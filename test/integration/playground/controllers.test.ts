import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnerReference } from '../../../src/kube/object.ts';
import {
  configMaps,
  deployments,
  endpointSlices,
  jobs,
  namespaces,
  persistentVolumeClaims,
  pods,
  secrets,
  services,
  type Deployment,
  type Job,
} from '../../../src/kube/resources.ts';
import {
  NAMESPACE,
  startTestPlayground,
  TEST_IMAGE,
  type TestPlayground,
} from '../../support/test-playground.ts';
import { waitFor } from '../../support/wait-for.ts';

const named = (name: string) => ({ namespace: NAMESPACE, name });
const conditionOf = (object: Deployment | Job, wanted: string) =>
  object.status?.conditions?.find(({ type }) => type === wanted);

/** A server that is ready when it listens. */
async function createServer(
  { client }: TestPlayground,
  fields: Partial<NonNullable<Deployment['spec']>>,
): Promise<void> {
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: '/tmp' } },
    http: { addr: ':5000' },
  };
  await client.create(configMaps, {
    metadata: named('config'),
    data: { 'config.yml': JSON.stringify(config) },
  });
  await client.create(deployments, {
    metadata: named('web'),
    spec: {
      selector: { matchLabels: { app: 'web' } },
      ...fields,
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            {
              name: 'web',
              image: TEST_IMAGE,
              args: ['serve', '/config/config.yml'],
              ports: [{ name: 'http', containerPort: 5000 }],
              readinessProbe: { httpGet: { path: '/v2/', port: 5000 }, periodSeconds: 1 },
              volumeMounts: [
                { name: 'config', mountPath: '/config' },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: 'config' } },
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
    },
  });
}

const isComplete = ({ metadata, status, spec }: Deployment): boolean =>
  status?.observedGeneration === metadata.generation &&
  status?.updatedReplicas === spec?.replicas &&
  status?.availableReplicas === spec?.replicas &&
  status?.replicas === spec?.replicas;

test('a Deployment that rolls never has fewer pods than it says, and replaces all', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await createServer(playground, { replicas: 1, strategy });
  const first = await playground.until(deployments, 'web', isComplete);
  assert.equal(conditionOf(first, 'Available')?.reason, 'MinimumReplicasAvailable');
  assert.equal(conditionOf(first, 'Progressing')?.reason, 'NewReplicaSetAvailable');
  const [before] = (await client.listAll(pods, { namespace: NAMESPACE })).items;

  await client.patch(deployments, named('web'), {
    spec: { template: { metadata: { annotations: { changed: 'yes' } } } },
  });
  await playground.until(deployments, 'web', (seen) => {
    assert.ok((seen.status?.availableReplicas ?? 0) >= 1, 'there is always one');
    return isComplete(seen);
  });
  await playground.untilGone(pods, before?.metadata.name ?? '');
  const [after, ...others] = (await client.listAll(pods, { namespace: NAMESPACE })).items;
  assert.deepEqual(others, []);
  assert.equal(after?.metadata.annotations?.['changed'], 'yes');
});

test('a Deployment that recreates has no new pod before the last old one is gone', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  await createServer(playground, { replicas: 2, strategy: { type: 'Recreate' } });
  await playground.until(deployments, 'web', isComplete);
  await client.patch(deployments, named('web'), {
    spec: { template: { metadata: { labels: { version: '2' } } } },
  });
  const mixed: string[] = [];
  await waitFor(async () => {
    const { items } = await client.listAll(pods, { namespace: NAMESPACE });
    const versions = new Set(items.map(({ metadata }) => metadata.labels?.['version']));
    if (versions.size > 1) mixed.push(items.map(({ metadata }) => metadata.name).join());
    return isComplete(await client.get(deployments, named('web')));
  });
  assert.deepEqual(mixed, []);
});

test('an EndpointSlice lists the pods of a Service, and which of them are ready', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const ports = [{ name: 'http', port: 80, targetPort: 'http' }];
  await client.create(services, { metadata: named('web'), spec: { selector: { app: 'web' }, ports } });
  await createServer(playground, { replicas: 1 });
  const slice = await playground.until(
    endpointSlices,
    'web-endpoints',
    ({ endpoints }) => endpoints?.[0]?.conditions?.ready === true,
  );
  assert.equal(slice.ports?.[0]?.port, 5000);
  assert.match(slice.endpoints?.[0]?.addresses[0] ?? '', /^127\./);
  await client.delete(services, named('web'));
  await playground.untilGone(endpointSlices, 'web-endpoints');
});

function jobOf(name: string, args: readonly string[], fields: object = {}) {
  return {
    metadata: named(name),
    spec: {
      backoffLimit: 0,
      ...fields,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: TEST_IMAGE, args }] },
      },
    },
  };
}

test('a Job is complete when its pod has succeeded, and its pods go with it', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  await client.create(jobs, jobOf('good', ['htpasswd', '--cost=4', 'a', 'b']));
  const job = await playground.until(jobs, 'good', (seen) => conditionOf(seen, 'Complete') !== undefined);
  assert.equal(job.status?.succeeded, 1);
  assert.equal(job.status?.active, undefined);
  assert.ok(job.status?.startTime !== undefined && job.status.completionTime !== undefined);
  await client.delete(jobs, named('good'));
  await waitFor(async () => (await client.listAll(pods, { namespace: NAMESPACE })).items.length === 0);
});

test('a Job fails at its first failed pod when it may not try again', async (t) => {
  const playground = await startTestPlayground(t);
  await playground.client.create(jobs, jobOf('bad', ['serve', '/nowhere.yml']));
  const job = await playground.until(jobs, 'bad', (seen) => conditionOf(seen, 'Failed') !== undefined);
  assert.equal(conditionOf(job, 'Failed')?.reason, 'BackoffLimitExceeded');
  assert.equal(job.status?.failed, 1);
});

test('a Job that takes too long is stopped', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const { metadata, spec } = jobOf('late', [], { activeDeadlineSeconds: 1 });
  const containers = [{ name: 'main', image: 'never-there' }];
  const template = { spec: { ...spec.template.spec, containers } };
  await client.create(jobs, { metadata, spec: { ...spec, template } });
  const job = await playground.until(jobs, 'late', (seen) => conditionOf(seen, 'Failed') !== undefined);
  assert.equal(conditionOf(job, 'Failed')?.reason, 'DeadlineExceeded');
  assert.deepEqual((await client.listAll(pods, { namespace: NAMESPACE })).items, []);
});

test('a claim gets a volume, grows, and stays while a pod uses it', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const storage = (size: string) => ({ resources: { requests: { storage: size } } });
  await client.create(persistentVolumeClaims, {
    metadata: named('data'),
    spec: { accessModes: ['ReadWriteOnce'], ...storage('1Gi') },
  });
  const bound = await playground.until(
    persistentVolumeClaims,
    'data',
    ({ status }) => status?.phase === 'Bound',
  );
  assert.equal(bound.status?.capacity?.['storage'], '1Gi');
  assert.equal(bound.spec?.volumeName, `pvc-${bound.metadata.uid}`);
  await client.patch(persistentVolumeClaims, named('data'), { spec: storage('2Gi') });
  await playground.until(
    persistentVolumeClaims,
    'data',
    ({ status }) => status?.capacity?.['storage'] === '2Gi',
  );

  await client.create(pods, {
    metadata: named('user'),
    spec: {
      containers: [{ name: 'main', image: 'other', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  });
  await playground.until(pods, 'user', ({ spec }) => spec?.nodeName !== undefined);
  await client.delete(persistentVolumeClaims, named('data'));
  assert.ok(
    (await client.get(persistentVolumeClaims, named('data'))).metadata.deletionTimestamp !== undefined,
  );
  await client.delete(pods, named('user'));
  await playground.untilGone(persistentVolumeClaims, 'data');
});

test('dependents go after their last owner', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const make = async (
    name: string,
    ...owners: readonly { readonly name: string; readonly uid: string }[]
  ) => {
    const ownerReferences = owners.map((owner): OwnerReference => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      ...owner,
      blockOwnerDeletion: true,
    }));
    const { metadata } = await client.create(configMaps, { metadata: { ...named(name), ownerReferences } });
    return { name, uid: metadata.uid };
  };
  const [a, b, c] = [await make('a'), await make('b'), await make('c')];
  await make('of-both', a, b);
  const child = await make('of-c', c);
  await make('of-child', child);
  await make('of-nobody', { name: 'gone', uid: '00000000-0000-4000-8000-000000000000' });
  await playground.untilGone(configMaps, 'of-nobody');

  await client.delete(configMaps, named('c'));
  await playground.untilGone(configMaps, 'of-c');
  await playground.untilGone(configMaps, 'of-child');
  await client.delete(configMaps, named('a'));
  await make('of-a-as-well', a);
  await playground.untilGone(configMaps, 'of-a-as-well');
  await client.get(configMaps, named('of-both'));
  await client.delete(configMaps, named('b'));
  await playground.untilGone(configMaps, 'of-both');
});

test('a namespace ends with what is in it', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  await client.create(namespaces, { metadata: { name: 'team' } });
  await client.create(secrets, { metadata: { namespace: 'team', name: 'mine' } });
  await client.delete(namespaces, { name: 'team' });
  await playground.untilGone(namespaces, 'team');
});
