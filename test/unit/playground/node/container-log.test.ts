import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOfLog, readLog } from '../../../../src/playground/node/container-log.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

const never = new AbortController().signal;
const clock = new TestClock();

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

test('a log is shown as a whole, or its end', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, '0.log');
    const show = (options: object) =>
      text(readLog({ path, isRunning: () => true }, { follow: false, ...options }, clock, never));
    await writeFile(path, '');
    assert.equal(await show({ tailLines: 2 }), '');
    await writeFile(path, 'one\ntwo\nthree\n');
    assert.equal(await show({}), 'one\ntwo\nthree\n');
    assert.equal(await show({ tailLines: 2 }), 'two\nthree\n');
    assert.equal(await show({ tailLines: 0 }), '');
    assert.equal(await show({ tailLines: 9 }), 'one\ntwo\nthree\n');
    assert.equal(await endOfLog(path, 2, 6), 'three\n');
  });
});

test('following shows what is there and what comes, to the end of the run', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, '0.log');
    let isRunning = true;
    await writeFile(path, 'before\n');
    const shown = readLog({ path, isRunning: () => isRunning }, { follow: true }, clock, never);
    assert.equal(String((await shown.next()).value), 'before\n');
    const rest = text(shown);
    while (clock.sleeping === 0) await settle();
    await appendFile(path, 'after\nlast\n');
    isRunning = false;
    await clock.advance(1000);
    assert.equal(await rest, 'after\nlast\n');
  });
});

test('following ends when the reader goes', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, '0.log');
    await writeFile(path, 'one\n');
    const gone = new AbortController();
    const shown = readLog({ path, isRunning: () => true }, { follow: true }, clock, gone.signal);
    await shown.next();
    const next = shown.next();
    while (clock.sleeping === 0) await settle();
    gone.abort();
    assert.equal((await next).done, true);
  });
});
