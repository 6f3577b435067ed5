import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatheredBytes } from '../../../../../src/registry/storage/object-store/gathered-bytes.ts';

test('bytes are taken out in their order, as many as are wanted', () => {
  const gathered = new GatheredBytes(4);
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
  const gathered = new GatheredBytes(4);
  gathered.push(large.subarray(0, 3));
  large.fill('b');
  assert.equal(gathered.take().toString(), 'aaa');
});

test('what is taken out has a buffer of its own, and chunks are given back when they come', () => {
  const gathered = new GatheredBytes(16 * 1024);
  const chunk = Buffer.from(new Uint8Array(20 * 1024).fill(1).buffer);
  gathered.push(chunk);
  assert.equal(chunk.length, 0);
  const taken = gathered.take(16 * 1024);
  taken.buffer.transferToFixedLength(0);
  assert.deepEqual(gathered.take(), Buffer.alloc(4 * 1024, 1));
});

test('more than was thought enough is taken all the same', () => {
  const gathered = new GatheredBytes(4);
  const chunks = Array.from({ length: 5 }, (_, index) => Buffer.alloc(700_000, index));
  const all = Buffer.concat(chunks);
  for (const chunk of chunks) gathered.push(chunk);
  assert.ok(gathered.take(1_000_000).equals(all.subarray(0, 1_000_000)));
  assert.ok(gathered.take().equals(all.subarray(1_000_000)));
});
