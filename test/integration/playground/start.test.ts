import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { configMaps, pods } from '../../../src/kube/resources.ts';
import { FolderInUseError } from '../../../src/playground/state-folder.ts';
import { NAMESPACE, startTestPlayground, TEST_IMAGE } from '../../support/test-playground.ts';
import { waitFor } from '../../support/wait-for.ts';

const stevedore = join(import.meta.dirname, '../../../bin/stevedore');

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-playground-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('a folder is one playground at a time', async (t) => {
  const folder = await newFolder(t);
  const first = await startTestPlayground(t, folder);
  await assert.rejects(startTestPlayground(t, folder), FolderInUseError);
  await first.stop();
  await startTestPlayground(t, folder);
});

test('a second start finds what the first left, and starts its pods again', async (t) => {
  const folder = await newFolder(t);
  const first = await startTestPlayground(t, folder);
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: '/tmp' } },
    http: { addr: ':5000' },
  };
  const metadata = { namespace: NAMESPACE, name: 'config' };
  await first.client.create(configMaps, { metadata, data: { 'config.yml': JSON.stringify(config) } });
  for (const [name, restartPolicy] of [
    ['lasting', 'Always'],
    ['single', 'Never'],
  ] as const) {
    await first.client.create(pods, {
      metadata: { namespace: NAMESPACE, name },
      spec: {
        restartPolicy,
        containers: [
          {
            name: 'main',
            image: TEST_IMAGE,
            args: ['serve', '/config/config.yml'],
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
    });
    await first.until(pods, name, ({ status }) => status?.phase === 'Running');
  }
  await first.stop();

  const second = await startTestPlayground(t, folder);
  const lasting = await second.until(
    pods,
    'lasting',
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready,
  );
  assert.equal(lasting.status?.containerStatuses?.[0]?.lastState?.terminated?.reason, 'Unknown');
  const single = await second.until(pods, 'single', ({ status }) => status?.phase === 'Failed');
  assert.equal(single.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 255);
});

test('nothing that a playground started outlives it, however it ends', async (t) => {
  const folder = await newFolder(t);
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    const child = spawn(stevedore, ['playground', '--state', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes('The operator works')) break;
    }
    assert.ok((await processesWith(folder)).length >= 2, 'the playground and its operator');
    child.kill(signal);
    const [code] = await once(child, 'exit');
    assert.equal(code, signal === 'SIGINT' ? 0 : null);
    await waitFor(async () => (await processesWith(folder)).length === 0);
  }
});

/** Ids of the processes that name `text` in their arguments. */
async function processesWith(text: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const args = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return ids.filter((_, index) => args[index]?.includes(text) === true);
}
