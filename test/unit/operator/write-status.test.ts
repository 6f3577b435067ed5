import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import { registries } from '../../../src/operator/resource-types.ts';
import { writeStatus } from '../../../src/operator/write-status.ts';

const object = { metadata: { name: 'team', namespace: 'default', resourceVersion: '7' } };
const status = {
  conditions: [{ type: 'Ready', status: 'True', reason: 'Available', message: '', lastTransitionTime: '' }],
} as const;

for (const [what, code] of [
  ['has changed', 409],
  ['is gone', 404],
] as const) {
  test(`an object that ${what} since it was read is no failure: there will be another look`, async () => {
    const kube = {
      apply: async () => {
        throw new ApiError({ status: code, reason: '', message: what, retryAfterMs: undefined });
      },
    };
    assert.equal(await writeStatus(kube, registries, object, status), 'stale');
  });
}
