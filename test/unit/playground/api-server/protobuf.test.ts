import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProtobuf } from '../../../../src/playground/api-server/http/protobuf.ts';
import { StatusError } from '../../../../src/playground/api-server/status-error.ts';

/** The body of `kubectl create secret generic s --from-literal=a=b`, version 1.34, and what earlier ones send as JSON. */
const sent = 'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=';
const meant = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'Yg==' } };
const whole = Buffer.from(sent, 'base64');

test('what kubectl sends as protobuf is read as the same in JSON', () => {
  assert.deepEqual(decodeProtobuf({ kind: 'Secret' }, whole), meant);
});

test('what is cut off or no protobuf at all is refused', () => {
  for (const bytes of [Buffer.from('{}'), whole.subarray(0, 20), Buffer.from('k8s\0\xff')]) {
    assert.throws(() => decodeProtobuf({ kind: 'Secret' }, bytes), StatusError);
  }
});
