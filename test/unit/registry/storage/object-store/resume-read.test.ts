import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteRange } from '../../../../../src/registry/storage/driver.ts';
import { resumeRead } from '../../../../../src/registry/storage/object-store/resume-read.ts';
import { readAll } from '../../../../support/store-fixture.ts';

const content = Buffer.from('0123456789');
const broken = new Error('other side closed');

/** Bodies of `content` of two bytes a chunk, each of which breaks after so many bytes. */
function bodies(...lengths: readonly number[]) {
  const opened: ByteRange[] = [];
  const open = async (range: ByteRange): Promise<AsyncIterable<Uint8Array>> => {
    opened.push(range);
    const length = lengths[opened.length - 1] ?? Infinity;
    return (async function* () {
      const bytes = content.subarray(range.start, range.end);
      for (let at = 0; at < bytes.length; at += 2) {
        if (at + 2 > length) throw broken;
        yield bytes.subarray(at, at + 2);
      }
    })();
  };
  return { open, opened };
}

test('a read goes on where its connection broke', async () => {
  const { open, opened } = bodies(4, 2);
  const range = { start: 1, end: 10 };
  const bytes = await readAll(resumeRead(await open(range), range, open));
  assert.equal(bytes.toString(), '123456789');
  assert.deepEqual(
    opened.map(({ start }) => start),
    [1, 5, 7],
  );
});

test('a read that gets no further is given up', async () => {
  const { open, opened } = bodies(4, 0, 0, 0, 0);
  const range = { start: 0 };
  await assert.rejects(readAll(resumeRead(await open(range), range, open)), broken);
  assert.equal(opened.length, 4);
});

test('a read of what is gone fails with what broke it', async () => {
  const { open } = bodies(4);
  const range = { start: 0 };
  await assert.rejects(readAll(resumeRead(await open(range), range, async () => undefined)), broken);
});

test('a reader that stops early closes the body', async () => {
  let closed = false;
  const body = (async function* () {
    try {
      yield content;
      yield content;
    } finally {
      closed = true;
    }
  })();
  for await (const _chunk of resumeRead(body, { start: 0 }, async () => undefined)) break;
  assert.ok(closed);
});
