import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import { Cache } from '../../../src/kube/cache.ts';
import type { WatchEvent } from '../../../src/kube/client.ts';
import type { Stored } from '../../../src/kube/object.ts';
import { reflect, type ListWatchSource } from '../../../src/kube/reflector.ts';
import { logSink } from '../../support/log-sink.ts';
import { settle, TestClock } from '../../support/test-clock.ts';
import { boat, boats, type Boat } from './objects.ts';

type Boats = readonly Stored<Boat>[];

/** One watch as the test plays it. */
class PlayedWatch {
  readonly from: string;
  readonly seconds: number;
  readonly #signal: AbortSignal;
  readonly #queue: (WatchEvent<Boat> | Error | 'end')[] = [];
  #wake: (() => void) | undefined;

  constructor(from: string, seconds: number, signal: AbortSignal) {
    this.from = from;
    this.seconds = seconds;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  async send(item: WatchEvent<Boat> | Error | 'end'): Promise<void> {
    this.#queue.push(item);
    this.#wake?.();
    await settle();
  }

  async *events(): AsyncGenerator<WatchEvent<Boat>> {
    for (;;) {
      if (this.#signal.aborted) throw this.#signal.reason;
      const item = this.#queue.shift();
      if (item === 'end') return;
      if (item instanceof Error) throw item;
      if (item !== undefined) yield item;
      else {
        const woken = Promise.withResolvers<void>();
        this.#wake = woken.resolve;
        await woken.promise;
      }
    }
  }
}

/** A server of which the test plays every answer: lists in turn (the last one repeats), and watches as they are opened. */
function reflectorOf(...lists: readonly (Boats | Error)[]) {
  const clock = new TestClock();
  const { log, records } = logSink();
  const cache = new Cache(boats, { log });
  const changes: string[] = [];
  cache.onChange(({ type, object }) =>
    changes.push(`${type} ${object.metadata.name} ${object.metadata.uid}`),
  );
  const watches: PlayedWatch[] = [];
  let listed = 0;
  const source: ListWatchSource<Boat> = {
    list: async () => {
      const list = lists[Math.min(listed++, lists.length - 1)] ?? [];
      if (list instanceof Error) throw list;
      return { items: list, resourceVersion: `list-${listed}` };
    },
    watch: (from, seconds, signal) => {
      const watch = new PlayedWatch(from, seconds, signal);
      watches.push(watch);
      return watch.events();
    },
  };
  const stop = new AbortController();
  const ended = reflect(
    { resource: 'boats', source, target: cache, clock, random: () => 0.5, log },
    stop.signal,
  );
  const watch = (index: number): PlayedWatch => {
    const found = watches[index];
    assert.ok(found, `watch ${index} was opened`);
    return found;
  };
  return {
    clock,
    cache,
    changes,
    records,
    watch,
    listed: () => listed,
    opened: () => watches.length,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
const gone = new ApiError({ status: 410, reason: 'Expired', message: 'too old', retryAfterMs: undefined });

test('a reflector lists, then watches from the list for five to ten minutes', async () => {
  const reflector = reflectorOf([boat('a', { uid: '1' })]);
  await settle();
  assert.deepEqual(reflector.changes, ['added a 1']);
  assert.equal(reflector.watch(0).from, 'list-1');
  assert.equal(reflector.watch(0).seconds, 450);
  await reflector.stop();
});

test('events reach the cache, and the next watch resumes from the last one or the last bookmark', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.watch(0).send({ type: 'ADDED', object: boat('a', { uid: '1', version: '10' }) });
  await reflector.watch(0).send({ type: 'MODIFIED', object: boat('a', { uid: '1', version: '11' }) });
  await reflector.watch(0).send('end');
  assert.equal(reflector.watch(1).from, '11');
  await reflector.watch(1).send({ type: 'BOOKMARK', resourceVersion: '30' });
  await reflector.watch(1).send('end');
  assert.equal(reflector.watch(2).from, '30');
  await reflector.watch(2).send({ type: 'DELETED', object: boat('a', { uid: '1', version: '31' }) });
  assert.deepEqual(reflector.changes, ['added a 1', 'updated a 1', 'deleted a 1']);
  assert.equal(reflector.listed(), 1);
  await reflector.stop();
});

test('a broken connection resumes from where it was, without a list, after a pause', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.watch(0).send({ type: 'ADDED', object: boat('a', { version: '10' }) });
  await reflector.watch(0).send(reset);
  assert.equal(reflector.opened(), 1);
  await reflector.clock.advance(800);
  assert.equal(reflector.watch(1).from, '10');
  assert.equal(reflector.listed(), 1);
  await reflector.stop();
});

const relistReasons: readonly (readonly [string, WatchEvent<Boat> | Error])[] = [
  ['410 as an HTTP status', gone],
  ['410 as an ERROR event', { type: 'ERROR', error: gone }],
  [
    'any other ERROR event',
    {
      type: 'ERROR',
      error: new ApiError({ status: 500, reason: '', message: 'etcd', retryAfterMs: undefined }),
    },
  ],
  ['an event that is no JSON', new SyntaxError('Unexpected token u')],
];
for (const [what, failure] of relistReasons) {
  test(`${what} makes the reflector list again, and what was missed is made up for`, async () => {
    const reflector = reflectorOf(
      [boat('gone', { uid: '1' }), boat('remade', { uid: '2' })],
      [boat('remade', { uid: '3' }), boat('new', { uid: '4' })],
    );
    await settle();
    reflector.changes.length = 0;
    await reflector.watch(0).send(failure);
    await reflector.clock.advance(800);
    assert.deepEqual(reflector.changes, [
      'deleted gone 1',
      'deleted remade 2',
      'added remade 3',
      'added new 4',
    ]);
    assert.equal(reflector.watch(1).from, 'list-2');
    await reflector.stop();
  });
}

test('an overloaded server is asked again at the same place, and not before it said', async () => {
  const reflector = reflectorOf([]);
  await settle();
  const busy = new ApiError({
    status: 429,
    reason: 'TooManyRequests',
    message: 'busy',
    retryAfterMs: 20_000,
  });
  await reflector.watch(0).send(busy);
  await reflector.clock.advance(19_999);
  assert.equal(reflector.opened(), 1);
  await reflector.clock.advance(1);
  assert.equal(reflector.watch(1).from, 'list-1');
  await reflector.stop();
});

test('failed lists are tried for ever, with waits drawn from a range that doubles up to 30 seconds', async () => {
  const reflector = reflectorOf(reset);
  await settle();
  const ceilings = [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
  for (const [index, ceiling] of ceilings.entries()) {
    assert.equal(reflector.listed(), index + 1);
    await reflector.clock.advance(ceiling / 2 - 1);
    assert.equal(reflector.listed(), index + 1, `not before ${ceiling / 2} ms`);
    await reflector.clock.advance(1);
  }
  assert.equal(reflector.listed(), ceilings.length + 1);
  assert.ok(reflector.records.every((record) => record.message === 'reflector failed and will try again'));
  await reflector.stop();
});

test('a server that comes back from a long outage having forgotten the position is listed soon', async () => {
  const reflector = reflectorOf([]);
  await settle();
  for (let failure = 0; failure < 8; failure++) {
    await reflector.watch(failure).send(reset);
    await reflector.clock.advance(30_000);
  }
  await reflector.watch(8).send(gone);
  await reflector.clock.advance(800);
  assert.equal(reflector.listed(), 2);
  await reflector.stop();
});

test('a server that forgets each position at once is not listed in a hot loop', async () => {
  const reflector = reflectorOf([]);
  await settle();
  for (let round = 0; round < 8; round++) {
    await reflector.watch(round).send(gone);
    await reflector.clock.advance(30_000);
  }
  await reflector.watch(8).send(gone);
  await reflector.clock.advance(14_999);
  assert.equal(reflector.listed(), 9);
  await reflector.clock.advance(1);
  assert.equal(reflector.listed(), 10);
  await reflector.stop();
});

test('an event ends the series of failures', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.watch(0).send(reset);
  await reflector.clock.advance(800);
  await reflector.watch(1).send(reset);
  await reflector.clock.advance(1600);
  await reflector.watch(2).send({ type: 'BOOKMARK', resourceVersion: '5' });
  await reflector.watch(2).send(reset);
  await reflector.clock.advance(800);
  assert.equal(reflector.opened(), 4);
  await reflector.stop();
});

test('a watch that ends at once and says nothing is not opened again in a hot loop', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.watch(0).send('end');
  assert.equal(reflector.opened(), 1);
  await reflector.clock.advance(800);
  assert.equal(reflector.opened(), 2);
  await reflector.stop();
});

test('a watch that is silent for three minutes is opened again where it was', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.clock.advance(100_000);
  await reflector.watch(0).send({ type: 'BOOKMARK', resourceVersion: '5' });
  await reflector.clock.advance(179_999);
  assert.equal(reflector.watch(0).aborted, false);
  await reflector.clock.advance(1);
  assert.equal(reflector.watch(0).aborted, true);
  assert.equal(reflector.watch(1).from, '5');
  assert.equal(reflector.listed(), 1);
  await reflector.stop();
});

test('a listener that throws does not stop the reflector', async () => {
  const reflector = reflectorOf([]);
  await settle();
  reflector.cache.onChange(() => {
    throw new Error('broken listener');
  });
  await reflector.watch(0).send({ type: 'ADDED', object: boat('a', { version: '7' }) });
  await reflector.watch(0).send('end');
  assert.equal(reflector.watch(1).from, '7');
  await reflector.stop();
});

test('a stopped reflector leaves no timer behind', async () => {
  const reflector = reflectorOf([]);
  await settle();
  await reflector.stop();
  await settle();
  assert.equal(reflector.clock.sleeping, 0);
});
