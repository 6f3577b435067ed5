import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PieceWriter,
  type PieceSink,
} from '../../../../../src/registry/storage/object-store/piece-writer.ts';
import { settle } from '../../../../support/test-clock.ts';

/** A sink of pieces of 4 bytes that notes what it gets. */
function sink(changes: Partial<PieceSink> = {}): PieceSink & { readonly got: string[] } {
  const got: string[] = [];
  return {
    got,
    size: 0,
    pieceBytes: () => 4,
    send: async (piece, start) => void got.push(`${start}:${piece.toString()}`),
    finish: async (rest, start) => void got.push(`${start}:${rest.toString()}.`),
    ended: () => void got.push('ended'),
    ...changes,
  };
}

test('chunks of any size become pieces of the right one, in their order', async () => {
  const pieces = sink({ size: 10 });
  const writer = new PieceWriter(pieces);
  for (const chunk of ['a', 'bc', 'defghijklmn', '', 'o']) await writer.write(Buffer.from(chunk));
  assert.equal(writer.size, 25);
  await writer.close();
  assert.deepEqual(pieces.got, ['10:abcd', '14:efgh', '18:ijkl', '22:mno.', 'ended']);
});

test('nothing at all is still finished', async () => {
  const pieces = sink();
  await new PieceWriter(pieces).close();
  assert.deepEqual(pieces.got, ['0:.', 'ended']);
});

test('one piece is on its way while the next is gathered, and then the writer asks to wait', async () => {
  const sent: (() => void)[] = [];
  const pieces = sink({ send: () => new Promise((resolve) => sent.push(resolve)) });
  const writer = new PieceWriter(pieces);
  assert.equal(writer.write(Buffer.from('abcd')), undefined);
  assert.equal(writer.write(Buffer.from('efg')), undefined);
  let waited = false;
  const wait = writer.write(Buffer.from('h'))?.then(() => {
    waited = true;
  });
  await settle();
  assert.deepEqual([sent.length, waited], [1, false]);
  sent.shift()?.();
  await wait;
  assert.equal(sent.length, 1);
  sent.shift()?.();
  await writer.close();
});

test('the size of a piece may change from one to the next', async () => {
  const sizes = [2, 3, 5];
  const pieces = sink({ pieceBytes: () => sizes.shift() ?? 4 });
  const writer = new PieceWriter(pieces);
  await writer.write(Buffer.from('abcdefghijkl'));
  await writer.close();
  assert.deepEqual(pieces.got, ['0:ab', '2:cde', '5:fghij', '10:kl.', 'ended']);
});

test('a piece that fails ends the writing, and nothing is finished', async () => {
  const pieces = sink({ send: () => Promise.reject(new Error('no')) });
  const writer = new PieceWriter(pieces);
  await writer.write(Buffer.from('abcd'));
  await settle();
  assert.throws(() => writer.write(Buffer.from('e')), { message: 'no' });
  await assert.rejects(writer.close(), { message: 'no' });
  assert.deepEqual(pieces.got, ['ended']);
});
