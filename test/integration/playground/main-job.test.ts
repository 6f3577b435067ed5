import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPlaygroundProcess } from '../../e2e/playground-stage.ts';
import { mainJob } from '../../e2e/scenario.ts';

test('the main job, from a Registry to its collected garbage, on a playground', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-main-job-'));
  t.after(() => rm(folder, { recursive: true }));
  const playground = await startPlaygroundProcess(join(folder, 'state'));
  t.after(async () => assert.equal(await playground.stop(), 0));
  let passed = true;
  for (const { title, run } of mainJob(playground.stage, join(folder, 'files'))) {
    // Each step builds on those before, so after a failure the rest says nothing.
    if (!passed) break;
    passed = false;
    await t.test(title, async (t) => {
      t.diagnostic(await run());
      passed = true;
    });
  }
});
