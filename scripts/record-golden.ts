/**
 * Plays the scenarios of test/golden/api-server on a real API server and writes its answers into them. The tests replay
 * them on the playground's own.
 *
 *   KUBECONFIG=… node scripts/record-golden.ts [--check | --twice] [TOPIC...]
 *
 *   --check   write nothing; print where the answers differ from those in the files, and exit with 1 if any does
 *   --twice   record, and then check
 *
 * Nothing but the API server may write: `scripts/kube up api` starts such a one. ETCD is the address of its store
 * (http://127.0.0.1:23790 when it is not set).
 */
import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { differences } from '../test/support/golden/differences.ts';
import { play } from '../test/support/golden/play.ts';
import { readScenarios, scenarioText, type Scenario } from '../test/support/golden/scenario.ts';
import { connectToRealServer, install } from '../test/support/golden/server.ts';

const { values: options, positionals: topics } = parseArgs({
  options: { check: { type: 'boolean', default: false }, twice: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const server = await connectToRealServer(
  process.env['KUBECONFIG'] ?? '',
  process.env['ETCD'] ?? 'http://127.0.0.1:23790',
);

async function run(isCheck: boolean): Promise<number> {
  const installed = new Set<string>();
  let steps = 0;
  let differing = 0;
  for (const { topic, path, scenario } of readScenarios()) {
    if (topics.length > 0 && !topics.includes(topic)) continue;
    for (const file of scenario.definitions ?? []) {
      if (!installed.has(file)) await install(server, file);
      installed.add(file);
    }
    const answers = await play(topic, scenario, server);
    steps += answers.length;
    const played: Scenario = {
      ...scenario,
      steps: scenario.steps.map((step, index) => {
        const { answer: _, ...asked } = step;
        const answer = answers[index];
        return answer === undefined ? asked : { ...asked, answer };
      }),
    };
    if (!isCheck) {
      await writeFile(path, scenarioText(played));
      continue;
    }
    for (const [index, step] of scenario.steps.entries()) {
      const answer = answers[index];
      if (answer === undefined) continue;
      const lines =
        step.answer === undefined ? ['there is no answer in the file'] : differences(step.answer, answer);
      if (lines.length === 0) continue;
      differing++;
      console.log(`${relative('.', path)} step ${index + 1} ${step.name ?? ''}: ${step.request}`);
      for (const line of lines) console.log(`    ${line}`);
    }
  }
  console.log(`${steps} steps ${isCheck ? `checked, ${differing} differ` : 'recorded'}`);
  return differing;
}

let differing = 0;
if (options.twice || !options.check) await run(false);
if (options.twice || options.check) differing = await run(true);
await server.dispatcher.close();
process.exitCode = differing > 0 ? 1 : 0;
