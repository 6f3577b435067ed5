import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stored } from '../../../../src/kube/object.ts';
import type { Pod } from '../../../../src/kube/resources.ts';
import { tallyPods } from '../../../../src/playground/controllers/job.ts';

function pods(...phases: readonly string[]): readonly Stored<Pod>[] {
  return phases.map((phase, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `pod-${index}`,
      uid: `${index}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(phase === 'deleted' && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    status: { phase: phase === 'deleted' ? 'Running' : phase },
  }));
}

const cases: readonly (readonly [string, object, readonly string[], string])[] = [
  [
    'counts what is there',
    {},
    ['Running', 'Succeeded', 'Failed'],
    '1 active, 0 ending, 1 succeeded, 1 failed',
  ],
  [
    'never forgets what was counted',
    { succeeded: 2, failed: 1 },
    [],
    '0 active, 0 ending, 2 succeeded, 1 failed',
  ],
  ['takes a pod that vanished for a failure', { active: 1 }, [], '0 active, 0 ending, 0 succeeded, 1 failed'],
  [
    'does not take a success for one',
    { active: 1 },
    ['Succeeded'],
    '0 active, 0 ending, 1 succeeded, 0 failed',
  ],
  ['does not count a failure twice', { active: 1 }, ['Failed'], '0 active, 0 ending, 0 succeeded, 1 failed'],
  [
    'waits for one that is being deleted',
    { active: 1 },
    ['deleted'],
    '0 active, 1 ending, 0 succeeded, 0 failed',
  ],
  [
    'counts one that was being deleted and is gone',
    { terminating: 1, failed: 1 },
    ['Failed'],
    '0 active, 0 ending, 0 succeeded, 2 failed',
  ],
];
for (const [what, status, phases, tally] of cases) {
  test(`the tally of a Job ${what}`, () => {
    const { active, terminating, succeeded, failed } = tallyPods(status, pods(...phases));
    assert.equal(
      `${active.length} active, ${terminating.length} ending, ${succeeded} succeeded, ${failed} failed`,
      tally,
    );
  });
}
