import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../../../src/kube/resources.ts';
import {
  podStatus,
  type ContainerRecord,
  type ContainerState,
  type PodFacts,
} from '../../../../src/playground/node/pod-status.ts';

const facts: PodFacts = {
  now: '2026-01-01T00:01:00Z',
  hostIP: '127.0.0.1',
  podIP: '127.200.0.1',
  startTime: '2026-01-01T00:00:00Z',
  prepared: true,
  ending: false,
};
const record = (state: ContainerState, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  name: 'web',
  image: 'image',
  state,
  lastState: {},
  restartCount: 0,
  ready: false,
  started: false,
  ...more,
});
const pod = (restartPolicy: string, status?: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'team' },
  spec: { containers: [], restartPolicy },
  ...(status && { status }),
});
const waiting: ContainerState = { waiting: { reason: 'ContainerCreating' } };
const running: ContainerState = { running: { startedAt: facts.now } };
const ended = (exitCode: number): ContainerState => ({ terminated: { exitCode } });

const phases: readonly (readonly [string, string, ContainerRecord, Partial<PodFacts>, string])[] = [
  ['its container waits for its first start', 'Always', record(waiting), {}, 'Pending'],
  ['it runs', 'Always', record(running), {}, 'Running'],
  ['it waits for a restart', 'Always', record(waiting, { lastState: ended(1) }), {}, 'Running'],
  ['it has ended and will be started again', 'Always', record(ended(0)), {}, 'Running'],
  ['it has ended well', 'Never', record(ended(0)), {}, 'Succeeded'],
  ['it has failed', 'Never', record(ended(1)), {}, 'Failed'],
  ['it has failed and will be started again', 'OnFailure', record(ended(1)), {}, 'Running'],
  ['it is deleted and its process ended well', 'Always', record(ended(0)), { ending: true }, 'Succeeded'],
  ['it is deleted and its process was killed', 'Always', record(ended(137)), { ending: true }, 'Failed'],
];
for (const [what, policy, container, more, phase] of phases) {
  test(`a pod of policy ${policy} is ${phase} when ${what}`, () => {
    assert.equal(podStatus(pod(policy), container, { ...facts, ...more }).phase, phase);
  });
}

test('a pod is Ready when its container is, and tells if not', () => {
  const ready = podStatus(pod('Always'), record(running, { ready: true }), facts);
  assert.equal(ready.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
  const not = podStatus(pod('Always'), record(running), facts);
  const condition = not.conditions?.find(({ type }) => type === 'Ready');
  assert.equal(condition?.status, 'False');
  assert.equal(condition?.message, 'containers with unready status: [web]');
});

test('a condition keeps the time since when it has been so, and those of others stay', () => {
  const before = {
    conditions: [
      { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:30Z' },
      { type: 'example.com/Gate', status: 'True', lastTransitionTime: '2026-01-01T00:00:10Z' },
    ],
  };
  const { conditions = [] } = podStatus(pod('Always', before), record(running, { ready: true }), facts);
  const time = (wanted: string) => conditions.find(({ type }) => type === wanted)?.lastTransitionTime;
  assert.equal(time('Ready'), '2026-01-01T00:00:30Z');
  assert.equal(time('ContainersReady'), facts.now);
  assert.equal(time('example.com/Gate'), '2026-01-01T00:00:10Z');
});
