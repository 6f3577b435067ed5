import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { showProgress } from '../../../src/commands/collection-progress.ts';
import { aboveStatus } from '../../../src/commands/status-line.ts';
import { Progress } from '../../../src/registry/collect/progress.ts';
import { logSink } from '../../support/log-sink.ts';
import { TestClock } from '../../support/test-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

class Stream extends Writable {
  text = '';
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  override _write(chunk: Buffer, _encoding: string, written: () => void): void {
    this.text += chunk.toString();
    written();
  }
}

test('a log is told every ten seconds how far a run is', async () => {
  const clock = new TestClock();
  const { log, records } = logSink();
  const progress = new Progress(clock);
  const stderr = new Stream(false);
  const status = showProgress(progress, { stderr, log, clock });
  progress.set(5, 10);
  await clock.advance(25_000);
  assert.deepEqual(
    records.map(({ phase, done, total }) => ({ phase, done, total })),
    [
      { phase: 'look', done: 5, total: 10 },
      { phase: 'look', done: 5, total: 10 },
    ],
  );
  status[Symbol.dispose]();
  await clock.advance(60_000);
  assert.equal(records.length, 2);
  assert.equal(stderr.text, '');
});

test('a terminal has one line that is written anew, below the log', async () => {
  const clock = new TestClock();
  const progress = new Progress(clock);
  const stderr = new Stream(true);
  await clock.advance(5000);
  progress.set(5, 10);
  const status = showProgress(progress, { stderr, log: logSink().log, clock });
  await waitFor(() => stderr.text !== '');
  assert.ok(stderr.text.startsWith('\r\u001B[Klooking for what nothing needs: 5 of 10, about 5s left'));
  aboveStatus(stderr).write('a line of the log\n');
  await waitFor(() => stderr.text.includes('\r\u001B[Ka line of the log\n'));
  status[Symbol.dispose]();
  assert.ok(stderr.text.endsWith('\r\u001B[K'));
});
