import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetryAfter } from '../../../src/process/retry-after.ts';

test('Retry-After is seconds or a date, and what it is not asks for nothing', () => {
  assert.equal(parseRetryAfter('120', 0), 120_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:01:00 GMT', 15_000), 45_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:01:00 GMT', 90_000), 0);
  assert.equal(parseRetryAfter('soon', 0), 0);
  assert.equal(parseRetryAfter(undefined, 0), 0);
});
