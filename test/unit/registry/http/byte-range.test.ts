import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseContentRange, parseRange } from '../../../../src/registry/http/byte-range.ts';

test('a Range header asks for a part, the whole, or what is not there', () => {
  const part = (start: number, end: number): object => ({ start, end });
  const cases: readonly (readonly [string | undefined, number, unknown])[] = [
    [undefined, 1000, 'all'],
    ['bytes=0-0', 1000, part(0, 1)],
    ['bytes=500-1499', 1000, part(500, 1000)],
    ['bytes=500-', 1000, part(500, 1000)],
    ['bytes=-500', 1000, part(500, 1000)],
    ['bytes=-5000', 1000, part(0, 1000)],
    ['bytes=0-999', 1000, part(0, 1000)],
    ['bytes=999-', 1000, part(999, 1000)],
    ['bytes=1000-', 1000, 'unsatisfiable'],
    ['bytes=500-0', 1000, 'unsatisfiable'],
    ['bytes=-0', 1000, 'unsatisfiable'],
    ['bytes=0-1,5-6', 1000, 'all'],
    ['bytes=-', 1000, 'all'],
    ['bytes=x-y', 1000, 'all'],
    ['lines=1-2', 1000, 'all'],
    ['bytes=0-', 0, 'all'],
  ];
  for (const [header, size, expected] of cases) {
    assert.deepEqual(parseRange(header, size), expected, `${header} of ${size}`);
  }
});

test('a Content-Range names first and last byte, with or without unit and total', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['0-99', { first: 0, last: 99 }],
    ['bytes 0-99', { first: 0, last: 99 }],
    ['bytes=0-99', { first: 0, last: 99 }],
    ['bytes 0-99/200', { first: 0, last: 99 }],
    ['0-99/*', { first: 0, last: 99 }],
    ['5-4', { first: 5, last: 4 }],
    ['5-3', undefined],
    ['0', undefined],
    ['', undefined],
    ['99999999999999999-99999999999999999', undefined],
  ];
  for (const [header, expected] of cases) assert.deepEqual(parseContentRange(header), expected, header);
});
