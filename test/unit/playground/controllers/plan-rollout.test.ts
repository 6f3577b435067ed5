import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planRollout, type RolloutPod } from '../../../../src/playground/controllers/plan-rollout.ts';

/** `new`, `old`, `new!` is available, `old-` is being deleted. */
function pods(...kinds: readonly string[]): readonly RolloutPod[] {
  return kinds.map((kind, index) => ({
    name: `${kind}${index}`,
    uid: `${index}`,
    isNew: kind.startsWith('new'),
    isAvailable: kind.endsWith('!'),
    isTerminating: kind.endsWith('-'),
    createdAt: `2026-01-01T00:00:0${index}Z`,
  }));
}
const spec = (replicas: number, strategy: object) => ({
  replicas,
  strategy,
  selector: {},
  template: {},
});
const recreate = { type: 'Recreate' };
const rolling = { type: 'RollingUpdate' };

const cases: readonly (readonly [
  string,
  ReturnType<typeof spec>,
  readonly string[],
  number,
  readonly string[],
])[] = [
  ['makes the first pods', spec(2, recreate), [], 2, []],
  ['deletes old ones first when it recreates', spec(1, recreate), ['old!'], 0, ['old!0']],
  ['waits for the last old process when it recreates', spec(1, recreate), ['old-'], 0, []],
  ['makes the new one when the old is gone', spec(1, recreate), [], 1, []],
  ['leaves alone what is right', spec(1, recreate), ['new!'], 0, []],
  [
    'deletes the youngest that can be spared',
    spec(1, recreate),
    ['new!', 'new', 'new!'],
    0,
    ['new1', 'new!2'],
  ],
  ['replaces one that is being deleted', spec(1, recreate), ['new-'], 1, []],
  ['surges before it deletes', spec(1, rolling), ['old!'], 1, []],
  ['waits for the new one to be available', spec(1, rolling), ['old!', 'new'], 0, []],
  ['deletes the old one when the new one is available', spec(1, rolling), ['old!', 'new!'], 0, ['old!0']],
  ['deletes an old one that serves nobody at once', spec(2, rolling), ['old', 'old!'], 1, ['old0']],
  ['goes on pod by pod', spec(2, rolling), ['old!', 'old!', 'new!'], 0, ['old!1']],
  ['goes to no pods', spec(0, rolling), ['new!', 'old!'], 0, ['old!1', 'new!0']],
];
for (const [what, of, present, create, remove] of cases) {
  test(`a rollout ${what}`, () => {
    const plan = planRollout(of, pods(...present));
    assert.equal(plan.create, create);
    assert.deepEqual(
      plan.remove.map(({ name }) => name),
      remove,
    );
  });
}
