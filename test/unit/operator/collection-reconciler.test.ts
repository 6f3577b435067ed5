import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegistryGCStatus } from '../../../src/api/registry-gc.ts';
import { parseRetentionRules } from '../../../src/contract/retention-rules.ts';
import type { CollectionReport } from '../../../src/contract/collection-report.ts';
import type { EventDetails } from '../../../src/kube/event-recorder.ts';
import {
  configMaps,
  jobs,
  persistentVolumeClaims,
  pods,
  secrets,
  type Job,
} from '../../../src/kube/resources.ts';
import type { Stored } from '../../../src/kube/object.ts';
import { childLabels } from '../../../src/operator/child-names.ts';
import { createCollectionReconciler } from '../../../src/operator/collection-reconciler.ts';
import { CREDENTIALS_ANNOTATION } from '../../../src/operator/desired-credentials.ts';
import { readRegistryGC, registries, registryGCs } from '../../../src/operator/resource-types.ts';
import { createWorld } from '../../../src/operator/world.ts';
import { logSink } from '../../support/log-sink.ts';
import { TestClock } from '../../support/test-clock.ts';
import { Crash, KubeStandIn } from './kube-stand-in.ts';
import { collectionObject, readyPod, registry, registryObject } from './resource-builders.ts';

const report: CollectionReport = {
  result: 'Succeeded',
  message: 'deleted what nothing needs',
  dryRun: false,
  startTime: '2026-01-01T00:00:10Z',
  completionTime: '2026-01-01T00:01:00Z',
  readOnlySeconds: 7,
  repositoriesScanned: 1,
  manifestsScanned: 4,
  blobsScanned: 9,
  repositoriesDeleted: 0,
  uploadsDeleted: 0,
  tagsDeleted: 5,
  manifestsDeleted: 2,
  blobsDeleted: 3,
  linksDeleted: 3,
  bytesReclaimed: 4096,
  bytesInTrash: 0,
  phaseSeconds: { look: 1.5 },
};

function harness() {
  const { log } = logSink();
  const world = createWorld(log);
  const kube = new KubeStandIn(world);
  const clock = new TestClock();
  const events: EventDetails[] = [];
  const reconcile = createCollectionReconciler({
    world,
    kube,
    clock,
    log,
    image: 'example.test/stevedore:1',
    events: { record: (_, event) => void events.push(event) },
  });
  const key = (name: string) => ({ namespace: 'team', name });
  const self = {
    kube,
    clock,
    events,
    key,
    reconcile: (name = 'night') => reconcile(key(name)),
    apply(
      spec: object = {},
      options: { name?: string; annotations?: Readonly<Record<string, string>> } = {},
    ): void {
      const { name = 'night', annotations = {} } = options;
      const { spec: all } = collectionObject({ name, spec });
      kube.put(registryGCs, { metadata: { ...key(name), annotations }, spec: all });
    },
    putRegistry(ready: 'True' | 'False' = 'True', readOnly: object = { active: false }): void {
      const conditions = [
        {
          type: 'Ready',
          status: ready,
          reason: 'Available',
          message: 'as told',
          observedGeneration: 1,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ];
      kube.put(registries, {
        metadata: key('reg'),
        spec: registryObject().spec,
        status: { conditions, readOnly },
      });
    },
    async converge(name = 'night') {
      for (let round = 0; round < 10; round++) {
        const before = kube.writes.length;
        const outcome = await reconcile(key(name));
        if (kube.writes.length === before) return outcome;
      }
      throw new Error(`no end of writes: ${kube.writes.slice(-10).join(', ')}`);
    },
    async status(name = 'night'): Promise<RegistryGCStatus> {
      const object = await kube.find(registryGCs, key(name));
      if (object === undefined) throw new Error('no RegistryGC');
      return readRegistryGC(object).status ?? {};
    },
    async ready(name = 'night'): Promise<string> {
      const condition = (await self.status(name)).conditions?.find(({ type }) => type === 'Ready');
      return `${condition?.status} ${condition?.reason}`;
    },
    async jobs(): Promise<readonly Stored<Job>[]> {
      return (await kube.listAll(jobs)).items;
    },
    /** The pod of a Job runs. */
    run(job: Stored<Job>): void {
      kube.put(pods, {
        metadata: {
          ...key(`${job.metadata.name}-pod`),
          labels: { ...job.metadata.labels, 'batch.kubernetes.io/job-name': job.metadata.name },
        },
        status: { phase: 'Running' },
      });
    },
    /** The Job ends, and its pod with this termination message. */
    finish(
      job: Stored<Job>,
      type: 'Complete' | 'Failed',
      message?: string,
      reason = 'BackoffLimitExceeded',
    ): void {
      const state = {
        terminated: { exitCode: type === 'Complete' ? 0 : 1, ...(message !== undefined && { message }) },
      };
      kube.put(pods, {
        metadata: {
          ...key(`${job.metadata.name}-pod`),
          labels: { ...job.metadata.labels, 'batch.kubernetes.io/job-name': job.metadata.name },
        },
        status: { phase: 'Failed', containerStatuses: [{ name: 'garbage-collection', state }] },
      });
      kube.put(
        jobs,
        {
          metadata: key(job.metadata.name),
          status: {
            conditions: [
              { type, status: 'True', reason, lastTransitionTime: new Date(clock.now()).toISOString() },
            ],
          },
        },
        'job-controller',
      );
    },
  };
  return self;
}

type Harness = ReturnType<typeof harness>;

async function onlyJob(h: Harness): Promise<Stored<Job>> {
  const [job, ...others] = await h.jobs();
  assert.ok(job);
  assert.deepEqual(others, []);
  return job;
}

test('one without a schedule runs once, and tells what became of it', async () => {
  const h = harness();
  h.putRegistry();
  h.apply();
  await h.converge();
  const job = await onlyJob(h);
  assert.equal((await h.status()).phase, 'Pending');
  assert.equal(await h.ready(), 'Unknown RunPending');
  h.run(job);
  await h.converge();
  assert.equal((await h.status()).phase, 'Running');
  h.putRegistry('True', { active: true, reason: 'Draining' });
  await h.converge();
  assert.equal((await h.status()).phase, 'Draining');
  h.finish(job, 'Complete', JSON.stringify(report));
  await h.converge();
  const { phase, lastRun, history } = await h.status();
  assert.equal(phase, 'Succeeded');
  assert.equal(await h.ready(), 'True Succeeded');
  assert.deepEqual(lastRun, {
    name: job.metadata.name,
    result: 'Succeeded',
    startTime: report.startTime,
    completionTime: report.completionTime,
    dryRun: false,
    readOnlySeconds: 7,
    tagsDeleted: 5,
    manifestsDeleted: 2,
    blobsDeleted: 3,
    bytesReclaimed: 4096,
    bytesInTrash: 0,
    message: report.message,
  });
  assert.equal(history?.length, 1);
  await h.clock.advance(7 * 86_400_000);
  await h.converge();
  assert.equal((await h.jobs()).length, 1);
  assert.deepEqual(
    h.events.map(({ type, reason }) => `${type} ${reason}`),
    ['Normal GCStarted', 'Normal GCCompleted'],
  );
  assert.match(
    h.events[1]?.note ?? '',
    /deleted 5 tags, 2 manifests and 3 blobs; 4096 bytes came back.* held for 7 s/,
  );
});

test('a scheduled one runs at its times and cleans up after itself', async () => {
  const h = harness();
  h.putRegistry();
  h.apply({ schedule: '@hourly', successfulRunsHistoryLimit: 2 });
  for (let hour = 1; hour <= 4; hour++) {
    const outcome = await h.converge();
    assert.ok(outcome.kind === 'waiting');
    await h.clock.advance(outcome.afterMs);
    await h.converge();
    const job = (await h.jobs()).find(({ status }) => status === undefined);
    assert.ok(job);
    assert.equal(job.metadata.name, `night-${Date.UTC(2026, 0, 1, hour) / 1000}`);
    h.finish(job, 'Complete', JSON.stringify({ ...report, completionTime: `2026-01-01T0${hour}:00:30Z` }));
  }
  await h.converge();
  const { history, nextRunTime, phase } = await h.status();
  assert.equal((await h.jobs()).length, 2);
  assert.deepEqual(
    history?.map(({ completionTime }) => completionTime),
    ['2026-01-01T04:00:30Z', '2026-01-01T03:00:30Z'],
  );
  assert.equal(nextRunTime, '2026-01-01T05:00:00Z');
  assert.equal(phase, 'Idle');
  assert.equal(await h.ready(), 'True Scheduled');
});

test('a process that dies at any of its writes never makes a second Job of a run', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1, died = true; died; nth++) {
      const h = harness();
      h.putRegistry();
      h.apply({}, { annotations: { 'stevedore.dev/run-at': 'now' } });
      h.kube.crashAt = nth;
      h.kube.crashWhen = when;
      died = false;
      const survive = async () => {
        try {
          await h.converge();
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
          died = true;
          h.kube.crashAt = Infinity;
          await h.converge();
        }
      };
      await survive();
      h.finish(await onlyJob(h), 'Complete', JSON.stringify(report));
      await survive();
      const { lastRun, lastHandledRunAt } = await h.status();
      assert.equal(lastRun?.result, 'Succeeded', `${when} write ${nth}`);
      assert.equal(lastHandledRunAt, 'now');
      assert.equal((await h.jobs()).length, 1);
    }
  }
});

test('caches that lag behind make no second Job and forget no run', async () => {
  const h = harness();
  h.putRegistry();
  h.apply();
  h.kube.reflecting = false;
  await h.reconcile();
  await h.reconcile();
  const job = await onlyJob(h);
  // The status has come, the Job has not.
  const object = await h.kube.find(registryGCs, h.key('night'));
  h.kube.reflect();
  h.kube.remove(jobs, h.key(job.metadata.name));
  h.kube.reflecting = false;
  h.kube.put(jobs, job);
  assert.ok(object);
  await h.reconcile();
  h.kube.reflect();
  assert.equal((await h.status()).lastRun?.result, undefined);
});

test('a run waits for a Registry that is not there or not ready, as long as it may', async () => {
  const h = harness();
  h.apply({ schedule: '@hourly' });
  await h.converge();
  assert.equal(await h.ready(), 'False RegistryNotFound');
  h.putRegistry('False');
  await h.converge();
  assert.equal(await h.ready(), 'True Scheduled');
  await h.clock.advance(3_600_000);
  await h.converge();
  assert.equal(await h.ready(), 'False RegistryNotReady');
  assert.equal((await h.status()).phase, 'Pending');
  await h.clock.advance(1_800_000);
  h.putRegistry();
  await h.converge();
  assert.equal((await onlyJob(h)).metadata.name, `night-${Date.UTC(2026, 0, 1, 1) / 1000}`);
});

test('of two for one Registry the older works; the other does when that one is gone or done', async () => {
  const h = harness();
  h.putRegistry();
  h.apply({}, { name: 'older' });
  h.apply({}, { name: 'younger' });
  await h.converge('younger');
  assert.equal(await h.ready('younger'), 'False Conflict');
  assert.deepEqual(await h.jobs(), []);
  await h.converge('older');
  const first = await onlyJob(h);
  await h.converge('younger');
  assert.equal((await h.jobs()).length, 1);
  h.finish(first, 'Complete', JSON.stringify(report));
  await h.converge('older');
  await h.converge('younger');
  assert.equal((await h.jobs()).length, 2);
});

const retention = [
  {
    repositories: ['team/*'],
    keepTags: { patterns: ['v*'], mostRecent: 5, pushedWithin: '720h', pulledWithin: '1h30m' },
  },
];

test('rules of retention are written before the run that reads them, and go when they are not asked for', async () => {
  const h = harness();
  h.putRegistry();
  h.apply({ retention });
  await h.converge();
  const rules = () => h.kube.find(configMaps, h.key('night-retention'));
  const text = (await rules())?.data?.['retention.json'] ?? '';
  assert.deepEqual(JSON.parse(text), { retention });
  assert.equal(parseRetentionRules(text)[0]?.keepTags.mostRecent, 5);
  const first = await onlyJob(h);
  const pod = first.spec?.template.spec;
  const file = pod?.containers[0]?.args?.find((argument) => argument.startsWith('--retention='));
  assert.equal(file, '--retention=/etc/stevedore/retention/retention.json');
  assert.deepEqual(pod?.volumes?.at(-1)?.configMap, { name: 'night-retention' });

  h.finish(first, 'Complete', JSON.stringify(report));
  await h.converge();
  h.apply({}, { annotations: { 'stevedore.dev/run-at': 'again' } });
  await h.converge();
  assert.equal(await rules(), undefined);
  assert.equal((await h.jobs()).length, 2);
});

test('a ConfigMap of somebody else keeps a run with rules of retention from starting', async () => {
  const h = harness();
  h.putRegistry();
  h.kube.put(configMaps, { metadata: h.key('night-retention') });
  h.apply({ retention });
  await h.converge();
  assert.deepEqual(await h.jobs(), []);
  assert.equal(await h.ready(), 'False NameConflict');
});

test('an older one that can never run is in no way', async () => {
  for (const schedule of ['0 25 * * *', '0 3 31 2 *']) {
    const h = harness();
    h.putRegistry();
    h.apply({ schedule }, { name: 'older' });
    h.apply({}, { name: 'younger' });
    await h.converge('older');
    await h.converge('younger');
    assert.equal((await h.jobs()).length, 1, schedule);
  }
});

test('storage that goes with its pod is said to have no collection', async () => {
  const h = harness();
  h.kube.put(registries, { metadata: h.key('reg'), spec: { storage: { ephemeral: {} } } });
  h.apply();
  assert.equal((await h.converge()).kind, 'stalled');
  assert.equal(await h.ready(), 'False GCNotSupportedByStorage');
});

test('a run waits until a change of the Registry is judged, whose image it would use', async () => {
  const h = harness();
  h.putRegistry();
  h.kube.put(registries, {
    metadata: h.key('reg'),
    spec: { storage: { filesystem: { size: '20Gi' } }, podTemplate: { image: 'example.test/mine' } },
    status: (await h.kube.find(registries, h.key('reg')))?.status,
  });
  h.apply();
  await h.converge();
  assert.deepEqual(await h.jobs(), []);
  assert.equal(await h.ready(), 'False RegistryNotReady');
});

test('a run on a bucket has the credentials of the registry, no volume and no node of its own', async () => {
  const h = harness();
  h.putRegistry();
  const spec = { storage: { gcs: { bucket: 'images' } } };
  const status = (await h.kube.find(registries, h.key('reg')))?.status;
  h.kube.remove(registries, h.key('reg'));
  h.kube.put(registries, { metadata: h.key('reg'), spec, status });
  h.kube.put(secrets, {
    metadata: {
      ...h.key('reg-credentials'),
      labels: childLabels(registry()),
      annotations: { [CREDENTIALS_ANNOTATION]: 'r' },
    },
    data: { REGISTRY_STORAGE_GCS_CREDENTIALS: 'e30=' },
  });
  h.kube.put(pods, { ...readyPod, metadata: { ...h.key('reg-1'), labels: childLabels(registry()) } });
  h.apply();
  await h.converge();
  const pod = (await onlyJob(h)).spec?.template.spec;
  assert.equal(pod?.affinity, undefined);
  assert.deepEqual(pod?.containers[0]?.env?.slice(1), [
    {
      name: 'REGISTRY_STORAGE_GCS_CREDENTIALS',
      valueFrom: { secretKeyRef: { name: 'reg-credentials', key: 'REGISTRY_STORAGE_GCS_CREDENTIALS' } },
    },
  ]);
  assert.ok(!pod?.volumes?.some(({ name }) => name === 'data'));
});

test('the Job gets the credentials also while the cache does not show them', async () => {
  const h = harness();
  h.putRegistry();
  h.kube.reflecting = false;
  h.kube.put(secrets, {
    metadata: {
      ...h.key('reg-credentials'),
      labels: childLabels(registry()),
      annotations: { [CREDENTIALS_ANNOTATION]: 'r' },
    },
    data: { REGISTRY_STORAGE_GCS_CREDENTIALS: 'e30=' },
  });
  h.kube.reflecting = true;
  h.apply();
  await h.converge();
  const [container] = (await onlyJob(h)).spec?.template.spec?.containers ?? [];
  assert.equal(container?.env?.at(-1)?.name, 'REGISTRY_STORAGE_GCS_CREDENTIALS');
});

test('a volume that one pod alone can mount is said to be so', async () => {
  const h = harness();
  h.kube.put(registries, {
    metadata: h.key('reg'),
    spec: { storage: { filesystem: { existingClaim: 'old' } } },
  });
  h.kube.put(persistentVolumeClaims, {
    metadata: h.key('old'),
    spec: { accessModes: ['ReadWriteOncePod'] },
  });
  h.apply();
  assert.equal((await h.converge()).kind, 'stalled');
  assert.equal(await h.ready(), 'False GCNotSupportedByStorage');
});

test('the Job lands beside the registry while a pod of it exists', async () => {
  const h = harness();
  h.putRegistry();
  h.kube.put(pods, { ...readyPod, metadata: { ...h.key('reg-1'), labels: childLabels(registry()) } });
  h.apply();
  await h.converge();
  assert.ok((await onlyJob(h)).spec?.template.spec?.affinity?.podAffinity);
});

test('the Job lands beside the registry also while the cache does not show its pod', async () => {
  const h = harness();
  h.putRegistry();
  h.kube.reflecting = false;
  h.kube.put(pods, { ...readyPod, metadata: { ...h.key('reg-1'), labels: childLabels(registry()) } });
  h.kube.reflecting = true;
  h.apply();
  await h.converge();
  assert.ok((await onlyJob(h)).spec?.template.spec?.affinity?.podAffinity);
});

for (const { name, type, message, reason, result, says } of [
  {
    name: 'a report of failure',
    type: 'Failed',
    message: JSON.stringify({ ...report, result: 'DrainTimeout', message: 'uploads went on' }),
    result: 'DrainTimeout',
    says: /uploads went on/,
  },
  {
    name: 'a report of success and a crash',
    type: 'Failed',
    message: JSON.stringify(report),
    result: 'Failed',
    says: /deleted/,
  },
  {
    name: 'the end of a log',
    type: 'Failed',
    message: 'Error: disk full\n',
    result: 'Failed',
    says: /^Error: disk full$/,
  },
  {
    name: 'the end of a log, killed in the middle',
    type: 'Failed',
    message: '{"level":"info","message":"taken"}\n{"level":"info","run":"1","message":"marking"}\n',
    result: 'Failed',
    says: /^The collector ended without a report\. The last that it logged: marking$/,
  },
  { name: 'nothing at all', type: 'Failed', message: undefined, result: 'Failed', says: /without a report/ },
  {
    name: 'a report that was cut',
    type: 'Failed',
    message: JSON.stringify(report).slice(0, 50),
    result: 'Failed',
    says: /result/,
  },
  {
    name: 'a deadline',
    type: 'Failed',
    message: undefined,
    reason: 'DeadlineExceeded',
    result: 'DeadlineExceeded',
    says: /activeDeadlineSeconds/,
  },
  {
    name: 'success without a report',
    type: 'Complete',
    message: undefined,
    result: 'Succeeded',
    says: /without a report/,
  },
] as const) {
  test(`a run that ends with ${name} is ${result}`, async () => {
    const h = harness();
    h.putRegistry();
    h.apply();
    await h.converge();
    h.finish(await onlyJob(h), type, message, reason);
    await h.converge();
    const { lastRun, phase } = await h.status();
    assert.equal(lastRun?.result, result);
    assert.match(lastRun?.message ?? '', says);
    assert.equal(phase, result === 'Succeeded' ? 'Succeeded' : 'Failed');
  });
}

test('a Job that was deleted in the middle ends the run', async () => {
  const h = harness();
  h.putRegistry();
  h.apply();
  await h.converge();
  h.kube.remove(jobs, (await onlyJob(h)).metadata);
  await h.converge();
  assert.equal((await h.status()).lastRun?.result, 'Failed');
  assert.deepEqual(await h.jobs(), []);
});

test('a schedule that makes no sense is a condition', async () => {
  const h = harness();
  h.putRegistry();
  h.apply({ schedule: '0 25 * * *' });
  assert.equal((await h.converge()).kind, 'stalled');
  assert.equal(await h.ready(), 'False InvalidSchedule');
});

test('an edit starts nothing, and the annotation starts one run a value', async () => {
  const h = harness();
  h.putRegistry();
  h.apply();
  await h.converge();
  h.finish(await onlyJob(h), 'Complete', JSON.stringify(report));
  await h.converge();
  h.apply({ deleteUntagged: true });
  await h.converge();
  assert.equal((await h.jobs()).length, 1);
  for (const [value, count] of [
    ['one', 2],
    ['one', 2],
    ['two', 3],
  ] as const) {
    h.apply({ deleteUntagged: true }, { annotations: { 'stevedore.dev/run-at': value } });
    await h.converge();
    assert.equal((await h.jobs()).length, count, value);
    for (const job of await h.jobs())
      if (job.status === undefined) h.finish(job, 'Complete', JSON.stringify(report));
    await h.converge();
    assert.equal((await h.status()).lastHandledRunAt, value);
  }
});
