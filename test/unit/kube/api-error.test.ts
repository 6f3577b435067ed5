import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  apiErrorFromResponse,
  apiErrorFromStatus,
  isConflict,
  isGone,
  isNotFound,
} from '../../../src/kube/api-error.ts';

const notFound = JSON.stringify({
  kind: 'Status',
  status: 'Failure',
  message: 'boats.harbor.test "a" not found',
  reason: 'NotFound',
  code: 404,
});

test('an error answer is read from its Status body', () => {
  const error = apiErrorFromResponse(404, undefined, notFound);
  assert.deepEqual(
    { status: error.status, reason: error.reason, message: error.message, retryAfterMs: error.retryAfterMs },
    { status: 404, reason: 'NotFound', message: 'boats.harbor.test "a" not found', retryAfterMs: undefined },
  );
  assert.ok(isNotFound(error) && !isConflict(error) && !isGone(error));
});

const bodies: readonly (readonly [string, string, string])[] = [
  ['plain text', '429 Too Many Requests\n', '429 Too Many Requests'],
  ['nothing', '', 'HTTP status 429 without an explanation'],
  ['JSON of another kind', '{"error":"busy"}', '{"error":"busy"}'],
  ['a JSON list', '[]', '[]'],
];
for (const [what, body, message] of bodies) {
  test(`an error answer whose body is ${what} still has a message`, () => {
    const error = apiErrorFromResponse(429, '3', body);
    assert.equal(error.message, message);
    assert.equal(error.reason, '');
    assert.equal(error.retryAfterMs, 3000);
  });
}

test('a long page of a proxy is cut', () => {
  assert.equal(apiErrorFromResponse(502, undefined, 'x'.repeat(5000)).message.length, 200);
});

test('the wait is taken from the header, else from the Status details, and nonsense is none', () => {
  const status = JSON.stringify({ kind: 'Status', code: 429, details: { retryAfterSeconds: 7 } });
  assert.equal(apiErrorFromResponse(429, '2', status).retryAfterMs, 2000);
  assert.equal(apiErrorFromResponse(429, undefined, status).retryAfterMs, 7000);
  assert.equal(apiErrorFromResponse(503, 'Wed, 21 Oct 2026 07:28:00 GMT', '').retryAfterMs, undefined);
  assert.equal(apiErrorFromResponse(503, '-1', '').retryAfterMs, undefined);
});

test('the last event of a failed watch becomes an error with its code', () => {
  const error = apiErrorFromStatus({ kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
  assert.ok(isGone(error));
  assert.equal(error.reason, 'Expired');
  assert.equal(apiErrorFromStatus(null).status, 500);
});
