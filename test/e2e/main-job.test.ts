import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from './cluster.ts';
import { mainJob } from './scenario.ts';

test('the main job, from a Registry to its collected garbage', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-e2e-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const cluster = await connect();
  t.after(() => cluster.kubectl(['delete', 'registries,registrygcs,secrets', '--all', '--namespace=team']));
  let passed = true;
  for (const { title, run } of mainJob(cluster, folder)) {
    // Each step builds on those before, so after a failure the rest says nothing.
    if (!passed) break;
    passed = false;
    await t.test(title, async (t) => {
      t.diagnostic(await run());
      passed = true;
    });
  }
});
