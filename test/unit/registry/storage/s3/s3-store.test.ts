import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import type { Clock } from '../../../../../src/process/clock.ts';
import type { FileWriter } from '../../../../../src/registry/storage/driver.ts';
import { TokenKeeper } from '../../../../../src/registry/storage/object-store/access-token.ts';
import { jitteredDelay } from '../../../../../src/registry/storage/object-store/store-client.ts';
import { elements } from '../../../../../src/registry/storage/object-store/xml.ts';
import { S3Address } from '../../../../../src/registry/storage/s3/s3-address.ts';
import { S3Connection } from '../../../../../src/registry/storage/s3/s3-connection.ts';
import { S3Store } from '../../../../../src/registry/storage/s3/s3-store.ts';
import { SignatureV4 } from '../../../../../src/registry/storage/s3/signature-v4.ts';
import { refusal, startS3StandIn, withS3StandIn, type S3StandIn } from '../../../../support/s3-stand-in.ts';
import { sleeplessClock } from '../../../../support/stand-in-service.ts';
import { bytesOf } from '../../../../support/store-fixture.ts';
import { settle, TestClock } from '../../../../support/test-clock.ts';
import { waitFor } from '../../../../support/wait-for.ts';

const MIB = 1024 * 1024;
const PART = 5 * MIB;
const unavailable = { code: 'UNAVAILABLE' };

interface Opened {
  readonly store: S3Store;
  readonly s3: S3StandIn;
  readonly clock: ReturnType<typeof sleeplessClock>;
}

/** A store on a stand-in; another one on the same bucket is another server's. */
function storeOn(s3: S3StandIn, clock: Clock = sleeplessClock()): S3Store {
  let session = 0;
  const region = 'us-east-1';
  const address = new S3Address({
    bucket: 'bucket',
    region,
    regionendpoint: s3.url,
    forcepathstyle: undefined,
    secure: false,
    usedualstack: false,
    accelerate: false,
    usefipsendpoint: false,
  });
  const connection = new S3Connection({
    clock,
    environment: {},
    retryDelay: jitteredDelay(() => 1),
    address,
    objectHeaders: {},
    signature: new SignatureV4({ region, service: 's3' }),
    credentials: new TokenKeeper(async () => {
      const sessionToken = `session ${++session}`;
      return { value: { accessKeyId: 'ASIA', secretAccessKey: 'secret', sessionToken }, lifetime: Infinity };
    }, clock),
    userAgent: 'stevedore',
    onAnswer: () => undefined,
  });
  return new S3Store({
    name: 's3',
    connection,
    clock,
    chunkSize: PART,
    copies: { chunkSize: PART, atOnce: 4 },
    copyThreshold: 2 * PART,
  });
}

async function open(t: TestContext): Promise<Opened> {
  const s3 = await startS3StandIn(t);
  const clock = sleeplessClock();
  return { store: storeOn(s3, clock), s3, clock };
}

async function write(store: S3Store, key: string, bytes: Buffer, append = false): Promise<void> {
  const writer = await store.writer(key, { append });
  for (let at = 0; at < bytes.length; at += MIB)
    await writer.write(Buffer.from(bytes.subarray(at, at + MIB)));
  await writer.close();
}

function hasFailed(writer: FileWriter): boolean {
  try {
    void writer.write(Buffer.alloc(1));
    return false;
  } catch {
    return true;
  }
}

const isPart = (number?: number) => (request: { readonly method: string; readonly query: URLSearchParams }) =>
  request.method === 'PUT' &&
  request.query.has('partNumber') &&
  (number === undefined || request.query.get('partNumber') === String(number));

describe('what S3 refuses for a moment', () => {
  test('is asked again after the time that it names, whatever the status', async (t) => {
    const { store, s3, clock } = await open(t);
    const replies = [
      refusal(503, 'SlowDown', { 'retry-after': '3' }),
      refusal(400, 'RequestTimeout'),
      refusal(409, 'OperationAborted'),
      'cut',
    ] as const;
    s3.intercept = () => replies[s3.requests.length - 1];
    await store.put('key', Buffer.from('content'));
    assert.equal(s3.objects.get('key')?.toString(), 'content');
    assert.deepEqual(clock.slept, [3000, 400, 800, 1600]);
  });

  test('is asked again when it is told under a status of success', async (t) => {
    const { store, s3 } = await open(t);
    await write(store, 'key', bytesOf(100, 'blob'));
    const isEnd = (): boolean => s3.requests.at(-1)?.method === 'POST';
    const before = s3.requests.length;
    s3.intercept = () =>
      isEnd() && s3.requests.length < before + 5 ? refusal(200, 'InternalError') : undefined;
    assert.ok(await store.seal('key'));
    assert.deepEqual(s3.objects.get('key'), bytesOf(100, 'blob'));
  });

  test('and what is no such thing is an error, also under a status of success', async (t) => {
    const { store, s3 } = await open(t);
    s3.objects.set('from', Buffer.from('x'));
    s3.intercept = ({ method }) => (method === 'PUT' ? refusal(200, 'AccessDenied') : undefined);
    await assert.rejects(store.copy('from', 'to'), unavailable);
    s3.intercept = () => refusal(403, 'AccessDenied');
    for (const act of [store.get('a'), store.head('a'), store.read('a'), store.put('a', Buffer.alloc(1))]) {
      await assert.rejects(act, unavailable);
    }
  });

  test('is asked again with new credentials when the old ones are over', async (t) => {
    const { store, s3 } = await open(t);
    s3.intercept = ({ headers }) =>
      headers['x-amz-security-token'] === 'session 1' ? refusal(400, 'ExpiredToken') : undefined;
    await store.put('key', Buffer.from('content'));
    assert.equal(s3.objects.get('key')?.toString(), 'content');
  });

  test('is asked again with new credentials for bytes to be read, too', async (t) => {
    const { store, s3 } = await open(t);
    s3.objects.set('key', Buffer.from('content'));
    s3.intercept = ({ headers }) =>
      headers['x-amz-security-token'] === 'session 1' ? refusal(400, 'ExpiredToken') : undefined;
    const bytes = await Array.fromAsync((await store.read('key')) ?? []);
    assert.equal(Buffer.concat(bytes).toString(), 'content');
  });

  test('an end of an upload whose answer was lost has gone well', async (t) => {
    const { store, s3 } = await open(t);
    await write(store, 'key', bytesOf(100, 'blob'));
    let ends = 0;
    s3.intercept = (request) => {
      if (request.method !== 'POST' || ++ends > 1) return undefined;
      s3.answer(request);
      return 'cut';
    };
    assert.ok(await store.seal('key'));
    assert.equal(ends, 2);
    assert.deepEqual(s3.objects.get('key'), bytesOf(100, 'blob'));
  });
});

describe('the parts of an upload', () => {
  test('are three on their way at most, and the writer is asked to wait', async (t) => {
    const { store, s3 } = await open(t);
    const held: (() => void)[] = [];
    s3.intercept = async (request) => {
      if (isPart()(request)) await new Promise<void>((resolve) => held.push(resolve));
      return undefined;
    };
    const writer = await store.writer('key', { append: false });
    for (let part = 1; part <= 3; part++) await writer.write(Buffer.alloc(PART, part));
    let isWritten = false;
    const fourth = Promise.resolve(writer.write(Buffer.alloc(PART, 4))).then(() => (isWritten = true));
    await waitFor(() => held.length === 3);
    assert.equal(isWritten, false);
    held.shift()?.();
    await fourth;
    await waitFor(() => held.length === 3);
    const closed = writer.close();
    while (held.length > 0) held.shift()?.();
    await closed;
    assert.equal(await store.unfinishedSize('key'), 4 * PART);
  });

  test('do not keep the large buffers that small chunks are parts of', async (t) => {
    const { store, s3 } = await open(t);
    const writer = await store.writer('key', { append: false });
    const large = Buffer.alloc(MIB, 'a');
    await writer.write(large.subarray(0, 10));
    large.fill('b');
    await writer.close();
    await store.seal('key');
    assert.equal(s3.objects.get('key')?.toString(), 'aaaaaaaaaa');
  });

  test('that lack behind a failure are not counted, and the upload goes on before them', async (t) => {
    const { store, s3 } = await open(t);
    const content = bytesOf(4 * PART, 'blob');
    s3.intercept = (request) => (isPart(2)(request) ? refusal(403, 'AccessDenied') : undefined);
    const writer = await store.writer('key', { append: false });
    await assert.rejects(async () => {
      for (let at = 0; at < content.length; at += PART) await writer.write(content.subarray(at, at + PART));
      await writer.close();
    }, unavailable);
    await assert.rejects(writer.close(), unavailable);
    s3.intercept = () => undefined;
    // A part on its way when the other failed landed behind the gap.
    const upload = [...s3.uploads.values()][0];
    upload?.parts.set(3, content.subarray(2 * PART, 3 * PART));
    const other = storeOn(s3);
    assert.equal(await other.unfinishedSize('key'), PART);
    await write(other, 'key', content.subarray(PART), true);
    assert.equal(await store.unfinishedSize('key'), content.length);
    assert.ok(await store.seal('key'));
    assert.ok(s3.objects.get('key')?.equals(content));
  });

  test('that are on their way when another fails have landed when the writer is closed', async (t) => {
    const { store, s3 } = await open(t);
    const held: (() => void)[] = [];
    s3.intercept = (request) => {
      if (isPart(2)(request)) return refusal(403, 'AccessDenied');
      return isPart(3)(request) ? new Promise((resolve) => held.push(() => resolve(undefined))) : undefined;
    };
    const writer = await store.writer('key', { append: false });
    // One write, so that the refusal of part 2 is met by the end alone, which has a rest to send.
    await writer.write(Buffer.alloc(3 * PART + 1));
    await waitFor(() => held.length === 1);
    await waitFor(() => hasFailed(writer));
    let isClosed = false;
    const closed = assert.rejects(writer.close(), unavailable).then(() => {
      isClosed = true;
    });
    await settle();
    assert.equal(isClosed, false);
    held.shift()?.();
    await closed;
    assert.ok([...s3.uploads.values()][0]?.parts.has(3));
  });

  test('of all writers share the memory: those that find no place wait, and small files do not', async (t) => {
    const s3 = await startS3StandIn(t);
    const store = storeOn(s3, new TestClock());
    const bytes = bytesOf(PART - 1, 'blob');
    const writers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => store.writer(`key ${index}`, { append: false })),
    );
    let waiting = writers.length;
    const ends = writers.map(async (writer) => {
      for (let at = 0; at < bytes.length; at += MIB) {
        await writer.write(Buffer.from(bytes.subarray(at, at + MIB)));
      }
      waiting--;
    });
    await settle();
    // 64 MiB of parts.
    assert.equal(waiting, 20 - 12);
    await write(store, 'small', bytesOf(128 * 1024, 'small'));
    for (const [index, writer] of writers.entries()) {
      await ends[index];
      await writer.close();
    }
    assert.equal(s3.uploads.size, 21);
    assert.ok(await store.seal('key 19'));
    assert.deepEqual(s3.objects.get('key 19'), bytes);
  });

  test('of which the first lacks are none', async (t) => {
    const { store, s3 } = await open(t);
    await write(store, 'key', bytesOf(2 * PART, 'blob'));
    [...s3.uploads.values()][0]?.parts.delete(1);
    assert.equal(await store.unfinishedSize('key'), 0);
    await write(store, 'key', bytesOf(100, 'rest'), true);
    assert.equal(await store.unfinishedSize('key'), 100);
    assert.ok(await store.seal('key'));
    assert.deepEqual(s3.objects.get('key'), bytesOf(100, 'rest'));
  });

  test('are found though an upload that was begun twice left one without parts', async (t) => {
    const { store, s3 } = await open(t);
    let begins = 0;
    s3.intercept = (request) => {
      if (!request.query.has('uploads') || request.method !== 'POST' || ++begins > 1) return undefined;
      s3.answer(request);
      return 'cut';
    };
    await write(store, 'key', bytesOf(100, 'blob'));
    assert.equal(s3.uploads.size, 2);
    assert.equal(await store.unfinishedSize('key'), 100);
    assert.ok(await store.seal('key'));
    assert.equal(await store.unfinishedSize('key'), 100);
    await store.abandon('ke');
    assert.equal(s3.uploads.size, 0);
  });

  test('of neighbours are left alone', async (t) => {
    const { store, s3 } = await open(t);
    await write(store, 'a/data', bytesOf(100, 'a'));
    await write(store, 'a/data2', bytesOf(200, 'b'));
    assert.equal(await store.unfinishedSize('a/data'), 100);
    assert.equal(await store.unfinishedSize('a/dat'), undefined);
    await store.abandon('a/data2');
    assert.deepEqual(
      [...s3.uploads.values()].map(({ key }) => key),
      ['a/data'],
    );
  });

  test('are what a copy that failed gives up', async (t) => {
    const { store, s3 } = await open(t);
    s3.objects.set('from', bytesOf(3 * PART, 'blob'));
    s3.intercept = (request) => (isPart(2)(request) ? refusal(403, 'AccessDenied') : undefined);
    await assert.rejects(store.copy('from', 'to'), unavailable);
    assert.equal(s3.uploads.size, 0);
  });

  test('make the bytes that were written, however they were cut, sealed and left to other servers', async () => {
    const size = fc.oneof(fc.nat(10), fc.nat(PART + 10), fc.nat(2 * PART + 10));
    const steps = fc.array(fc.record({ size, seal: fc.boolean(), other: fc.boolean() }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(steps, (taken) =>
        withS3StandIn(async (s3) => {
          s3.pageSize = 2;
          const stores = [storeOn(s3), storeOn(s3)] as const;
          const written: Buffer[] = [];
          for (const [index, step] of taken.entries()) {
            const store = stores[Number(step.other)] ?? stores[0];
            written.push(bytesOf(step.size, `step ${index}`));
            await write(store, 'key', written.at(-1) ?? Buffer.alloc(0), index > 0);
            if (step.seal) assert.ok(await store.seal('key'));
            assert.equal(await stores[0].unfinishedSize('key'), Buffer.concat(written).length);
          }
          assert.equal(await stores[0].seal('key'), taken.length > 0);
          const found = (await stores[1].get('key')) ?? Buffer.alloc(0);
          assert.equal(hash('sha256', found), hash('sha256', Buffer.concat(written)));
          assert.equal(s3.uploads.size, 0);
        }),
      ),
      { numRuns: 12 },
    );
  });
});

describe('lists and deletes', () => {
  test('go through all pages, in the order of the keys', async (t) => {
    const { store, s3 } = await open(t);
    s3.pageSize = 2;
    for (const key of ['a/1', 'a/2/x', 'a/2/y', 'a/3', 'a/<&>', 'ab']) s3.objects.set(key, Buffer.alloc(3));
    const names = async (shallow: boolean): Promise<readonly string[]> =>
      Array.fromAsync(store.list('a/', { shallow }), ({ kind, key }) => `${kind} ${key}`);
    assert.deepEqual(await names(true), ['object a/1', 'prefix a/2/', 'object a/3', 'object a/<&>']);
    assert.deepEqual(await names(false), [
      'object a/1',
      'object a/2/x',
      'object a/2/y',
      'object a/3',
      'object a/<&>',
    ]);
  });

  test('name a thousand keys at once, with the hash that Amazon wants', async (t) => {
    const { store, s3 } = await open(t);
    const keys = Array.from({ length: 1001 }, (_, index) => `key <${index}>`);
    for (const key of keys) s3.objects.set(key, Buffer.alloc(0));
    await store.delete(keys);
    assert.equal(s3.objects.size, 0);
    assert.deepEqual(
      s3.requests.map(({ body }) => elements(body.toString(), 'Object').length),
      [1000, 1],
    );
    for (const { headers, body } of s3.requests)
      assert.equal(headers['content-md5'], hash('md5', body, 'base64'));
  });

  test('fail when one of the keys is refused', async (t) => {
    const { store, s3 } = await open(t);
    const body = '<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>';
    s3.intercept = () => ({ status: 200, body });
    await assert.rejects(store.delete(['a', 'b']), unavailable);
  });
});

describe('a delete with a limit', () => {
  test('is a URL that the store refuses afterwards, by its own clock, and is sent once', async (t) => {
    const { store, s3 } = await open(t);
    s3.objects.set('key', Buffer.from('x'));
    const date = 'Mon, 02 Mar 2026 10:00:00 GMT';
    s3.intercept = ({ method }) =>
      method === 'HEAD'
        ? { status: 200, headers: { date, 'content-length': '1', 'last-modified': date } }
        : refusal(503, 'SlowDown');
    await assert.rejects(store.deleteWithin('key', 5000), unavailable);
    assert.equal(s3.requests.length, 2);
    const sent = s3.requests[1];
    assert.equal(sent?.method, 'DELETE');
    assert.equal(sent.query.get('X-Amz-Date'), '20260302T100000Z');
    assert.equal(sent.query.get('X-Amz-Expires'), '4');
    assert.equal(sent.headers.authorization, undefined);
  });

  test('says whether there was something to delete', async (t) => {
    const { store, s3 } = await open(t);
    s3.objects.set('key', Buffer.from('x'));
    assert.equal(await store.deleteWithin('key', 5000), true);
    assert.equal(await store.deleteWithin('key', 5000), false);
  });

  test('is not sent when its time is over', async (t) => {
    const { store, s3, clock } = await open(t);
    s3.objects.set('key', Buffer.from('x'));
    await assert.rejects(store.deleteWithin('key', 1999), /the time to delete key is over/);
    s3.intercept = async () => {
      await clock.sleep(3500);
      return undefined;
    };
    await assert.rejects(store.deleteWithin('key', 5000), /the time to delete key is over/);
    assert.ok(s3.objects.has('key'));
  });
});
