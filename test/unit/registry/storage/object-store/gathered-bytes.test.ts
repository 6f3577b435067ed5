import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatheredBytes } from '../../../../../src/registry/storage/object-store/gathered-bytes.ts';

test('bytes are taken out in their order, as many as are wanted', () => {
  const gathered = new GatheredBytes();
  for (const chunk of ['a', 'bcd', '', 'ef']) gathered.push(Buffer.from(chunk));
  assert.equal(gathered.size, 6);
  assert.equal(gathered.take(3).toString(), 'abc');
  assert.equal(gathered.size, 3);
  gathered.push(Buffer.from('g'));
  assert.equal(gathered.take().toString(), 'defg');
  assert.equal(gathered.take().length, 0);
});

test('a small part of a large buffer does not keep the buffer', () => {
  const large = Buffer.alloc(64 * 1024, 'a');
  const gathered = new GatheredBytes();
  gathered.push(large.subarray(0, 3));
  large.fill('b');
  assert.equal(gathered.take().toString(), 'aaa');
});
