import { join } from 'node:path';
import { test } from 'node:test';
import { assertNothingForbidden, connect } from './cluster.ts';
import { mainJob } from './scenario.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps } from './step.ts';

test('the main job, from a Registry to its collected garbage', async (t) => {
  const cluster = await connect();
  t.after(() => cluster.kubectl(['delete', 'registries,registrygcs,secrets', '--all', '--namespace=team']));
  await testSteps(t, [
    ...mainJob(kubernetesStage(cluster), join(cluster.state, 'main-job')),
    step('The operator has lacked no right', async () => {
      await assertNothingForbidden(cluster);
      return 'no request of the operator was refused';
    }),
  ]);
});
