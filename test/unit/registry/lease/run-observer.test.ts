import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunObserver } from '../../../../src/registry/lease/run-observer.ts';
import {
  decodeRunRecord,
  encodeRunRecord,
  type RunRecord,
} from '../../../../src/registry/lease/run-record.ts';

const draining: RunRecord = { run: 'a', phase: 'draining', counter: 1, duration: 45_000 };

const cases: readonly {
  readonly title: string;
  readonly seen: readonly {
    readonly at: number;
    readonly records: readonly RunRecord[];
    readonly age?: number;
  }[];
  readonly at: number;
  readonly live: readonly string[];
}[] = [
  {
    title: 'a run is live when it is first seen',
    seen: [{ at: 0, records: [draining] }],
    at: 0,
    live: ['a'],
  },
  {
    title: 'a run that does not change is live until its duration is over',
    seen: [
      { at: 0, records: [draining] },
      { at: 44_000, records: [draining] },
    ],
    at: 44_999,
    live: ['a'],
  },
  {
    title: 'a run that did not change for its duration is dead',
    seen: [{ at: 0, records: [draining] }],
    at: 45_000,
    live: [],
  },
  {
    title: 'a renewal counts from when it was seen',
    seen: [
      { at: 0, records: [draining] },
      { at: 44_000, records: [{ ...draining, counter: 2 }] },
    ],
    at: 88_000,
    live: ['a'],
  },
  {
    title: 'a run that says done is over at once',
    seen: [{ at: 0, records: [{ ...draining, phase: 'done' }] }],
    at: 0,
    live: [],
  },
  {
    title: 'on first sight the age that the store tells counts',
    seen: [{ at: 100_000, records: [draining], age: 45_000 }],
    at: 100_000,
    live: [],
  },
  {
    title: 'an age of the store means nothing for a run that is already watched',
    seen: [
      { at: 0, records: [draining] },
      { at: 1_000, records: [{ ...draining, counter: 2 }], age: 45_000 },
    ],
    at: 1_000,
    live: ['a'],
  },
  {
    title: 'an age of the store counts for a run that was seen, and not seen to change',
    seen: [
      { at: 0, records: [draining] },
      { at: 1_000, records: [draining], age: 45_000 },
    ],
    at: 1_000,
    live: [],
  },
  {
    title: 'a negative age (a store whose clock stepped back) is taken for none',
    seen: [{ at: 0, records: [draining], age: -9_000_000 }],
    at: 45_000,
    live: [],
  },
  {
    title: 'a run whose file is gone is over',
    seen: [
      { at: 0, records: [draining] },
      { at: 1_000, records: [] },
    ],
    at: 1_000,
    live: [],
  },
];

for (const { title, seen, at, live } of cases) {
  test(title, () => {
    const observer = new RunObserver();
    for (const { at: time, records, age } of seen) {
      const ages = new Map(age === undefined ? [] : records.map(({ run }) => [run, age] as const));
      observer.observe(records, time, ages);
    }
    assert.deepEqual(
      observer.live(at).map(({ run }) => run),
      live,
    );
  });
}

test('a record survives being written and read', () => {
  assert.deepEqual(decodeRunRecord('a', encodeRunRecord(draining), 1), draining);
});

for (const [title, text] of [
  ['an empty file', ''],
  ['a torn file', '{"version":1,"run":"a","pha'],
  ['a file of a newer version', '{"version":2,"phase":"done","counter":1,"duration":1}'],
  ['an unknown phase', '{"version":1,"phase":"resting","counter":1,"duration":1}'],
] as const) {
  test(`${title} is taken for a run that marks`, () => {
    const record = decodeRunRecord('a', Buffer.from(text), 45_000);
    assert.equal(record.phase, 'marking');
    assert.equal(record.duration, 45_000);
  });
}
