import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DiskQueue } from '../../../../src/registry/notifications/disk-queue.ts';
import { MemoryQueue, type EventQueue } from '../../../../src/registry/notifications/event-queue.ts';
import { Outbox } from '../../../../src/registry/notifications/outbox.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

/** Of such events a segment holds a few hundred. */
const event = (number: number): string => JSON.stringify({ id: String(number), padding: 'x'.repeat(3000) });

function drain(queue: EventQueue, count = Infinity): string[] {
  const ids: string[] = [];
  for (let line = queue.peek(); line !== undefined && ids.length < count; line = queue.peek()) {
    ids.push((JSON.parse(line) as { id: string }).id); // as written by event()
    queue.shift();
  }
  return ids;
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => String(from + index));
}

async function eachQueue(use: (open: (limit?: number) => EventQueue) => void): Promise<void> {
  use((limit = 10_000) => new MemoryQueue(limit));
  await withTemporaryFolder(async (folder) => {
    let made = 0;
    use((limit = 10_000) => new DiskQueue(join(folder, String(made++)), limit));
  });
}

test('events leave a queue in the order in which they came', async () => {
  await eachQueue((open) => {
    const queue = open();
    assert.equal(queue.peek(), undefined);
    for (let number = 0; number < 1000; number++) queue.push(event(number));
    assert.equal(queue.size, 1000);
    assert.deepEqual(drain(queue, 600), numbers(0, 600));
    for (let number = 1000; number < 2000; number++) queue.push(event(number));
    assert.deepEqual(drain(queue), numbers(600, 2000));
    assert.equal(queue.size, 0);
    queue.shift();
    queue.push(event(1));
    assert.deepEqual(drain(queue), ['1']);
    queue.close();
  });
});

test('past its limit a queue gives the oldest up and says how many', async () => {
  await eachQueue((open) => {
    const queue = open(500);
    let givenUp = 0;
    for (let number = 0; number < 2000; number++) givenUp += queue.push(event(number));
    assert.ok(queue.size <= 500);
    assert.equal(queue.size, 2000 - givenUp);
    assert.deepEqual(drain(queue), numbers(givenUp, 2000));
    queue.close();
  });
});

test('what waits on the disk is there after a restart, and what has left is not', async () => {
  await withTemporaryFolder(async (folder) => {
    const first = new DiskQueue(folder, 10_000);
    for (let number = 0; number < 1000; number++) first.push(event(number));
    drain(first, 450);
    // Not closed: the process was killed.
    const second = new DiskQueue(folder, 10_000);
    assert.equal(second.size, 550);
    second.push(event(1000));
    drain(second, 500);
    second.close();
    const third = new DiskQueue(folder, 10_000);
    assert.deepEqual(drain(third), numbers(950, 1001));
    third.push(event(7));
    await third.sync();
    third.close();
    const names = readdirSync(folder).filter((name) => name.endsWith('.ndjson'));
    assert.ok(names.length <= 2, names.join());
  });
});

test('an event that was cut off by a crash is left out', async () => {
  await withTemporaryFolder(async (folder) => {
    const queue = new DiskQueue(folder, 10);
    queue.push(event(1));
    queue.close();
    appendFileSync(join(folder, '0000000000000001.ndjson'), '{"id":"2","pad');
    const again = new DiskQueue(folder, 10);
    again.push(event(3));
    assert.deepEqual(drain(again), ['1', '3']);
    again.close();
  });
});

test('dead letters are kept, and sent again when their file becomes a segment', async () => {
  await withTemporaryFolder(async (folder) => {
    const queue = new DiskQueue(folder, 10);
    queue.push(event(1));
    queue.push(event(2));
    queue.bury();
    assert.equal(queue.deadLetters, 1);
    queue.close();
    assert.equal(readFileSync(join(folder, 'dead-letters.ndjson'), 'utf8'), `${event(1)}\n`);
    assert.equal(new DiskQueue(folder, 10).deadLetters, 1);
    renameSync(join(folder, 'dead-letters.ndjson'), join(folder, '0000000000000000.ndjson'));
    assert.deepEqual(drain(new DiskQueue(folder, 10)), ['1', '2']);
  });
});

test('a server takes over what one that has ended left, and leaves alone one that lives', async () => {
  await withTemporaryFolder(async (folder) => {
    const gone = new Outbox(folder, 'gone', 10);
    const queue = gone.queue('a/b');
    queue.push(event(1));
    queue.push(event(2));
    queue.bury();
    queue.close();
    gone.leave(2);
    const living = new Outbox(folder, 'living.host', 10);
    living.queue('a/b').push(event(3));

    const mine = new Outbox(folder, 'mine', 10);
    const taken: [string, string][] = [];
    assert.equal(
      mine.adopt((endpoint, line) => taken.push([endpoint, line])),
      1,
    );
    assert.deepEqual(taken, [['a/b', event(2)]]);
    assert.equal(
      mine.adopt(() => assert.fail()),
      0,
    );
    assert.deepEqual(readdirSync(folder).toSorted(), ['living%2Ehost', 'mine']);
    assert.deepEqual(readdirSync(join(folder, 'mine', 'a%2Fb')), ['adopted-gone.dead-letters.ndjson']);
    mine.leave(0);
    assert.deepEqual(readdirSync(folder), ['living%2Ehost']);
  });
});
