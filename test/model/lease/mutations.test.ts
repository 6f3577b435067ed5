import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore } from './explore.ts';
import { leaseModel } from './model.ts';
import { PROTOCOL, type Rules } from './rules.ts';

const MOST_STATES = 4_000_000;

/** Each rule that is turned off is missed: the way to a loss is found. */
const mutations: readonly (readonly [string, Partial<Rules>])[] = [
  ['no look behind a write', { store: 'plain', validate: false }],
  ['records of runs dropped at their release', { store: 'plain', keepsRecords: false }],
  ['nothing verified again when a run came and went', { store: 'plain', verifyAgain: false }],
  [
    'the tag not verified again',
    { store: 'signed', danglingTag: true, deleteUntagged: false, verifyTagAgain: false },
  ],
  ['a newer tag that went by its path does not come back', { danglingTag: true, restoresNewerTags: false }],
  ['no fence', { store: 'plain', fence: false }],
  ['no margin', { store: 'plain', margin: 0 }],
  ['no margin for the stamps of the store', { store: 'plain', stampMargin: 0 }],
  ['stamps of the store that are wrong by more than the margin for them', { store: 'plain', stampError: 2 }],
  ['a lease renewed after it had lapsed', { store: 'plain', renewsOnlyValid: false }],
  ['marking before it is declared', { store: 'plain', declaresMarking: false }],
  ['references not checked', { store: 'plain', verify: false }],
  ['runs noted late', { store: 'plain', notesRunsAtFirstLook: false }],
  [
    'a run that called when a write began taken for one that was over',
    { store: 'plain', meetsCallingRunsAgain: false },
  ],
  [
    'release with a delete that has no answer',
    { store: 'signed', late: ['remove'], leavesUnansweredLease: false },
  ],
  [
    'marking after a record that has no answer',
    { store: 'plain', late: ['record'], endsWithUnansweredRecord: false },
  ],
  [
    'one file for the lease of all',
    { store: 'plain', collectors: 2, renewals: 0, duration: 2, ownFiles: false },
  ],
  ['an observer whose wall clock jumps', { store: 'plain', jumps: 1, observesMonotonic: false }],
  [
    'a delete by version of what was used again and not rewritten',
    { store: 'versioned', late: ['remove'], deleteUntagged: false, rewritesWhatItKeeps: false },
  ],
  [
    'a purge of more than was listed',
    {
      collectors: 2,
      renewals: 0,
      duration: 1,
      margin: 0,
      stampError: 0,
      stampMargin: 0,
      deleteUntagged: false,
      noGrace: true,
      late: ['purge'],
      purgesOnlyListed: false,
    },
  ],
];

for (const [title, rules] of mutations) {
  test(`a loss is found: ${title}`, (t) => {
    const { violation, states } = explore(leaseModel({ ...PROTOCOL, ...rules }), MOST_STATES);
    assert.ok(violation, `nothing was found in ${states} states`);
    t.diagnostic(`${violation.what}, after ${violation.trace.length} steps; ${states} states`);
  });
}
