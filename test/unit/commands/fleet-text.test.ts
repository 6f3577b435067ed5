import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsText, fleetText } from '../../../src/commands/fleet-text.ts';
import { explained, fleetEntry } from '../../../src/operator/fleet.ts';
import { collection, collectionObject, registryObject } from '../operator/resource-builders.ts';

const NOW = Date.UTC(2026, 5, 1);
const ago = (seconds: number) => `${new Date(NOW - seconds * 1000).toISOString().slice(0, 19)}Z`;
const condition = (type: string, status: 'True' | 'False' | 'Unknown', reason: string, message = 'So.') => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: ago(7200),
});

const registry = (name: string, status?: object) =>
  fleetEntry(registryObject({ name, ...(status !== undefined && { status }) }));

const good = registry('good', {
  url: 'https://good.example.com',
  readyReplicas: 1,
  certificate: { serial: '0a', notAfter: ago(-86_400 * 60), serving: true },
  conditions: [condition('Ready', 'True', 'Available'), condition('ReadOnly', 'True', 'Marking')],
});
const bad = registry('bad', {
  url: 'https://bad.example.com',
  conditions: [
    condition('Ready', 'False', 'PodFailing'),
    condition('Degraded', 'True', 'NotReady'),
    condition('UsersReady', 'False', 'SecretNotFound'),
    condition('StorageReady', 'True', 'Bound'),
  ],
});
const fresh = registry('fresh');
const night = fleetEntry(
  collectionObject({
    status: {
      conditions: [condition('Ready', 'True', 'Scheduled')],
      phase: 'Idle',
      nextRunTime: ago(-3 * 3600),
      lastRun: {
        name: 'night-1',
        result: 'Succeeded',
        completionTime: ago(60),
        bytesReclaimed: 1_610_612_736,
        readOnlySeconds: 3,
      },
    },
  }),
);

test('the fleet is a table for what serves and one for what collects, with what to ask next', () => {
  assert.equal(
    fleetText([good, bad, fresh, night], NOW),
    `KIND      NAMESPACE  NAME   READY               PODS  READ-ONLY  CERTIFICATE  URL                       TROUBLES
Registry  team       good   True                1/1   Marking    in 60d       https://good.example.com  -
Registry  team       bad    False (PodFailing)  0/1   no         -            https://bad.example.com   Degraded, UsersReady
Registry  team       fresh  Unknown (NotSeen)   0/1   no         -            -                         -

KIND        NAMESPACE  NAME   READY  REGISTRY  LAST RUN           RECLAIMED  NEXT
RegistryGC  team       night  True   reg       Succeeded 60s ago  1.5 GiB    in 3h

2 of 4 with troubles: stevedore status registry bad -n team explains the first.
`,
  );
  assert.match(fleetText([good], NOW), /\nEverything is as it should be\.\n$/);
  assert.match(fleetText([], NOW), /^There is no Registry/);
});

test('an object of another version of the schema is in the table, and what it is is not guessed', () => {
  const odd = fleetEntry(registryObject({ spec: { storage: 7 } }));
  assert.match(fleetText([odd], NOW), /1 of 1 with troubles/);
  assert.equal(odd.reason, 'InvalidSpec');
});

test('what is wrong with one is told with the remedy, and what is right without', () => {
  const conditions = [
    condition('Ready', 'False', 'PodFailing', 'The pod bad-1 does not start.'),
    condition('UsersReady', 'False', 'SecretNotFound', 'alice: There is no Secret alice.\nbob: Nor bob.'),
    condition('StorageReady', 'True', 'Resizing', 'Grows.'),
  ];
  const text = findingsText(
    {
      ...bad,
      conditions: conditions.map(explained),
      certificate: { serial: '0a', notAfter: ago(-86_400), renewalTime: ago(-7200), serving: false },
      users: { count: 2, errors: [{ name: 'alice', reason: 'SecretNotFound', message: 'No Secret.' }] },
      pods: [
        { name: 'bad-1', node: 'one', phase: 'Pending', ready: false, restarts: 3, problem: 'It crashes.' },
      ],
      collections: [night],
    },
    NOW,
  );
  assert.equal(
    text,
    `Registry team/bad  https://bad.example.com

! Ready: False, PodFailing 2h ago
    The pod bad-1 does not start.
    What to do: Read the message; then kubectl describe pod and kubectl logs of the pod that it names.
! UsersReady: False, SecretNotFound 2h ago
    alice: There is no Secret alice.
    bob: Nor bob.
    What to do: Make the Secret, with the label stevedore.dev/use=credentials.
  StorageReady: True, Resizing 2h ago
    Grows.

Certificate: 0a, ends in 24h, renewed in 2h, not served yet

Users: 2
  alice: No Secret.

Pods:
  bad-1: Pending, not ready on one, 3 restarts
    It crashes.

Garbage collection night: Scheduled, next in 3h
  Last run: Succeeded 60s ago, 1.5 GiB came back, writes were held for 3 s
`,
  );
  assert.equal(collection().kind, night.kind);
});
