import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from '../../support/golden/differences.ts';
import { startEmbeddedServer } from '../../support/golden/embedded-server.ts';
import { expectedDifferences } from '../../support/golden/expected-differences.ts';
import { play } from '../../support/golden/play.ts';
import { readScenarios, type ScenarioFile, type Step } from '../../support/golden/scenario.ts';
import { install } from '../../support/golden/server.ts';

const scenarios = readScenarios();

test('there are at least 300 recorded pairs of request and answer', () => {
  const pairs = scenarios.flatMap(({ scenario }) => scenario.steps.filter((step) => !isRefused(step)));
  assert.deepEqual(
    pairs.filter(({ answer }) => answer === undefined),
    [],
  );
  assert.ok(pairs.length >= 300, `${pairs.length}`);
});

test('at most fifteen answers may differ, each is a step of a scenario', () => {
  assert.ok(expectedDifferences.length <= 15);
  for (const { topic, step } of expectedDifferences) {
    const file = scenarios.find((candidate) => candidate.topic === topic);
    assert.ok(
      file?.scenario.steps.some(({ name }) => name === step),
      `${topic}: ${step}`,
    );
  }
});

for (const file of scenarios) {
  test(`the playground answers as a real API server: ${file.scenario.title}`, async () => {
    const { lines, differing } = await replay(file);
    const expected = expectedDifferences.filter(({ topic }) => topic === file.topic);
    const unchanged = expected.filter(({ step }) => !differing.has(step));
    assert.deepEqual(unchanged, [], 'these no longer differ: take them from the list');
    assert.ok(lines.length === 0, `\n${lines.join('\n')}`);
  });
}

/** What differs and is not expected to, and the names of all steps that differ. */
async function replay({ topic, path, scenario }: ScenarioFile) {
  const server = await startEmbeddedServer();
  try {
    for (const definition of scenario.definitions ?? []) await install(server, definition);
    const answers = await play(topic, scenario, server);
    const lines: string[] = [];
    const differing = new Set<string>();
    for (const [index, step] of scenario.steps.entries()) {
      const answer = answers[index];
      if (step.answer === undefined || answer === undefined) throw new Error(`${path} is not recorded`);
      const found = isRefused(step)
        ? refusalDifferences(step, answer.status)
        : differences(step.answer, answer);
      if (found.length === 0) continue;
      differing.add(step.name ?? '');
      if (expectedDifferences.some((entry) => entry.topic === topic && entry.step === step.name)) continue;
      lines.push(`step ${index + 1}: ${step.request}`, ...found.map((line) => `    ${line}`));
    }
    return { lines, differing };
  } finally {
    await server.close();
  }
}

function isRefused(step: Step): boolean {
  return step.refusedWith !== undefined;
}

function refusalDifferences(step: Step, status: number): readonly string[] {
  return status === step.refusedWith ? [] : [`status: expected ${step.refusedWith}, got ${status}`];
}
