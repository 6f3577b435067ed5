import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, asyncProperty, jsonValue, nat } from 'fast-check';
import { readJsonLines } from '../../../src/kube/json-lines.ts';

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

test('values come out as they went in, wherever the chunks are cut', async () => {
  await check(
    asyncProperty(array(jsonValue()), array(nat(200)), async (values, sizes) => {
      const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      chunks.push(bytes.subarray(at));
      assert.deepEqual(
        await Array.fromAsync(readJsonLines(stream(chunks))),
        values.map((value): unknown => JSON.parse(JSON.stringify(value))),
      );
    }),
  );
});

test('an unfinished last line is dropped, and empty lines are passed over', async () => {
  const chunks = [Buffer.from('{"a":1}\n\n{"b":'), Buffer.from('2')];
  assert.deepEqual(await Array.fromAsync(readJsonLines(stream(chunks))), [{ a: 1 }]);
});

test('a line that is no JSON throws', async () => {
  await assert.rejects(
    Array.fromAsync(readJsonLines(stream([Buffer.from('upstream connect error\n')]))),
    SyntaxError,
  );
});
