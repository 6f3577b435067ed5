import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { framed, multipart, parseParts } from '../../../../src/registry/http/multi-range.ts';
import { readAll } from '../../../support/store-fixture.ts';

test('a header that names several parts gives those that are there', () => {
  const cases: readonly (readonly [string | undefined, unknown])[] = [
    [
      'bytes=0-1,4-5',
      [
        [0, 2],
        [4, 6],
      ],
    ],
    [
      'bytes=0-1, 90-,-5',
      [
        [0, 2],
        [90, 100],
        [95, 100],
      ],
    ],
    [
      'bytes=4-5,0-1',
      [
        [4, 6],
        [0, 2],
      ],
    ],
    [
      'bytes=0-1,200-300,5-5',
      [
        [0, 2],
        [5, 6],
      ],
    ],
    [
      'bytes=0-1,98-500',
      [
        [0, 2],
        [98, 100],
      ],
    ],
    ['bytes=0-1', undefined],
    ['bytes=0-1,200-', undefined],
    ['bytes=0-60,30-99', undefined],
    ['bytes=0-1,x', undefined],
    ['bytes=0-1,5-4', undefined],
    ['bytes=0-1,-', undefined],
    ['bytes=,', undefined],
    [`bytes=${'0-0,'.repeat(101)}0-0`, undefined],
    [undefined, undefined],
  ];
  for (const [header, expected] of cases) {
    assert.deepEqual(
      parseParts(header, 100)?.map(({ start, end }) => [start, end]),
      expected,
      header ?? 'none',
    );
  }
});

test('whatever is asked for, the parts lie in the content, and the body has the length that was told', async () => {
  const content = Buffer.from(Array.from({ length: 200 }, (_, index) => index));
  const number = fc.integer({ min: 0, max: 300 }).map(String);
  const item = fc.oneof(
    fc.tuple(number, number).map(([first, last]) => `${first}-${last}`),
    number.map((first) => `${first}-`),
    number.map((suffix) => `-${suffix}`),
    fc.string({ maxLength: 4 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 6 }), async (items) => {
      const parts = parseParts(`bytes=${items.join(',')}`, content.length);
      if (parts === undefined) return;
      const frame = multipart(parts, { size: content.length, contentType: 'x/y' }, 'boundary');
      const read = async (part: { start: number; end: number }): Promise<AsyncIterable<Uint8Array>> =>
        (async function* () {
          yield content.subarray(part.start, part.end);
        })();
      const body = await readAll(framed(frame, parts, read));
      assert.equal(body.length, frame.length);
      for (const { start, end } of parts) {
        assert.ok(start >= 0 && start < end && end <= content.length);
        assert.ok(body.includes(`Content-Range: bytes ${start}-${end - 1}/200\r\n\r\n`));
      }
    }),
  );
});
