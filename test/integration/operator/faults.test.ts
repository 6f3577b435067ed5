import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Faults, RequestInfo } from '../../../src/playground/api-server/faults.ts';
import { assertSameStory, PHASE_NAMES, play, undisturbed } from './fault-scenario.ts';
import { startFaultStage } from './fault-stage.ts';

const expected = undisturbed(PHASE_NAMES);

/** True for every n-th time that it is asked. */
function every(n: number): () => boolean {
  let count = 0;
  return () => ++count % n === 0;
}

const isWrite = ({ verb }: RequestInfo): boolean => ['create', 'patch', 'delete'].includes(verb);

/** Answers each request so the first time that it is made. */
function refusing(answer: NonNullable<ReturnType<NonNullable<Faults['answer']>>>): Faults {
  const seen = new Set<string>();
  return {
    answer(request) {
      const isNew = seen.size < seen.add(JSON.stringify(request)).size;
      return isNew ? answer : undefined;
    },
  };
}

const cases: readonly (readonly [title: string, faults: () => Faults])[] = [
  ...([409, 410, 500, 503] as const).map(
    (code) => [`each request is answered ${code} the first time`, () => refusing({ code })] as const,
  ),
  [
    'each request is to come again in two seconds the first time',
    () => refusing({ code: 429, retryAfterSeconds: 2 }),
  ],
  [
    'every second write is made and its answer lost',
    () => {
      const hits = every(2);
      return { loseAnswer: (request) => isWrite(request) && hits() };
    },
  ],
  ['every event comes twice', () => ({ watchEvent: () => 'repeat' })],
  ['every event is late', () => ({ watchEvent: () => ({ delayMs: 3000 }) })],
  [
    'watches fall silent again and again',
    () => {
      const hits = every(11);
      return { watchEvent: () => (hits() ? 'stall' : 'pass') };
    },
  ],
  // Of everything, as caches are filled: what is asked for in one namespace a real one answers as it is now.
  ['lists are of before', () => ({ staleBy: ({ namespace }) => (namespace === undefined ? 5 : 0) })],
];

for (const [title, faults] of cases) {
  test(`the end is the same when ${title}`, async () => {
    const { writes: _, ...story } = await expected;
    await using stage = await startFaultStage(faults());
    stage.start();
    assertSameStory(await play(stage, PHASE_NAMES), story);
  });
}

test('events that were lost are made up for when the API server forgets its past', async () => {
  const { writes: _, ...story } = await expected;
  const hits = every(2);
  let loses = true;
  await using stage = await startFaultStage({ watchEvent: () => (loses && hits() ? 'drop' : 'pass') });
  stage.start();
  const rest = async (): Promise<void> => {
    loses = true;
    await stage.pass(5000);
    loses = false;
    await stage.forgetWatches();
    await stage.rest();
  };
  assertSameStory(await play(stage, PHASE_NAMES, rest), story);
});

const lasting: readonly (readonly [what: string, fits: (request: RequestInfo) => boolean])[] = [
  ['making Services', ({ verb, resource }) => verb === 'patch' && resource === 'services'],
  ['telling the status', ({ verb, subresource }) => verb === 'patch' && subresource === 'status'],
  ['making authorities', ({ verb, resource }) => verb === 'create' && resource === 'secrets'],
  ['watching Deployments', ({ verb, resource }) => verb === 'watch' && resource === 'deployments'],
];
/** In a row. More than any that are retried at once, and few enough that the longest waits are not all that is left. */
const REFUSALS = 60;

for (const [what, fits] of lasting) {
  test(`the end is the same when ${what} fails ${REFUSALS} times, which is tried ever less often`, async () => {
    const { writes, ...story } = await expected;
    const times: number[] = [];
    await using stage = await startFaultStage({
      answer(request) {
        if (!fits(request) || times.length === REFUSALS) return undefined;
        times.push(stage.now());
        return { code: 500 };
      },
    });
    stage.start();
    assertSameStory(await play(stage, PHASE_NAMES), story);
    assert.equal(times.length, REFUSALS);
    const minutes = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 60_000;
    assert.ok(minutes > 5, `${REFUSALS} attempts within ${minutes} minutes`);
    // What works all the while is not done again with each attempt.
    const most = writes + REFUSALS + 20;
    assert.ok(stage.writes.length <= most, `${stage.writes.length} writes, ${most} at most`);
  });
}
