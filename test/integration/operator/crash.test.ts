import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSameStory, PHASE_NAMES, play, undisturbed } from './fault-scenario.ts';
import { startFaultStage, type Trap } from './fault-stage.ts';

test('an operator that dies before and after each of its writes comes to the same end', async () => {
  const { writes, ...expected } = await undisturbed(PHASE_NAMES);
  await using stage = await startFaultStage();
  let when: Trap['when'] = 'after';
  stage.trap(() => {
    when = when === 'before' ? 'after' : 'before';
    return { nth: 1, when };
  });
  stage.start();
  assertSameStory(await play(stage, PHASE_NAMES), expected);
  // The status is told less often, since a new process looks at all of it at once.
  assert.ok(stage.deaths > writes, `${stage.deaths} deaths at ${writes} writes`);
});

// Of what lies between two writes the one above has been everywhere.
test('an operator that dies once, after every second of its writes, comes to the same end', async () => {
  const { writes, ...expected } = await undisturbed(['make']);
  assert.ok(writes > 35);
  for (let nth = 1; nth <= writes; nth += 2) {
    await using stage = await startFaultStage();
    const traps: Trap[] = [{ nth, when: 'after' }];
    stage.trap(() => traps.pop());
    stage.start();
    assertSameStory(await play(stage, ['make']), expected, `died after ${stage.writes[nth - 1]}`);
  }
});
