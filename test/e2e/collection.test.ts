import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestHex, digestOf } from '../../src/oci/digest.ts';
import { TEAM_NAMESPACE, assertNothingForbidden, connect, volumeFolder, type Cluster } from './cluster.ts';
import { succeed } from './command.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import { ask, crane, pathOf, type RegistryPlace } from './registry-client.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps, type Step } from './step.ts';
import { waitFor } from './wait.ts';

const PORT = 30520;
const HOST = `127.0.0.1:${PORT}`;
/** Long enough to be met in the middle of a sweep. */
const GARBAGE = 2500;
const WRITABLE_WITHIN_SECONDS = 60;
const NAMESPACE = `--namespace=${TEAM_NAMESPACE}`;

const resources = `
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: single}
spec:
  hostname: ${HOST}
  storage: {filesystem: {size: 1Gi, deletionPolicy: Delete}}
  service: {type: NodePort, nodePort: ${PORT}}
---
apiVersion: stevedore.dev/v1alpha1
kind: RegistryGC
metadata: {name: yearly}
spec: {registryRef: {name: single}, schedule: '@yearly', minimumAge: 0s, trashGrace: 0s}
---
# Another one beside it, of which many nodes could mount the volume.
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: shared}
spec:
  hostname: shared.example.com
  storage: {filesystem: {size: 1Gi, accessModes: [ReadWriteMany], deletionPolicy: Delete}}
---
apiVersion: stevedore.dev/v1alpha1
kind: RegistryGC
metadata: {name: every-minute}
spec: {registryRef: {name: shared}, schedule: '* * * * *'}
`;

test('garbage collections by schedule, by hand, dry, and killed', async (t) => {
  const cluster = await connect();
  const folder = mkdtempSync(join(tmpdir(), 'collection-'));
  t.after(async () => {
    await cluster.kubectl(['delete', 'registries,registrygcs', '--all', NAMESPACE]);
    rmSync(folder, { recursive: true });
  });
  await testSteps(t, collections(cluster, folder));
});

function collections(cluster: Cluster, folder: string): readonly Step[] {
  let place: RegistryPlace;
  let image: ImageLayout;
  let garbage: readonly string[];
  const field = (path: string) => cluster.field('registrygc/yearly', path);
  const left = () => garbage.filter((file) => existsSync(file)).length;
  const craneTo = async (...args: readonly string[]) => {
    const { code, stderr } = await crane(place, folder, undefined, args);
    assert.equal(code, 0, `crane ${args.join(' ')}: ${stderr}`);
  };
  const patch = (spec: object) =>
    cluster.kubectl([
      'patch',
      'registrygc/yearly',
      NAMESPACE,
      '--type=merge',
      `--patch=${JSON.stringify({ spec })}`,
    ]);
  const runAt = (value: string) =>
    cluster.kubectl([
      'annotate',
      'registrygc/yearly',
      NAMESPACE,
      '--overwrite',
      `stevedore.dev/run-at=${value}`,
    ]);
  /** How the run that answers `value` ended. */
  const resultOf = async (value: string) => {
    const result = await waitFor(
      'the run ends',
      async () => {
        if ((await field('.status.lastHandledRunAt')) !== value) return undefined;
        return field('.status.lastRun.result');
      },
      { timeout: 120_000 },
    );
    return { result, message: String(await field('.status.lastRun.message')) };
  };
  /** The pod of the run that goes on now. */
  const podOfRun = () =>
    waitFor('the collector runs', async () => {
      const pods = await cluster.kubectl([
        'get',
        'pods',
        NAMESPACE,
        '--selector=app.kubernetes.io/component=garbage-collection,app.kubernetes.io/instance=yearly',
        '--field-selector=status.phase=Running',
        '--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID}{"\\n"}{end}',
      ]);
      const [name = '', container = ''] = pods.trim().split(/[ \n]/);
      return name !== '' && { name, container: container.replace('containerd://', '') };
    });
  const startUpload = () => ask(place, 'POST', '/v2/team/app/blobs/uploads/');
  /** An upload in progress, for which a run waits. @returns what cancels it. */
  const openUpload = async () => {
    const opened = await startUpload();
    assert.equal(opened.status, 202, opened.body);
    return async () => {
      const { status } = await ask(place, 'DELETE', pathOf(opened.headers.location));
      assert.equal(status, 204);
    };
  };
  /** Seconds until a client that does not give up may write. */
  const secondsUntilWritable = async () => {
    const start = performance.now();
    const cancel = await waitFor('writes work', openUpload, { timeout: 120_000 });
    const seconds = (performance.now() - start) / 1000;
    await cancel();
    return seconds;
  };

  return [
    step('Two Registries, on a volume of one node and on one of many, each with its RegistryGC', async () => {
      await cluster.apply(resources);
      place = await readyRegistry(kubernetesStage(cluster), 'single', {
        name: '127.0.0.1',
        address: '127.0.0.1',
        port: PORT,
      });
      const isReady = ['wait', 'registry/shared', '--for=condition=Ready', '--timeout=60s'];
      await cluster.kubectl([...isReady, NAMESPACE]);
      assert.notEqual(await cluster.field('configmap/shared-ca', '.data.ca\\.crt'), place.authority);
      const strategies = await Promise.all(
        ['single', 'shared'].map((name) => cluster.field(`deployment/${name}`, '.spec.strategy.type')),
      );
      assert.deepEqual(strategies, ['Recreate', 'RollingUpdate']);
      image = await writeImageLayout(join(folder, 'image'), 3, 500_000);
      await craneTo('push', image.folder, `${HOST}/team/app:v1`);
      garbage = writeGarbage(await volumeFolder(cluster, 'single'));
      return `both are Ready; ${GARBAGE} blobs that nothing refers to are on the volume of the first`;
    }),

    step('A second RegistryGC for the same Registry does nothing and says why', async () => {
      await cluster.apply({
        apiVersion: 'stevedore.dev/v1alpha1',
        kind: 'RegistryGC',
        metadata: { name: 'rival' },
        spec: { registryRef: { name: 'single' }, minimumAge: '0s' },
      });
      const message = await waitFor('Conflict', async () => {
        const reason = await cluster.field(
          'registrygc/rival',
          '.status.conditions[?(@.type=="Ready")].reason',
        );
        return (
          reason === 'Conflict' &&
          cluster.field('registrygc/rival', '.status.conditions[?(@.type=="Ready")].message')
        );
      });
      await cluster.kubectl(['delete', 'registrygc/rival', NAMESPACE]);
      assert.equal(left(), GARBAGE);
      return message;
    }),

    step('A dry run by hand says what it would delete, and deletes nothing', async () => {
      await patch({ dryRun: true });
      await runAt('dry');
      const { result, message } = await resultOf('dry');
      assert.equal(result, 'Succeeded', message);
      assert.match(message, /^would delete/);
      assert.deepEqual(
        [await field('.status.lastRun.dryRun'), await field('.status.lastRun.blobsDeleted')],
        ['true', String(GARBAGE)],
      );
      assert.equal(await field('.status.lastRun.readOnlySeconds'), '0');
      assert.equal(left(), GARBAGE);
      assert.equal(
        (
          await cluster.kubectl([
            'get',
            'jobs',
            NAMESPACE,
            '--output=name',
            '--selector=app.kubernetes.io/instance=yearly',
          ])
        )
          .trim()
          .split('\n').length,
        1,
        'the edit of the spec has started no run',
      );
      return message;
    }),

    step(
      'The collector is killed in its sweep: the run has Failed, and writes work again within a minute',
      async () => {
        await patch({ dryRun: false });
        const cancel = await openUpload();
        await runAt('killed');
        const { container } = await podOfRun();
        const pid = await pidOf(cluster, container);
        await cancel();
        await waitFor('the sweep', async () => left() < GARBAGE, { interval: 1 });
        process.kill(pid, 'SIGKILL');
        const rest = left();
        assert.ok(rest > 0, 'it was in the sweep');
        const seconds = await secondsUntilWritable();
        assert.ok(seconds < WRITABLE_WITHIN_SECONDS, `after ${seconds} s`);
        const { result, message } = await resultOf('killed');
        assert.equal(result, 'Failed', message);
        const ready = await field('.status.conditions[?(@.type=="Ready")].reason');
        assert.equal(ready, 'RunFailed');
        await craneTo('pull', '--format=oci', `${HOST}/team/app:v1`, join(folder, 'after-kill'));
        assert.equal(await compareLayouts(image.folder, join(folder, 'after-kill')), image.size);
        return `killed after ${GARBAGE - rest} blobs; writes worked again after ${seconds.toFixed(1)} s: ${message}`;
      },
    ),

    step('The next run by hand succeeds and finishes the work', async () => {
      await runAt('finish');
      const { result, message } = await resultOf('finish');
      assert.equal(result, 'Succeeded', message);
      assert.equal(left(), 0);
      assert.equal(await field('.status.conditions[?(@.type=="Ready")].reason'), 'Scheduled');
      await craneTo('pull', '--format=oci', `${HOST}/team/app:v1`, join(folder, 'after-finish'));
      assert.equal(await compareLayouts(image.folder, join(folder, 'after-finish')), image.size);
      return message;
    }),

    step(
      'The pod of a run is deleted while it waits for an upload: it gives the lease back at once',
      async () => {
        garbage = writeGarbage(await volumeFolder(cluster, 'single'));
        const cancel = await openUpload();
        await runAt('deleted');
        const { name } = await podOfRun();
        await waitFor('the run drains', async () => (await field('.status.phase')) === 'Draining');
        await cluster.kubectl(['delete', 'pod', name, NAMESPACE, '--wait=false']);
        const seconds = await secondsUntilWritable();
        assert.ok(seconds < 10, `after ${seconds} s`);
        const { result, message } = await resultOf('deleted');
        assert.equal(result, 'Failed', message);
        assert.equal(left(), GARBAGE);
        await cancel();
        return `writes worked again after ${seconds.toFixed(1)} s: ${message}`;
      },
    ),

    step('The other one has run by its schedule', async () => {
      const start = await waitFor(
        'a scheduled run',
        async () =>
          (await cluster.field('registrygc/every-minute', '.status.lastRun.result')) === 'Succeeded' &&
          cluster.field('registrygc/every-minute', '.status.lastRun.startTime'),
        { timeout: 90_000 },
      );
      const next = Date.parse((await cluster.field('registrygc/every-minute', '.status.nextRunTime')) ?? '');
      assert.ok(next % 60_000 === 0 && next > Date.now() - 60_000, `the next run is due at ${next}`);
      return `it started at ${start}`;
    }),

    step('kubectl get and describe tell what has run', async () => {
      const table = await cluster.kubectl(['get', 'reggc', 'yearly', NAMESPACE]);
      const [head = '', row = ''] = table.split('\n');
      assert.match(head, /^NAME +REGISTRY +SCHEDULE +PHASE +LAST RESULT +RECLAIMED +NEXT +AGE$/);
      assert.match(row, /^yearly +single +@yearly +Idle +Failed +\d{4}-01-01T00:00:00Z +\S+$/);
      const description = await cluster.kubectl(['describe', 'registrygc', 'yearly', NAMESPACE]);
      for (const expected of [/Normal +GCStarted/, /Normal +GCCompleted/, /Warning +GCFailed/])
        assert.match(description, expected);
      return row.trim();
    }),

    step('The operator has lacked no right', async () => {
      await assertNothingForbidden(cluster);
      return 'no request of the operator was refused';
    }),
  ];
}

/** Blobs that nothing refers to, as the user of the pods. @returns the files. */
function writeGarbage(volume: string): readonly string[] {
  const blobs = join(volume, 'docker/registry/v2/blobs/sha256');
  const { uid, gid } = statSync(blobs);
  return Array.from({ length: GARBAGE }, (_, index) => {
    const bytes = Buffer.from(`garbage ${index}`);
    const hex = digestHex(digestOf(bytes));
    const file = join(blobs, hex.slice(0, 2), hex, 'data');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, bytes);
    for (const path of [join(file, '../..'), join(file, '..'), file]) chownSync(path, uid, gid);
    return file;
  });
}

/** The process of a container, as this machine, which is the node, numbers it. */
async function pidOf(cluster: Cluster, container: string): Promise<number> {
  const socket = ['--address', join(cluster.state, 'node-1/containerd.sock'), '--namespace', 'k8s.io'];
  const tasks = await succeed('ctr', [...socket, 'tasks', 'list']);
  const found = tasks.split('\n').find((line) => line.startsWith(container));
  const pid = Number(found?.trim().split(/\s+/)[1]);
  assert.ok(pid > 1, `there is no task ${container}: ${tasks}`);
  return pid;
}
