import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openResumed } from '../../../../src/mirror/cache/resumed-body.ts';
import { logSink } from '../../../support/log-sink.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { collect, never } from './harness.ts';

for (const [title, answer] of [
  ['another size', { size: 9, start: 0 }],
  ['less than the part', { size: 10, start: 7 }],
] as const) {
  test(`an upstream that goes on with ${title} is given up, and so is its connection`, async () => {
    let given: AbortSignal | undefined;
    const source = async (start: number, signal: AbortSignal) => {
      given = signal;
      if (start === 0) return { size: 10, start, body: bodyOf(Buffer.alloc(5)) };
      return { ...answer, body: bodyOf(Buffer.alloc(5)) };
    };
    const clock = new TestClock();
    const { chunks } = await openResumed(source, 0, never, { clock, log: logSink().log });
    const refused = assert.rejects(collect(chunks), { kind: 'invalid' });
    await clock.advance(1000);
    await refused;
    assert.equal(given?.aborted, true);
  });
}

async function* bodyOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
