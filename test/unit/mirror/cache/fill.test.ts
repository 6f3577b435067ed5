import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CachedBlob } from '../../../../src/mirror/cache/mirror-cache.ts';
import { UpstreamError } from '../../../../src/mirror/upstream.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';
import { waitFor } from '../../../support/wait-for.ts';
import {
  bytesOnDisk,
  collect,
  content,
  fillFiles,
  fullAfter,
  MIB,
  never,
  openCache,
  pull,
  repository,
  upstream,
  type Answer,
} from './harness.ts';

const app = repository('docker.io/library/app');
const large = content(9 * MIB + 777);
const small = content(2000, 2);

test('many readers of a cold blob cost one request, and each gets the bytes; then it is on the disk', async () => {
  await withTemporaryFolder(async (folder) => {
    const { source, requests } = upstream(large);
    await using opened = await openCache(folder);
    const { cache } = opened;
    const pulls = Array.from({ length: 20 }, () => pull(cache.openBlob(app, large.digest, source, never)));
    for (const got of await Promise.all(pulls)) assert.ok(got.equals(large.bytes));
    assert.deepEqual(requests, [0]);
    await waitFor(() => cache.facts.fills === 0);
    await using hit = await cache.openBlob(app, large.digest, source, never);
    assert.equal(hit.outcome, 'hit');
    const part = await collect(await hit.read({ start: 5 * MIB, end: 5 * MIB + 3 }));
    assert.ok(part.equals(large.bytes.subarray(5 * MIB, 5 * MIB + 3)));
    assert.deepEqual(requests, [0]);
    assert.equal(bytesOnDisk(folder), large.bytes.length);
    assert.deepEqual(fillFiles(folder), []);
  });
});

test('bytes are there as soon as the upstream has sent them, but for the last, which wait for the digest', async () => {
  await withTemporaryFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const last = large.bytes.length - 64 * 1024;
    const { source } = upstream(large, [{ before: (sent) => (sent === 9 * MIB ? gate.promise : undefined) }]);
    await using opened = await openCache(folder);
    await using blob = await opened.cache.openBlob(app, large.digest, source, never);
    assert.equal(blob.outcome, 'miss');
    assert.equal(blob.size, large.bytes.length);
    const chunks = (await blob.read())[Symbol.asyncIterator]();
    let got = 0;
    while (got < last) got += (await chunks.next()).value?.length ?? 0;
    assert.equal(got, last);
    gate.resolve();
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) got += next.value.length;
    assert.equal(got, large.bytes.length);
  });
});

test('a reader that stands still neither stops the fetch nor takes memory, and gets its bytes later', async () => {
  await withTemporaryFolder(async (folder) => {
    const { source, requests } = upstream(large);
    await using opened = await openCache(folder);
    const { cache } = opened;
    await using slow = await cache.openBlob(app, large.digest, source, never);
    const chunks = (await slow.read())[Symbol.asyncIterator]();
    const parts = [Buffer.from((await chunks.next()).value ?? [])];
    assert.ok((await pull(cache.openBlob(app, large.digest, source, never))).equals(large.bytes));
    await waitFor(() => cache.facts.fills === 0);
    for (let next = await chunks.next(); !next.done; next = await chunks.next())
      parts.push(Buffer.from(next.value));
    assert.ok(Buffer.concat(parts).equals(large.bytes));
    assert.deepEqual(requests, [0]);
  });
});

test('a fetch outlives the reader that began it, and all readers', async () => {
  await withTemporaryFolder(async (folder) => {
    const { source, requests } = upstream(large);
    await using opened = await openCache(folder);
    const { cache } = opened;
    {
      await using leader = await cache.openBlob(app, large.digest, source, never);
      for await (const chunk of await leader.read()) if (chunk.length > 0) break;
    }
    await waitFor(() => cache.facts.fills === 0);
    assert.ok((await pull(cache.openBlob(app, large.digest, source, never))).equals(large.bytes));
    assert.deepEqual(requests, [0]);
  });
});

test('who goes away while the upstream is asked waits no longer, and the fetch goes on', async () => {
  await withTemporaryFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const { source, requests } = upstream(large, [{ before: () => gate.promise }]);
    await using opened = await openCache(folder);
    const { cache } = opened;
    const gone = new AbortController();
    const waiting = cache.openBlob(app, large.digest, source, gone.signal);
    gone.abort(new Error('gone'));
    await assert.rejects(waiting, /gone/);
    gate.resolve();
    await waitFor(() => cache.facts.blobs === 1);
    assert.deepEqual(requests, [0]);
  });
});

test('an upstream that breaks off is asked for the rest, until all is there', async () => {
  await withTemporaryFolder(async (folder) => {
    const { source, requests } = upstream(large, [{ breakAfter: 3 * MIB }, { endAfter: MIB }, {}]);
    await using opened = await openCache(folder);
    assert.ok((await pull(opened.cache.openBlob(app, large.digest, source, never))).equals(large.bytes));
    assert.deepEqual(requests, [0, 3 * MIB, 4 * MIB]);
  });
});

test('an upstream that answers a range with the whole has the beginning passed over', async () => {
  await withTemporaryFolder(async (folder) => {
    const { source, requests } = upstream(large, [{ breakAfter: 3 * MIB + 5 }, { ignoresRange: true }]);
    await using opened = await openCache(folder);
    assert.ok((await pull(opened.cache.openBlob(app, large.digest, source, never))).equals(large.bytes));
    assert.deepEqual(requests, [0, 3 * MIB + 5]);
  });
});

const flipped = Buffer.from(large.bytes);
flipped[4 * MIB] = (flipped[4 * MIB] ?? 0) ^ 1;

const lies: Readonly<Record<string, readonly Answer[]>> = {
  'sends other bytes': [{ bytes: flipped }],
  'sends fewer bytes than it says, again and again': [{ endAfter: 2 * MIB }, { endAfter: 0 }],
  'sends more bytes than it says': [{ size: large.bytes.length - 100 * 1024 }],
  'breaks off and then says another size': [{ breakAfter: 2 * MIB }, { size: 17 }],
  'breaks off and then answers nonsense': [
    { breakAfter: 2 * MIB },
    { fails: new UpstreamError('invalid', '304 for a range', { status: 304 }) },
  ],
  'breaks off and then refuses': [
    { breakAfter: 2 * MIB },
    { fails: new UpstreamError('denied', 'no', { status: 401 }) },
  ],
};

for (const [name, answers] of Object.entries(lies)) {
  test(`when the upstream ${name}, no reader gets the whole, nothing is kept, and the next fetch is a new one`, async () => {
    await withTemporaryFolder(async (folder) => {
      const clock = new TestClock();
      await using opened = await openCache(folder, { clock });
      const { cache } = opened;
      const bad = upstream(large, answers);
      const readers = await Promise.all(
        Array.from({ length: 3 }, () => cache.openBlob(app, large.digest, bad.source, never)),
      );
      const results = readers.map((reader) => attempt(reader));
      for (const { bytes, error } of await whileTimePasses(clock, Promise.all(results))) {
        assert.ok(bytes < large.bytes.length);
        assert.ok(error instanceof UpstreamError);
      }
      for (const reader of readers) await reader[Symbol.asyncDispose]();
      await waitFor(() => cache.facts.fills === 0);
      assert.deepEqual(cache.facts.bytes, 0);
      assert.equal(bytesOnDisk(folder), 0);
      assert.deepEqual(fillFiles(folder), []);
      assert.equal(bad.open, 0);
      const good = upstream(large);
      assert.equal(
        await whole(clock, cache.openBlob(app, large.digest, good.source, never)),
        large.bytes.length,
      );
      assert.deepEqual(good.requests, [0]);
    });
  });
}

test('a small blob with wrong bytes is an error before anything was sent', async () => {
  await withTemporaryFolder(async (folder) => {
    await using opened = await openCache(folder);
    const { source } = upstream(small, [{ bytes: Buffer.alloc(small.bytes.length) }, {}]);
    await assert.rejects(opened.cache.openBlob(app, small.digest, source, never), { kind: 'invalid' });
    assert.ok((await pull(opened.cache.openBlob(app, small.digest, source, never))).equals(small.bytes));
  });
});

test('what the upstream says at first is told to all who wait, and asked again by the next', async () => {
  await withTemporaryFolder(async (folder) => {
    await using opened = await openCache(folder);
    const fails = new UpstreamError('not-found', 'unknown blob', { status: 404 });
    const { source, requests } = upstream(small, [{ fails }, {}]);
    const first = [1, 2, 3].map(() => opened.cache.openBlob(app, small.digest, source, never));
    for (const result of await Promise.allSettled(first)) {
      assert.equal(result.status === 'rejected' && result.reason, fails);
    }
    assert.deepEqual(requests, [0]);
    assert.ok((await pull(opened.cache.openBlob(app, small.digest, source, never))).equals(small.bytes));
  });
});

test('an upstream that stalls is asked for the rest', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    const { source, requests } = upstream(large, [
      { before: (sent) => (sent === 2 * MIB ? new Promise(() => {}) : undefined) },
      {},
    ]);
    await using opened = await openCache(folder, { clock });
    assert.equal(
      await whole(clock, opened.cache.openBlob(app, large.digest, source, never)),
      large.bytes.length,
    );
    assert.deepEqual(requests, [0, 2 * MIB]);
  });
});

for (const at of [0, 2 * MIB, 5 * MIB]) {
  test(`a disk that is full after ${at} bytes costs no pull, not even a slow one`, async () => {
    await withTemporaryFolder(async (folder) => {
      const gate = Promise.withResolvers<void>();
      const { source, requests } = upstream(large, [
        { before: (sent) => (sent === 64 * 1024 ? gate.promise : undefined) },
      ]);
      await using opened = await openCache(folder, { wrap: (driver) => fullAfter(driver, at) });
      const { cache } = opened;
      const pulls = Array.from({ length: 3 }, () => pull(cache.openBlob(app, large.digest, source, never)));
      await using slow = await cache.openBlob(app, large.digest, source, never);
      const chunks = await slow.read();
      gate.resolve();
      const taking = collect(chunks);
      for (const got of await Promise.all(pulls)) assert.ok(got.equals(large.bytes));
      assert.ok((await taking).equals(large.bytes));
      assert.deepEqual(requests, [0]);
      await slow[Symbol.asyncDispose]();
      await waitFor(() => cache.facts.fills === 0);
      assert.equal(cache.facts.bytes, 0);
      await waitFor(() => fillFiles(folder).length === 0);
    });
  });
}

test('where there is no room, readers share one request and nothing is kept', async () => {
  await withTemporaryFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const { source, requests } = upstream(large, [
      { before: (sent) => (sent === 64 * 1024 ? gate.promise : undefined) },
    ]);
    await using opened = await openCache(folder, { limits: { size: 4 * MIB } });
    const { cache } = opened;
    const opening = Array.from({ length: 5 }, () => cache.openBlob(app, large.digest, source, never));
    const readers = await Promise.all(opening);
    assert.deepEqual(
      readers.map(({ outcome }) => outcome),
      Array(5).fill('bypass'),
    );
    const reads = readers.map(async (reader) => collect(await reader.read()));
    gate.resolve();
    for (const got of await Promise.all(reads)) assert.ok(got.equals(large.bytes));
    for (const reader of readers) await reader[Symbol.asyncDispose]();
    assert.deepEqual(requests, [0]);
    assert.equal(bytesOnDisk(folder), 0);
  });
});

test('where there is no room, a reader that stalls is left behind and the last that leaves ends the request', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    const served = upstream(large);
    await using opened = await openCache(folder, { clock, limits: { size: 4 * MIB } });
    const { cache } = opened;
    await using stalled = await cache.openBlob(app, large.digest, served.source, never);
    const chunks = (await stalled.read())[Symbol.asyncIterator]();
    await chunks.next();
    const other = cache.openBlob(app, large.digest, served.source, never);
    assert.equal(await whole(clock, other), large.bytes.length);
    await assert.rejects(async () => {
      while (!(await chunks.next()).done);
    }, UpstreamError);
    await stalled[Symbol.asyncDispose]();
    await waitFor(() => cache.facts.fills === 0);

    const again = upstream(large, [{ before: (sent) => (sent === MIB ? new Promise(() => {}) : undefined) }]);
    const leaving = await cache.openBlob(app, large.digest, again.source, never);
    await leaving[Symbol.asyncDispose]();
    await waitFor(() => again.open === 0 && cache.facts.fills === 0);
  });
});

test('where there is no room, a fetch ends when its only reader is left behind or reads a part by itself', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    await using opened = await openCache(folder, { clock, limits: { size: 4 * MIB } });
    const { cache } = opened;
    let sent = 0;
    const served = upstream(large, [{ before: (bytes) => void (sent = bytes) }]);
    await using stalled = await cache.openBlob(app, large.digest, served.source, never);
    const chunks = (await stalled.read())[Symbol.asyncIterator]();
    await chunks.next();
    const over = waitFor(() => cache.facts.fills === 0);
    await whileTimePasses(clock, over);
    assert.ok(sent < large.bytes.length - 64 * 1024, `${sent} bytes were fetched for nobody`);
    await assert.rejects(async () => {
      while (!(await chunks.next()).done);
    }, UpstreamError);

    const huge = content(12 * MIB, 3);
    const stuck = { before: (bytes: number) => (bytes === MIB ? new Promise<void>(() => {}) : undefined) };
    const { source, requests } = upstream(huge, [stuck, {}]);
    await using far = await cache.openBlob(app, huge.digest, source, never);
    const [start, end] = [11 * MIB, 11 * MIB + 100_000];
    assert.ok((await collect(await far.read({ start, end }))).equals(huge.bytes.subarray(start, end)));
    await waitFor(() => cache.facts.fills === 0);
    assert.deepEqual(requests, [0, start]);
  });
});

test('a part that the fetch reaches soon is waited for, and another is asked for by itself', async () => {
  await withTemporaryFolder(async (folder) => {
    const huge = content(12 * MIB, 3);
    const gate = Promise.withResolvers<void>();
    const { source, requests } = upstream(huge, [
      { before: (sent) => (sent === MIB ? gate.promise : undefined) },
      {},
    ]);
    await using opened = await openCache(folder);
    const { cache } = opened;
    await using far = await cache.openBlob(app, huge.digest, source, never);
    const [start, end] = [11 * MIB, 11 * MIB + 100_000];
    assert.ok((await collect(await far.read({ start, end }))).equals(huge.bytes.subarray(start, end)));
    assert.equal(far.outcome, 'bypass');
    assert.deepEqual(requests, [0, start]);
    await using near = await cache.openBlob(app, huge.digest, source, never);
    const part = near.read({ start: 4 * MIB, end: 4 * MIB + 10 }).then(collect);
    gate.resolve();
    assert.ok((await part).equals(huge.bytes.subarray(4 * MIB, 4 * MIB + 10)));
    assert.equal(near.outcome, 'join');
    await waitFor(() => cache.facts.fills === 0);
    assert.deepEqual(requests, [0, start]);
    assert.equal(cache.blobSize(app, huge.digest), huge.bytes.length);
  });
});

test('an empty blob is a blob', async () => {
  await withTemporaryFolder(async (folder) => {
    const empty = content(0);
    const { source, requests } = upstream(empty);
    await using opened = await openCache(folder);
    for (let times = 0; times < 2; times++) {
      assert.equal((await pull(opened.cache.openBlob(app, empty.digest, source, never))).length, 0);
      await waitFor(() => opened.cache.facts.fills === 0);
    }
    assert.deepEqual(requests, [0]);
  });
});

test('another repository gets a blob that is here only when its own upstream says that it has it', async () => {
  await withTemporaryFolder(async (folder) => {
    const other = repository('quay.io/team/other');
    await using opened = await openCache(folder);
    const { cache } = opened;
    const first = upstream(large);
    await pull(cache.openBlob(app, large.digest, first.source, never));
    await waitFor(() => cache.facts.fills === 0);
    const refusing = upstream(large, [{ fails: new UpstreamError('not-found', 'unknown blob') }]);
    await assert.rejects(cache.openBlob(other, large.digest, refusing.source, never), { kind: 'not-found' });
    const having = upstream(large);
    const pulls = Array.from({ length: 3 }, () =>
      pull(cache.openBlob(other, large.digest, having.source, never)),
    );
    for (const got of await Promise.all(pulls)) assert.ok(got.equals(large.bytes));
    assert.deepEqual(having.requests, [0]);
    assert.equal(cache.facts.bytes, large.bytes.length);
    assert.equal(cache.facts.blobs, 2);
  });
});

test('another repository joins a fetch only when its own upstream says that it has the blob', async () => {
  await withTemporaryFolder(async (folder) => {
    const other = repository('quay.io/team/other');
    const gate = Promise.withResolvers<void>();
    const first = upstream(large, [{ before: (sent) => (sent === MIB ? gate.promise : undefined) }]);
    const having = upstream(large);
    const refusing = upstream(large, [{ fails: new UpstreamError('denied', 'no') }]);
    await using opened = await openCache(folder);
    const { cache } = opened;
    const pulling = pull(cache.openBlob(app, large.digest, first.source, never));
    await assert.rejects(cache.openBlob(other, large.digest, refusing.source, never), { kind: 'denied' });
    const joining = pull(cache.openBlob(other, large.digest, having.source, never));
    await waitFor(() => cache.facts.followers === 2);
    gate.resolve();
    assert.ok((await joining).equals(large.bytes));
    assert.ok((await pulling).equals(large.bytes));
    await waitFor(() => cache.facts.blobs === 2);
    assert.deepEqual([first.requests, having.requests], [[0], [0]]);
  });
});

test('what a process that died had begun to fetch is removed at the start', async () => {
  await withTemporaryFolder(async (folder) => {
    const fills = join(folder, 'docker/registry/stevedore/mirror/fills');
    mkdirSync(fills, { recursive: true });
    writeFileSync(join(fills, 'b7b4'), large.bytes.subarray(0, 3 * MIB));
    await using opened = await openCache(folder);
    assert.equal(opened.cache.facts.bytes, 0);
    assert.deepEqual(fillFiles(folder), []);
  });
});

test('a mirror that stops ends its fetches and what reads along', async () => {
  await withTemporaryFolder(async (folder) => {
    const served = upstream(large, [
      { before: (sent) => (sent === MIB ? new Promise(() => {}) : undefined) },
    ]);
    await using opened = await openCache(folder);
    const reading = pull(opened.cache.openBlob(app, large.digest, served.source, never));
    reading.catch(() => {});
    await waitFor(() => served.open === 1);
    await opened.cache[Symbol.asyncDispose]();
    await assert.rejects(reading, { kind: 'unavailable' });
    assert.equal(served.open, 0);
    assert.deepEqual(fillFiles(folder), []);
  });
});

/** Reads as far as it goes. */
async function attempt(blob: CachedBlob): Promise<{ readonly bytes: number; readonly error: unknown }> {
  let bytes = 0;
  try {
    for await (const chunk of await blob.read()) bytes += chunk.length;
    return { bytes, error: undefined };
  } catch (error) {
    return { bytes, error };
  }
}

/** Reads all while time passes. @returns how many bytes came */
async function whole(clock: TestClock, opening: Promise<CachedBlob>): Promise<number> {
  return (await whileTimePasses(clock, pull(opening))).length;
}

async function whileTimePasses<T>(clock: TestClock, work: Promise<T>): Promise<T> {
  const state = { isOver: false };
  const end = (): void => void (state.isOver = true);
  work.then(end, end);
  while (!state.isOver) await clock.advance(500);
  return work;
}
