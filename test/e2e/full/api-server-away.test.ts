import { test } from 'node:test';
import { TEAM_NAMESPACE, connect } from '../cluster.ts';
import { step, testSteps } from '../step.ts';
import { LoopedRegistry, apiServerStandsStill } from '../support/looped-registry.ts';

test('a client that pulls in a loop does not see that the API server is away for ten minutes', async (t) => {
  const cluster = await connect();
  t.after(() =>
    cluster.kubectl(['delete', 'registries,secrets', '--all', '--namespace', TEAM_NAMESPACE, '--wait']),
  );
  const looped = new LoopedRegistry(cluster);
  await testSteps(t, [
    step('A registry has a blob', () => looped.start()),
    apiServerStandsStill(looped, 600_000),
  ]);
});
