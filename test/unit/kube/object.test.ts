import assert from 'node:assert/strict';
import { test } from 'node:test';
import { microTime } from '../../../src/kube/micro-time.ts';
import { formatKey, parseKey } from '../../../src/kube/object.ts';

test('a key is written and read back, with and without a namespace', () => {
  for (const key of [{ namespace: 'port', name: 'a.b' }, { name: 'node-1' }]) {
    assert.deepEqual(parseKey(formatKey(key)), key);
  }
  assert.equal(formatKey({ namespace: 'port', name: 'a' }), 'port/a');
});

test('a MicroTime has six digits of a second', () => {
  assert.equal(microTime(Date.UTC(2026, 0, 2, 3, 4, 5, 6)), '2026-01-02T03:04:05.006000Z');
});
