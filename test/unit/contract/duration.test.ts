import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatDuration, parseDuration } from '../../../src/contract/duration.ts';

test('durations are read as Go reads them', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['0', 0],
    ['0s', 0],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['100ms', 100],
    ['10us', 0.01],
    ['10µs', 0.01],
    ['-1s', -1000],
    ['+1s', 1000],
    ['168h', 604_800_000],
    ['', undefined],
    ['5', undefined],
    ['s', undefined],
    ['1 h', undefined],
    ['1d', undefined],
    ['1h30', undefined],
    ['3000000h', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text);
});

test('durations are written without zero units at the end', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [7_200_000, '2h'],
    [90_000, '1m30s'],
    [5_400_000, '1h30m'],
    [3_601_000, '1h1s'],
    [1500, '1.5s'],
    [250, '250ms'],
    [0.25, '250000ns'],
    [-60_000, '-1m'],
  ];
  for (const [milliseconds, expected] of cases) assert.equal(formatDuration(milliseconds), expected);
});

test('what is written is read back as the same number of milliseconds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (milliseconds) => {
      assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
    }),
  );
});
