import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { ContainerLog, lastLines, readLog } from '../../../../src/playground/node/container-log.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const never = new AbortController().signal;
const plain = { follow: false, timestamps: false };

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

/** A log with lines a second apart, from midnight on. */
async function written(folder: string, lines: readonly string[]): Promise<ContainerLog> {
  let now = Date.UTC(2026, 0, 1);
  const log = await ContainerLog.create(join(folder, 'web.0.log'), () => now);
  for (const line of lines) {
    const output = new PassThrough();
    output.end(`${line}\n`);
    await log.take('stdout', output);
    now += 1000;
  }
  return log;
}

test('a log is shown as a whole, its end, or with times', async () => {
  await withTemporaryFolder(async (folder) => {
    const log = await written(folder, ['one', 'two', 'three']);
    await log.end();
    const show = (options: object) =>
      text(readLog(log.path, { ...plain, ...options }, { running: undefined, signal: never }));
    assert.equal(await show({}), 'one\ntwo\nthree\n');
    assert.equal(await show({ tailLines: 2 }), 'two\nthree\n');
    assert.equal(await show({ tailLines: 0 }), '');
    assert.equal(await show({ timestamps: true, tailLines: 1 }), '2026-01-01T00:00:02.000Z three\n');
    assert.equal(await lastLines(log.path, 2, 6), 'three\n');
  });
});

test('following shows what is there and what comes, each line once, to the end of the run', async () => {
  await withTemporaryFolder(async (folder) => {
    const log = await written(folder, ['before']);
    const follow = { ...plain, follow: true };
    const shown = readLog(log.path, follow, { running: log, signal: never });
    const first = await shown.next();
    assert.equal(String(first.value), 'before\n');
    const output = new PassThrough();
    const taken = log.take('stderr', output);
    output.end('after\nlast\n');
    await taken;
    await log.end();
    assert.equal(await text(shown), 'after\nlast\n');
  });
});

test('following ends when the reader goes', async () => {
  await withTemporaryFolder(async (folder) => {
    const log = await written(folder, ['one']);
    const gone = new AbortController();
    const follow = { ...plain, follow: true };
    const shown = readLog(log.path, follow, { running: log, signal: gone.signal });
    await shown.next();
    gone.abort();
    assert.equal((await shown.next()).done, true);
    await log.end();
  });
});
