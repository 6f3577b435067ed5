import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { writeRegistryTree } from '../../bench/registry-tree.ts';
import { startServe } from '../support/serve-process.ts';
import { script } from './cluster.ts';
import { startCollector } from './collector-process.ts';
import { succeed } from './command.ts';
import { HttpRegistry } from './http-registry.ts';
import { writeImageLayout } from './image-layout.ts';
import { startDocker } from './support/dockerd.ts';
import { waitFor } from './wait.ts';

/** So that the disk has no say in how long the sweep takes. */
const MEMORY = '/dev/shm';
/** What a collector does before and after it is slow makes it a sweep of about ten seconds. Servers hold a request for 15. */
const SLOW_MS = 8_500;
/** More than a collector takes in the moments for which it runs then. */
const IMAGES = 1500;

/** Lets a process run for moments alone, as if its disk were slow: no step of it is without an answer for long. */
async function slowDown(process: ChildProcess, milliseconds: number): Promise<void> {
  for (const end = performance.now() + milliseconds; performance.now() < end; await delay(5)) {
    process.kill('SIGSTOP');
    await delay(400);
    process.kill('SIGCONT');
  }
}

test('pushes of docker, buildah, crane and skopeo that begin in a sweep of about ten seconds all go through', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pushes-in-a-sweep-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const storage = mkdtempSync(join(MEMORY, 'pushes-in-a-sweep-'));
  t.after(() => rmSync(storage, { recursive: true, force: true }));
  // All of it goes, so that there is time to meet the sweep.
  writeRegistryTree(storage, { repositories: 1, images: IMAGES, tagged: 0 });
  const { address, url, statusUrl } = await startServe(t, {
    folder,
    storage: { filesystem: { rootdirectory: storage } },
  });
  const registry = new HttpRegistry(url);

  const context = join(folder, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
  const docker = await startDocker(t, { authorities: {} });
  await docker.docker('build', '--quiet', '--tag', `${address}/by/docker:v1`, context);
  const store = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const buildah = (...args: readonly string[]) => succeed('buildah', [...store, ...args]);
  const container = (await buildah('from', 'scratch')).trim();
  await buildah('copy', container, join(context, 'Dockerfile'), '/');
  await buildah('commit', container, 'built');
  const layout = (await writeImageLayout(join(folder, 'layout'), 2, 100_000)).folder;
  const crane = (await script('tools', ['crane'])).trim();
  const pushes: Readonly<Record<string, () => Promise<string>>> = {
    docker: () => docker.docker('push', `${address}/by/docker:v1`),
    buildah: () => buildah('push', '--tls-verify=false', 'built', `docker://${address}/by/buildah:v1`),
    crane: () => succeed(crane, ['push', layout, `${address}/by/crane:v1`]),
    skopeo: () =>
      succeed('skopeo', [
        'copy',
        '--dest-tls-verify=false',
        `oci:${layout}`,
        `docker://${address}/by/skopeo:v1`,
      ]),
  };

  const collector = startCollector(t, join(folder, 'config.yml'), ['--delete-untagged']);
  await waitFor('the sweep', async () => existsSync(join(storage, 'docker/registry/stevedore/trash')), {
    interval: 1,
  });
  const slow = slowDown(collector.process, SLOW_MS);
  const status = await (await fetch(`${statusUrl}/status`)).text();
  assert.match(status, /"active":true/, 'it was in the sweep');
  const began = performance.now();
  let isSlow = true;
  const pushing = Object.entries(pushes).map(async ([client, push]) => {
    await push();
    assert.ok(!isSlow, `${client} was not held`);
    t.diagnostic(`${client} pushed in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  });
  await Promise.all([slow.then(() => (isSlow = false)), ...pushing]);

  const report = await collector.ended;
  assert.equal(report.result, 'Succeeded', report.message);
  assert.equal(report.manifestsDeleted, IMAGES);
  t.diagnostic(`writes were held for ${report.readOnlySeconds} s`);
  assert.ok(report.readOnlySeconds >= SLOW_MS / 1000);
  for (const client of Object.keys(pushes)) {
    await registry.send('GET', `/v2/by/${client}/manifests/v1`, { expect: 200 });
  }
});
