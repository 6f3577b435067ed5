import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toConditions, type Finding } from '../../../src/operator/conditions.ts';
import { conditionsPage, conditionTypes, reasons } from '../../../src/operator/reasons.ts';
import { podProblem, rolloutOf, serverAddresses } from '../../../src/operator/rollout.ts';
import { parseStatusDocument, textUpTo } from '../../../src/operator/server-status.ts';
import { deployment, pod, readyDeployment, readyPod } from './resource-builders.ts';

const finding = (status: Finding['status'], message = ''): Finding => ({
  type: 'Ready',
  status,
  reason: 'Available',
  message,
});

test('the time of a condition changes with its verdict alone', () => {
  const at = (now: number) => ({ generation: 3, now });
  const first = toConditions([finding('True')], undefined, at(Date.UTC(2026, 0, 1)));
  assert.deepEqual(first, [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Available',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: 3,
    },
  ]);
  const later = toConditions([finding('True', 'other words')], first, at(Date.UTC(2026, 0, 2)));
  assert.equal(later[0]?.lastTransitionTime, '2026-01-01T00:00:00Z');
  const flipped = toConditions([finding('False')], later, at(Date.UTC(2026, 0, 3, 0, 0, 0, 999)));
  assert.equal(flipped[0]?.lastTransitionTime, '2026-01-03T00:00:00Z');
});

test('a message that quotes too much is cut', () => {
  const [condition] = toConditions([finding('False', 'x'.repeat(5000))], undefined, {
    generation: 1,
    now: 0,
  });
  assert.equal(condition?.message.length, 1024);
});

test('a rollout is complete when the pods are as the Deployment wants them', () => {
  const { status } = readyDeployment;
  assert.deepEqual(rolloutOf(readyDeployment, []), { available: true, complete: true, problem: undefined });
  assert.equal(rolloutOf(deployment({ ...status, observedGeneration: 0 }), []).complete, false);
  assert.equal(rolloutOf(deployment({ ...status, replicas: 2 }), []).complete, false);
  assert.equal(rolloutOf(deployment({ ...status, updatedReplicas: 0 }), []).complete, false);
  assert.deepEqual(rolloutOf(deployment(), []), { available: false, complete: false, problem: undefined });
});

test('what keeps a pod from coming up is told in the words of who knows', () => {
  assert.equal(podProblem(readyPod), undefined);
  assert.match(
    podProblem(
      pod({
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' },
        ],
      }),
    ) ?? '',
    /reg-1 finds no node \(Unschedulable\): 0\/3 nodes/,
  );
  const container = (state: object, lastState?: object) => ({
    containerStatuses: [
      {
        name: 'registry',
        image: '',
        imageID: '',
        ready: false,
        restartCount: 0,
        state,
        ...(lastState !== undefined && { lastState }),
      },
    ],
  });
  const status = { terminated: { exitCode: 2, message: 'config.yml: storage is missing\n' } };
  assert.equal(podProblem(pod(container({ waiting: { reason: 'ContainerCreating' } }))), undefined);
  assert.match(
    podProblem(pod(container({ waiting: { reason: 'ImagePullBackOff', message: 'no such image' } }))) ?? '',
    /ImagePullBackOff\): no such image/,
  );
  assert.match(
    podProblem(pod(container({ waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } }, status))) ??
      '',
    /CrashLoopBackOff\): config\.yml: storage is missing$/,
  );
  const refused = deployment({
    conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }],
  });
  assert.match(rolloutOf(refused, []).problem ?? '', /No pod can be made: exceeded quota/);
});

test('the pods that are ready and stay are asked for their status, the newest first', () => {
  const at = (podIP: string, metadata: object, status: object = {}) =>
    pod({ ...readyPod.status, podIP, ...status }, metadata);
  assert.deepEqual(serverAddresses([]), []);
  assert.deepEqual(
    serverAddresses([
      at('10.0.0.1', { creationTimestamp: '2026-01-01T00:00:00Z' }),
      at('10.0.0.2', { creationTimestamp: '2026-01-02T00:00:00Z' }),
      at('10.0.0.3', {
        creationTimestamp: '2026-01-03T00:00:00Z',
        deletionTimestamp: '2026-01-04T00:00:00Z',
      }),
      at(
        '10.0.0.4',
        { creationTimestamp: '2026-01-03T00:00:00Z' },
        { conditions: [{ type: 'Ready', status: 'False' }] },
      ),
    ]),
    ['10.0.0.2', '10.0.0.1'],
  );
});

test('a status document is read as far as it fits', () => {
  const document = {
    version: '1',
    configHash: 'abc',
    certificate: { serial: '0a', notAfter: '2026-01-01T00:00:00Z' },
    users: { count: 2, hash: 'def', errors: [{ line: 3, reason: 'no hash' }] },
    storage: { problem: 'AccessDenied' },
    readOnly: { active: true, reason: 'Marking', since: '2026-01-01T00:00:00.000Z' },
    openUploads: 1,
  } as const;
  assert.deepEqual(parseStatusDocument(JSON.stringify(document)), document);
  assert.deepEqual(
    parseStatusDocument(
      JSON.stringify({
        version: '1',
        configHash: 'abc',
        readOnly: { active: 'yes', reason: 'Party', since: 7 },
        openUploads: -1,
      }),
    ),
    {
      version: '1',
      configHash: 'abc',
      readOnly: { active: false },
      openUploads: 0,
    },
  );
  for (const text of ['', '<html>', 'null', '[]', '{}', '{"readOnly":{}}'])
    assert.equal(parseStatusDocument(text), undefined, text);
});

test('the page of conditions has a section for every condition and every reason, and no other', () => {
  const page = conditionsPage();
  const sections = (level: string) =>
    [...page.matchAll(new RegExp(`^${level} (\\S+)$`, 'gm'))].map(([, title = '']) => title);
  assert.deepEqual(sections('##'), [...Object.keys(conditionTypes), 'Reasons']);
  assert.deepEqual(sections('###').toSorted(), Object.keys(reasons).toSorted());
  const anchors = [...sections('##'), ...sections('###')].map((title) => title.toLowerCase());
  assert.equal(new Set(anchors).size, anchors.length);
  for (const [reason, { of }] of Object.entries(reasons)) {
    assert.equal(page.split(`[\`${reason}\`](#${reason.toLowerCase()})`).length - 1, of.length, reason);
  }
});

test('every reason of the table is given somewhere', () => {
  const folder = join(import.meta.dirname, '../../../src');
  const sources = globSync(['operator/*.ts', 'api/*.ts', 'contract/**/*.ts', 'pki/*.ts'], { cwd: folder })
    .filter((file) => !file.endsWith('reasons.ts'))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('');
  const unused = Object.keys(reasons).filter((reason) => !sources.includes(`'${reason}'`));
  assert.deepEqual(unused, []);
});

test('an answer is read as far as a document may be long, whatever a pod goes on to send', async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1000;
      controller.enqueue(new Uint8Array(1000).fill(0x20));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  assert.equal(await textUpTo(new Response(endless), 10_000), undefined);
  assert.ok(cancelled && sent <= 13_000, `${sent} bytes were read`);
  assert.equal(await textUpTo(new Response('{"ä":1}'), 10_000), '{"ä":1}');
  assert.equal(await textUpTo(new Response(null), 10_000), '');
});
