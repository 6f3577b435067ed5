import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore } from './explore.ts';
import { leaseModel } from './model.ts';
import { PROTOCOL, type LateKind, type Rules } from './rules.ts';

const MOST_STATES = 4_000_000;
const EVERY_KIND: readonly LateKind[] = ['manifest', 'tag', 'remove', 'purge', 'record'];
const ONE_OF_EACH: Partial<Rules> = { late: EVERY_KIND, danglingTag: true, drift: 1 };

/** What the lease holds against, exhausted: every order of every step, with nothing but the rules of the protocol. */
const explorations: readonly (readonly [string, Partial<Rules>])[] = [
  ['a server and a collector, with late operations and clocks that drift', ONE_OF_EACH],
  ['the same, keeping what has no tag', { ...ONE_OF_EACH, deleteUntagged: false }],
  [
    'the same, purging what the run moved, and a clock that jumps',
    { ...ONE_OF_EACH, noGrace: true, jumps: 1 },
  ],
  ['the same where deletes are signed to expire', { ...ONE_OF_EACH, store: 'signed' }],
  ['the same, signed, keeping what has no tag', { ...ONE_OF_EACH, store: 'signed', deleteUntagged: false }],
  [
    'a server and a collector where deletes name a version',
    { late: EVERY_KIND, store: 'versioned', deleteUntagged: false },
  ],
  ['a server and a collector where a delete lands within the margin', { store: 'plain' }],
  ['two servers and a collector', { servers: 2, renewals: 0 }],
  ['a server and two collectors', { collectors: 2, renewals: 0, duration: 2 }],
];

let states = 0;
for (const [title, rules] of explorations) {
  test(`the lease holds: ${title}`, (t) => {
    const found = explore(leaseModel({ ...PROTOCOL, ...rules }), MOST_STATES);
    assert.equal(found.violation, undefined, found.violation?.trace.join('\n') ?? '');
    assert.equal(found.complete, true, `cut after ${found.states} states`);
    states += found.states;
    t.diagnostic(`${found.states} states`);
  });
}

test('a million states and more were seen', (t) => {
  t.diagnostic(`${states} states`);
  assert.ok(states >= 1_000_000);
});
