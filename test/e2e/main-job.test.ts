import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from './cluster.ts';
import { mainJob } from './scenario.ts';
import { kubernetesStage } from './stage.ts';

test('the main job, from a Registry to its collected garbage', async (t) => {
  const cluster = await connect();
  t.after(() => cluster.kubectl(['delete', 'registries,registrygcs,secrets', '--all', '--namespace=team']));
  let passed = true;
  for (const { title, run } of mainJob(kubernetesStage(cluster), join(cluster.state, 'main-job'))) {
    // Each step builds on those before, so after a failure the rest says nothing.
    if (!passed) break;
    passed = false;
    await t.test(title, async (t) => {
      t.diagnostic(await run());
      passed = true;
    });
  }
});
