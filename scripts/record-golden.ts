/**
 * Plays the scenarios of test/golden/api-server on a real API server and writes its answers into them. The tests replay
 * them on the playground's own.
 *
 *   KUBECONFIG=… node scripts/record-golden.ts [--check | --twice] [TOPIC...]
 *
 *   --check   write nothing; print where answers differ from those in the files, and exit with 1 if any does
 *   --twice   record, and once more; name the files that came out otherwise, and exit with 1 if any did
 *
 * Nothing but the API server may write: `scripts/kube up api` starts such a one. ETCD is the address of its store
 * (http://127.0.0.1:23790 when it is not set).
 */
import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { differences } from '../test/support/golden/differences.ts';
import { play } from '../test/support/golden/play.ts';
import {
  readScenarios,
  scenarioText,
  withoutAnswer,
  type Answer,
  type Scenario,
  type ScenarioFile,
} from '../test/support/golden/scenario.ts';
import { connectToRealServer, install } from '../test/support/golden/server.ts';

const { values: options, positionals: topics } = parseArgs({
  options: { check: { type: 'boolean', default: false }, twice: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const files = readScenarios().filter(({ topic }) => topics.length === 0 || topics.includes(topic));
const server = await connectToRealServer(
  process.env['KUBECONFIG'] ?? '',
  process.env['ETCD'] ?? 'http://127.0.0.1:23790',
);

/** The text of a file with the answers of now. */
async function recorded({ topic, scenario }: ScenarioFile): Promise<string> {
  const asked = { ...scenario, steps: scenario.steps.map(withoutAnswer) };
  const answers = await play(topic, asked, server);
  return scenarioText(withAnswers(asked, answers));
}

function withAnswers(scenario: Scenario, answers: readonly Answer[]): Scenario {
  const steps = scenario.steps.map((step, index) => {
    const answer = answers[index];
    return answer === undefined ? step : { ...step, answer };
  });
  return { ...scenario, steps };
}

/** Where the answers of now differ from those in the file, a line for each place. */
async function compared({ topic, path, scenario }: ScenarioFile): Promise<readonly string[]> {
  const answers = await play(topic, scenario, server);
  return scenario.steps.flatMap((step, index) => {
    const answer = answers[index];
    const found =
      step.answer === undefined || answer === undefined
        ? ['it is not recorded']
        : differences(step.answer, answer);
    const place = `${relative('.', path)} step ${index + 1}: ${step.request}`;
    return found.length === 0 ? [] : [place, ...found.map((line) => `    ${line}`)];
  });
}

for (const definition of new Set(files.flatMap(({ scenario }) => scenario.definitions ?? []))) {
  await install(server, definition);
}
const lines: string[] = [];
const texts = new Map<string, string>();
for (const file of files) {
  if (options.check) lines.push(...(await compared(file)));
  else texts.set(file.path, await recorded(file));
}
for (const file of options.twice ? files : []) {
  if ((await recorded(file)) !== texts.get(file.path))
    lines.push(`${relative('.', file.path)} came out otherwise`);
}
for (const [path, text] of texts) await writeFile(path, text);
await server.dispatcher.close();
for (const line of lines) console.log(line);
const steps = files.flatMap(({ scenario }) => scenario.steps).length;
console.log(`${files.length} files, ${steps} steps, ${lines.length} differences`);
process.exitCode = lines.length === 0 ? 0 : 1;
