import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PieceSizes,
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
    sizes: new PieceSizes({ largest: 4, unit: 2 }),
    send: async (piece, start) => void got.push(`${start}:${piece.toString()}`),
    finish: async (rest, start) => void got.push(`${start}:${rest.toString()}.`),
    ...changes,
  };
}

test('chunks of any size become pieces of the right one, in their order', async () => {
  const pieces = sink({ size: 10 });
  const writer = new PieceWriter(pieces);
  for (const chunk of ['a', 'bc', 'defghijklmn', '', 'o']) await writer.write(Buffer.from(chunk));
  assert.equal(writer.size, 25);
  await writer.close();
  assert.deepEqual(pieces.got, ['10:abcd', '14:efgh', '18:ijkl', '22:mno.']);
});

test('nothing at all is still finished', async () => {
  const pieces = sink();
  await new PieceWriter(pieces).close();
  assert.deepEqual(pieces.got, ['0:.']);
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

test('few writers have large pieces, and many small ones, of whole units', () => {
  const MIB = 1024 * 1024;
  const sizes = new PieceSizes({ largest: 5 * MIB, unit: MIB / 4 });
  assert.equal(sizes.next(), 5 * MIB);
  const writers = Array.from({ length: 10 }, () => new PieceWriter(sink({ sizes })));
  assert.equal(sizes.next(), 3 * MIB);
  for (let more = 0; more < 1000; more++) sizes.enter();
  assert.equal(sizes.next(), MIB / 4);
  for (let more = 0; more < 1000; more++) sizes.leave();
  return Promise.all(writers.map((writer) => writer.close())).then(() => assert.equal(sizes.next(), 5 * MIB));
});

test('a writer that was alone gathers no more than its share when others come, and sends what it has', async () => {
  const MIB = 1024 * 1024;
  const sizes = new PieceSizes({ largest: 16 * MIB, unit: MIB });
  const sent: number[] = [];
  const early = new PieceWriter(sink({ sizes, send: async (piece) => void sent.push(piece.length) }));
  assert.equal(early.write(Buffer.alloc(10 * MIB)), undefined);
  assert.deepEqual(sent, []);
  for (let others = 0; others < 31; others++) sizes.enter();
  await early.write(Buffer.alloc(1));
  assert.deepEqual(sent, [10 * MIB]);
  await early.close();
});

test('a piece that fails ends the writing, and nothing is finished', async () => {
  const pieces = sink({ send: () => Promise.reject(new Error('no')) });
  const writer = new PieceWriter(pieces);
  await writer.write(Buffer.from('abcd'));
  await settle();
  assert.throws(() => writer.write(Buffer.from('e')), { message: 'no' });
  await assert.rejects(writer.close(), { message: 'no' });
  assert.deepEqual(pieces.got, []);
});

test('all writers together have no more in memory than they share, however slow the store is', async () => {
  const MIB = 1024 * 1024;
  const sizes = new PieceSizes({ largest: 4 * MIB, unit: MIB / 2 });
  const held: (() => void)[] = [];
  const send = (): Promise<void> => new Promise((resolve) => held.push(resolve));
  const writers = Array.from({ length: 64 }, () => new PieceWriter(sink({ sizes, send })));
  const waits = writers.map((writer) => {
    for (;;) {
      const wait = writer.write(Buffer.alloc(64 * 1024));
      if (wait) return wait;
    }
  });
  const bytes = writers.reduce((sum, { size }) => sum + size, 0);
  assert.equal(bytes, 64 * MIB);
  for (const end of held.splice(0)) end();
  await Promise.all(waits);
  for (const end of held.splice(0)) end();
  await Promise.all(writers.map((writer) => writer.close()));
});

test('the memory of a piece goes back when the store has it, and that of one that failed stays', async () => {
  const pieces: Buffer[] = [];
  const fails = [false, false, true];
  const keep = async (piece: Buffer): Promise<void> => {
    pieces.push(piece);
    if (fails.shift()) throw new Error('no');
  };
  const whole = new PieceWriter(sink({ send: keep, finish: keep }));
  for (const chunk of ['abcd', 'e']) await whole.write(Buffer.from(chunk));
  await whole.close();
  const failing = new PieceWriter(sink({ send: keep }));
  await failing.write(Buffer.from('abcd'));
  await assert.rejects(failing.close(), /no/);
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [0, 0, 4],
  );
});
