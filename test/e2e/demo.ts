/** The main job on a playground, told step by step: `node test/e2e/demo.ts`. Needs Node alone, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlaygroundProcess } from './playground-stage.ts';
import { mainJob } from './scenario.ts';
import { step, tell } from './step.ts';

const folder = await mkdtemp(join(tmpdir(), 'stevedore-demo-'));
const began = performance.now();
const playground = await startPlaygroundProcess(join(folder, 'state'));
const seconds = ((performance.now() - began) / 1000).toFixed(1);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void playground.stop().then(async () => {
      await rm(folder, { recursive: true, force: true });
      process.exit(130);
    });
  });
}

const steps = [
  step('Start a playground: API server, controllers, a node, and the operator', async () => {
    const [place] = /https:\S+/.exec(playground.output()) ?? [];
    return `all of it works ${seconds} s after its start; the API server is at ${place}`;
  }),
  ...mainJob(playground.stage, join(folder, 'files')),
  step('Stop it', async () => {
    assert.equal(await playground.stop(), 0);
    await rm(folder, { recursive: true });
    assert.deepEqual(await processesWith(folder), []);
    return 'no process and no file is left';
  }),
];

try {
  await tell(steps, (text) => process.stdout.write(text));
} catch (error) {
  await playground.stop();
  for (const log of await readdir(join(folder, 'state'), { recursive: true })) {
    if (!log.endsWith('.log') || log === 'objects.log') continue;
    process.stderr.write(
      `--- ${log}\n${(await readFile(join(folder, 'state', log), 'utf8')).slice(-4000)}\n`,
    );
  }
  console.error(error);
  process.exitCode = 1;
} finally {
  if (existsSync(folder)) await rm(folder, { recursive: true });
}

/** The processes that name `text` in their arguments. */
async function processesWith(text: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    ids.map(async (id) => {
      const args = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
      return args.includes(text) ? `${id} ${args}` : '';
    }),
  );
  return found.filter((line) => line !== '');
}
