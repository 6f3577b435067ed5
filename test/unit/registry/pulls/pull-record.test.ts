import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  decodePulls,
  encodePulls,
  mergePulls,
  type PullRecord,
} from '../../../../src/registry/pulls/pull-record.ts';

const times = fc.integer({ min: 0, max: 10_000 }).map((seconds) => seconds * 1000);
const names = fc.constantFrom('a', 'b', '__proto__', 'constructor');
const records: fc.Arbitrary<PullRecord> = fc
  .tuple(times, fc.option(times), fc.array(fc.tuple(names, names, times)))
  .map(([since, forgotAt, pulls]) => ({
    since,
    ...(forgotAt && { forgotAt }),
    pulls: new Map(
      [...Map.groupBy(pulls, ([repository]) => repository)].map(([repository, of]) => [
        repository,
        new Map(of.map(([, reference, at]) => [reference, at] as const)),
      ]),
    ),
  }));

test('a record that was written says the same when it is read', () => {
  fc.assert(fc.property(records, (record) => assert.deepEqual(decodePulls(encodePulls(record)), record)));
});

test('the order in which records are merged, and how often, makes no difference', () => {
  fc.assert(
    fc.property(fc.array(records, { minLength: 1 }), fc.integer(), (all, seed) => {
      const shuffled = all.toSorted((a, b) => ((a.since * 31 + seed) % 7) - ((b.since * 31 + seed) % 7));
      const once = mergePulls(all);
      assert.ok(once);
      assert.deepEqual(mergePulls([...shuffled, once, ...all]), once);
    }),
  );
});

test('of each reference the last pull counts, and what is too old is left out', () => {
  const record = (at: number): PullRecord => ({
    since: at,
    pulls: new Map([['app', new Map([['v1', at]])]]),
  });
  const merged = mergePulls([record(2000), record(5000), record(3000)]);
  assert.equal(merged?.pulls.get('app')?.get('v1'), 5000);
  assert.equal(merged.since, 2000);
  assert.equal(mergePulls([record(2000)], 3000)?.pulls.size, 0);
});

for (const text of [
  '',
  '{',
  'null',
  '{"version":2,"since":1,"pulls":{}}',
  '{"version":1,"since":1,"pulls":{"a":{"b":"c"}}}',
]) {
  test(`a file that says ${text || 'nothing'} is no record`, () => {
    assert.equal(decodePulls(Buffer.from(text)), undefined);
  });
}
