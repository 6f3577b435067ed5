import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from '@node-rs/bcrypt';
import { ApiError } from '../../../src/kube/api-error.ts';
import {
  configMaps,
  events,
  persistentVolumeClaims,
  pods,
  secrets,
  services,
  type Pod,
} from '../../../src/kube/resources.ts';
import {
  NAMESPACE,
  startTestPlayground,
  TEST_IMAGE,
  type TestPlayground,
} from '../../support/test-playground.ts';
import { waitFor } from '../../support/wait-for.ts';

type PodSpec = NonNullable<Pod['spec']>;

async function createPod(
  { client }: TestPlayground,
  name: string,
  container: Partial<PodSpec['containers'][number]>,
  more: Partial<PodSpec> = {},
): Promise<void> {
  await client.create(pods, {
    metadata: { namespace: NAMESPACE, name, labels: { app: name } },
    spec: { ...more, containers: [{ name: 'main', image: TEST_IMAGE, ...container }] },
  });
}

const containerOf = (pod: Pod) => pod.status?.containerStatuses?.[0];
const isOver = (pod: Pod): boolean => ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

test('a pod runs the program with its arguments and environment, and tells how that ended', async (t) => {
  const playground = await startTestPlayground(t);
  const env = [{ name: 'NAME', value: 'alice' }];
  await createPod(
    playground,
    'once',
    { args: ['htpasswd', '--cost=4', '$(NAME)', 'secret'], env },
    { restartPolicy: 'Never' },
  );
  const pod = await playground.until(pods, 'once', isOver);
  assert.equal(pod.status?.phase, 'Succeeded');
  assert.equal(containerOf(pod)?.state?.terminated?.exitCode, 0);
  assert.equal(containerOf(pod)?.state?.terminated?.reason, 'Completed');
  assert.match(await playground.logs('once'), /^alice:\$2y\$04\$\S+\n$/);
  assert.match(await playground.logs('once', { tailLines: '1' }), /^alice:/);
  await assert.rejects(playground.logs('once', { timestamps: 'true' }), /does not know timestamps/);
  await assert.rejects(
    playground.logs('once', { container: 'other' }),
    new ApiError({
      status: 400,
      reason: 'BadRequest',
      message: 'container other is not valid for pod once',
      retryAfterMs: undefined,
    }),
  );
});

test('a container that fails tells why, is started again at once, and then after a pause', async (t) => {
  const playground = await startTestPlayground(t);
  await createPod(playground, 'fails', {
    args: ['serve', '/nowhere.yml'],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  });
  const pod = await playground.until(
    pods,
    'fails',
    (seen) => containerOf(seen)?.state?.waiting?.reason === 'CrashLoopBackOff',
  );
  assert.equal(pod.status?.phase, 'Running');
  assert.equal(containerOf(pod)?.restartCount, 1);
  assert.match(
    containerOf(pod)?.state?.waiting?.message ?? '',
    /^back-off 10s restarting failed container=main pod=fails_default/,
  );
  const last = containerOf(pod)?.lastState?.terminated;
  assert.equal(last?.exitCode, 2);
  assert.equal(last?.reason, 'Error');
  assert.match(last?.message ?? '', /nowhere.yml: cannot be read/);
  assert.match(await playground.logs('fails', { previous: 'true' }), /cannot be read/);
});

test('an image that is not the program cannot be pulled, and a command is not run', async (t) => {
  const playground = await startTestPlayground(t);
  await createPod(playground, 'web', { image: 'nginx' });
  await createPod(playground, 'shell', { command: ['sh'] }, { restartPolicy: 'Never' });
  const web = await playground.until(
    pods,
    'web',
    (pod) => containerOf(pod)?.state?.waiting?.reason === 'ErrImagePull',
  );
  assert.equal(web.status?.phase, 'Pending');
  assert.match(containerOf(web)?.state?.waiting?.message ?? '', /failed to pull image "nginx"/);
  await assert.rejects(
    playground.logs('web'),
    /container "main" in pod "web" is waiting to start: ErrImagePull/,
  );
  const shell = await playground.until(
    pods,
    'shell',
    (pod) => containerOf(pod)?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  assert.match(containerOf(shell)?.state?.waiting?.message ?? '', /the image's own program/);
});

test('a pod waits for the Secret that it mounts, and says so in an event', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const volumes = [{ name: 'files', secret: { secretName: 'late' } }];
  await createPod(
    playground,
    'waits',
    { args: ['htpasswd', 'a', 'b'], volumeMounts: [{ name: 'files', mountPath: '/files' }] },
    { restartPolicy: 'Never', volumes },
  );
  await waitFor(async () =>
    (await client.listAll(events, { namespace: NAMESPACE })).items.some(
      ({ reason, note }) => reason === 'FailedMount' && /secret "late" not found/.test(note),
    ),
  );
  await client.create(secrets, { metadata: { namespace: NAMESPACE, name: 'late' } });
  assert.equal((await playground.until(pods, 'waits', isOver)).status?.phase, 'Succeeded');
});

test('a registry server in a pod has its volumes, address, probes, Service and a graceful end', async (t) => {
  const playground = await startTestPlayground(t);
  const { client, folder } = playground;
  const named = (name: string) => ({ namespace: NAMESPACE, name });
  const config = {
    version: 0.1,
    log: { formatter: 'json' },
    storage: { filesystem: { rootdirectory: '/var/lib/registry' } },
    http: { addr: ':5000' },
    auth: { htpasswd: { realm: 'test', path: '/etc/users/htpasswd' } },
    stevedore: { status: { addr: ':5001' } },
  };
  await client.create(configMaps, {
    metadata: named('config'),
    data: { 'config.yml': JSON.stringify(config) },
  });
  const htpasswd = (user: string) => Buffer.from(`${user}:${hashSync('secret', 4)}\n`).toString('base64');
  await client.create(secrets, { metadata: named('users'), data: { htpasswd: htpasswd('alice') } });
  await client.create(persistentVolumeClaims, {
    metadata: named('data'),
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  const service = await client.create(services, {
    metadata: named('registry'),
    spec: { selector: { app: 'registry' }, ports: [{ port: 8080, targetPort: 'registry' }] },
  });
  await createPod(
    playground,
    'registry',
    {
      args: ['serve', '/etc/docker/registry/config.yml'],
      ports: [
        { name: 'registry', containerPort: 5000 },
        { name: 'status', containerPort: 5001 },
      ],
      startupProbe: { httpGet: { path: '/healthz', port: 'status' }, periodSeconds: 1, failureThreshold: 30 },
      readinessProbe: { httpGet: { path: '/readyz', port: 'status' }, periodSeconds: 1 },
      livenessProbe: { httpGet: { path: '/healthz', port: 'status' } },
      volumeMounts: [
        { name: 'data', mountPath: '/var/lib/registry' },
        { name: 'config', mountPath: '/etc/docker/registry' },
        { name: 'users', mountPath: '/etc/users/' },
      ],
    },
    {
      terminationGracePeriodSeconds: 20,
      volumes: [
        { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
        { name: 'config', configMap: { name: 'config' } },
        { name: 'users', secret: { secretName: 'users' } },
      ],
    },
  );
  const pod = await playground.until(pods, 'registry', isReady);
  assert.match(pod.status?.podIP ?? '', /^127\./);
  const ask = async (user: string, method = 'GET', path = '/v2/'): Promise<Response> =>
    fetch(`http://${service.spec?.clusterIP}:8080${path}`, {
      method,
      headers: { authorization: `Basic ${Buffer.from(`${user}:secret`).toString('base64')}` },
    });
  assert.equal((await ask('alice')).status, 200);
  assert.equal((await ask('bob')).status, 401);

  const upload = await ask('alice', 'POST', '/v2/app/blobs/uploads/');
  assert.equal(upload.status, 202);
  await upload.body?.cancel();
  const claim = await client.get(persistentVolumeClaims, named('data'));
  const volume = join(folder, 'volumes', claim.spec?.volumeName ?? '');
  assert.deepEqual(await readdir(volume), ['docker']);

  await client.patch(secrets, named('users'), { data: { htpasswd: htpasswd('bob') } });
  await waitFor(async () => (await ask('bob')).status === 200);

  await client.delete(pods, named('registry'));
  await playground.untilGone(pods, 'registry');
  await waitFor(() => !existsSync(join(folder, 'pods', pod.metadata.uid)));
  await client.delete(persistentVolumeClaims, named('data'));
  await waitFor(() => !existsSync(volume));
});

test('a container whose liveness probe fails is stopped and started again', async (t) => {
  const playground = await startTestPlayground(t);
  const { client } = playground;
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: '/tmp' } },
    http: { addr: ':5000' },
  };
  const metadata = { namespace: NAMESPACE, name: 'config' };
  await client.create(configMaps, { metadata, data: { 'config.yml': JSON.stringify(config) } });
  await createPod(
    playground,
    'deaf',
    {
      args: ['serve', '/config/config.yml'],
      startupProbe: { httpGet: { path: '/v2/', port: 5000 }, periodSeconds: 1, failureThreshold: 30 },
      livenessProbe: { httpGet: { path: '/', port: 5999 }, failureThreshold: 1 },
      volumeMounts: [
        { name: 'config', mountPath: '/config' },
        { name: 'tmp', mountPath: '/tmp' },
      ],
    },
    {
      volumes: [
        { name: 'config', configMap: { name: 'config' } },
        { name: 'tmp', emptyDir: {} },
      ],
    },
  );
  const pod = await playground.until(pods, 'deaf', (seen) => containerOf(seen)?.restartCount === 1);
  // It was asked to end before it was made to.
  assert.equal(containerOf(pod)?.lastState?.terminated?.exitCode, 0);
  await waitFor(async () =>
    (await client.listAll(events, { namespace: NAMESPACE })).items.some(
      ({ reason, note }) => reason === 'Killing' && /failed liveness probe/.test(note),
    ),
  );
});
