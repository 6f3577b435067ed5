import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openSwift } from '../../../../../src/registry/storage/swift/open-swift.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { sleeplessClock } from '../../../../support/stand-in-service.ts';
import { bytesOf, readAll } from '../../../../support/store-fixture.ts';
import { swiftOptions } from '../../../../support/swift-options.ts';
import { startSwiftStandIn, type SwiftStandIn } from '../../../../support/swift-stand-in.ts';

const now = Date.UTC(2026, 0, 1);
const MIB = 1024 * 1024;
const upload = '/docker/registry/v2/repositories/a/_uploads/1/data';
const blob = '/docker/registry/v2/blobs/sha256/ab/abcd/data';

interface OpenStore {
  readonly driver: StorageDriver;
  readonly standIn: SwiftStandIn;
  readonly clock: ReturnType<typeof sleeplessClock>;
  /** What was asked since the last look, as `PUT files/a`. */
  readonly asked: () => string[];
  readonly segments: () => string[];
  /** As another replica sees it. */
  readonly replica: () => Promise<StorageDriver>;
}

async function open(t: TestContext, options: Readonly<Record<string, unknown>> = {}): Promise<OpenStore> {
  const clock = sleeplessClock(now);
  const info = { tempurl: { methods: ['GET', 'DELETE'] } };
  const standIn = await startSwiftStandIn(t, { info, now: () => clock.now() });
  const given = swiftOptions({
    authurl: `${standIn.url}/auth/v1.0`,
    chunksize: MIB,
    secretkey: 'key',
    ...options,
  });
  const replica = (): Promise<StorageDriver> =>
    openSwift(given, { clock, log: logSink().log, environment: {} });
  const driver = await replica();
  const asked = (): string[] =>
    standIn.calls
      .splice(0)
      .map(({ method, path }) => `${method} ${path.replace(/^\/v1\/AUTH_test\/registry\/?/, '')}`);
  asked();
  const segments = (): string[] => standIn.names('registry').filter((name) => name.startsWith('segments/'));
  return { driver, standIn, clock, asked, segments, replica };
}

async function write(driver: StorageDriver, path: string, content: Buffer, append = false): Promise<void> {
  const writer = await driver.writer(path, { append });
  for (let start = 0; start < content.length; start += 65_536) {
    await writer.write(Buffer.from(content.subarray(start, start + 65_536)));
  }
  await writer.close();
}

const content = bytesOf(2 * MIB + 5, 'large');

test('what fits into a segment is a plain object, and more is a large one', async (t) => {
  const { driver, standIn, segments } = await open(t);
  await write(driver, upload, Buffer.from('small'));
  assert.deepEqual(standIn.names('registry'), [`files${upload}`]);
  await write(driver, upload, content);
  const [first = ''] = segments();
  const folder = first.slice(0, first.lastIndexOf('/'));
  const object = standIn.objects.get(`registry/files${upload}`);
  assert.deepEqual([object?.manifest, object?.content.length], [`registry/${folder}`, 0]);
  assert.deepEqual(
    segments().map((name) => [name, standIn.objects.get(`registry/${name}`)?.content.length]),
    [
      [`${folder}/0000000000000001`, MIB],
      [`${folder}/0000000000000002`, MIB],
      [`${folder}/0000000000000003`, 5],
    ],
  );
  assert.ok((await readAll(await driver.read(upload))).equals(content));
});

test('many writers at once share the memory, and make smaller segments', async (t) => {
  const { driver, standIn, segments } = await open(t, { chunksize: 20 * MIB });
  const writers = await Promise.all(
    Array.from({ length: 64 }, (_, index) => driver.writer(`/upload/${index}`, { append: false })),
  );
  const bytes = bytesOf(1.5 * MIB, 'x');
  for (let at = 0; at < bytes.length; at += MIB / 16) {
    await writers.at(-1)?.write(bytes.subarray(at, at + MIB / 16));
  }
  await Promise.all(writers.map((writer) => writer.close()));
  assert.deepEqual(
    segments().map((name) => standIn.objects.get(`registry/${name}`)?.content.length),
    [0.5 * MIB, 0.5 * MIB, 0.5 * MIB],
  );
});

test('another replica goes on behind the segments that it finds', async (t) => {
  const { driver, replica, segments } = await open(t);
  await write(driver, upload, content);
  const other = await replica();
  assert.equal(await other.unpublishedSize(upload), content.length);
  await write(other, upload, content, true);
  assert.equal(segments().length, 6);
  assert.ok((await readAll(await driver.read(upload))).equals(Buffer.concat([content, content])));
});

test('a small object becomes the first segment of what is written behind it', async (t) => {
  const { driver, segments } = await open(t);
  await write(driver, upload, Buffer.from('one '));
  await write(driver, upload, Buffer.from('two'), true);
  assert.equal((await driver.getContent(upload)).toString(), 'one two');
  assert.deepEqual(
    segments().map((name) => name.slice(-3)),
    ['001', '002'],
  );
});

test('segments that distribution numbered from 0 are gone on with', async (t) => {
  const { driver, standIn } = await open(t);
  const folder = 'registry/segments/abc/def';
  const add = (name: string, text: string, manifest?: string): void =>
    void standIn.objects.set(name, {
      content: Buffer.from(text),
      modifiedAt: new Date(now),
      ...(manifest !== undefined && { manifest }),
    });
  add(`registry/files${upload}`, '', folder);
  add(`${folder}/0000000000000000`, 'zero ');
  add(`${folder}/0000000000000002`, 'two ');
  await write(driver, upload, Buffer.from('three'), true);
  assert.equal((await driver.getContent(upload)).toString(), 'zero two three');
  await driver.delete(upload);
  assert.deepEqual(standIn.names('registry'), []);
});

test('a writer that was cut off leaves an object with which its segments are found', async (t) => {
  const { driver, standIn, replica, segments } = await open(t);
  standIn.answer = ({ method, path }) =>
    method === 'PUT' && path.endsWith('/0000000000000002') ? { status: 403 } : undefined;
  await assert.rejects(write(driver, upload, content));
  assert.equal(segments().length, 1);
  assert.equal(await (await replica()).unpublishedSize(upload), MIB);
  await driver.delete(upload);
  assert.deepEqual(standIn.names('registry'), []);
});

test('publishing gives a large object another name and leaves its segments where they are', async (t) => {
  const { driver, asked, segments } = await open(t);
  await write(driver, upload, content);
  const before = segments();
  asked();
  await driver.publish([{ path: blob, from: upload }]);
  assert.deepEqual(
    asked().filter((line) => !/^(?:HEAD|GET)/.test(line)),
    [`DELETE files${upload}`, `PUT files${blob}`],
  );
  assert.deepEqual(segments(), before);
  assert.ok((await readAll(await driver.read(blob))).equals(content));
});

test('a copy of a large object has segments of its own', async (t) => {
  const { driver, segments } = await open(t);
  await write(driver, upload, content);
  await driver.move(upload, blob);
  assert.equal(segments().length, 3);
  assert.ok((await readAll(await driver.read(blob))).equals(content));
});

test('a large object goes with its segments, its name first', async (t) => {
  const { driver, standIn, asked } = await open(t);
  await write(driver, upload, content);
  await driver.putContent('/docker/registry/v2/repositories/a/_uploads/1/startedat', Buffer.from('x'));
  asked();
  await driver.delete('/docker/registry/v2/repositories/a/_uploads/1');
  assert.deepEqual(standIn.names('registry'), []);
  const deletes = asked().filter((line) => line.startsWith('DELETE'));
  assert.ok(deletes.slice(0, 2).every((line) => line.startsWith('DELETE files/')));
  assert.equal(deletes.length, 5);
});

test('lists tell the size of large objects, which the store shows as empty', async (t) => {
  const { driver, standIn } = await open(t);
  await write(driver, '/a/large', content);
  await driver.putContent('/a/small', Buffer.from('12345'));
  await driver.putContent('/a/empty', Buffer.alloc(0));
  assert.equal(standIn.objects.get('registry/files/a/large')?.content.length, 0);
  assert.deepEqual((await driver.list('/a')).toSorted(), ['empty', 'large', 'small']);
  assert.equal((await driver.stat('/a/large')).size, content.length);
  assert.equal((await driver.stat('/a/empty')).size, 0);
});

test('what the store does not list yet is waited for before an upload is read', async (t) => {
  const { driver, standIn, clock } = await open(t);
  await write(driver, upload, content);
  standIn.hidden = (name) => name.endsWith('2') && clock.monotonic() < 1000;
  assert.equal(await driver.unpublishedSize(upload), content.length);
  assert.deepEqual(clock.slept, []);
  await driver.seal(upload);
  assert.deepEqual(clock.slept, [200, 400, 800]);
  assert.ok((await readAll(await driver.read(upload))).equals(content));
});

test('segments that never appear are an error after 15 seconds', async (t) => {
  const { driver, standIn, clock } = await open(t);
  await write(driver, upload, content);
  standIn.hidden = (name) => name.startsWith('segments/');
  await assert.rejects(driver.seal(upload), { code: 'UNAVAILABLE' });
  assert.ok(clock.monotonic() <= 15_000);
  await assert.rejects(driver.stat(upload), { code: 'UNAVAILABLE' });
});

test('an upload that was only begun has no segments to wait for', async (t) => {
  const { driver, standIn, clock } = await open(t);
  const manifest = 'registry/segments/abc/def';
  standIn.objects.set(`registry/files${upload}`, {
    content: Buffer.alloc(0),
    manifest,
    modifiedAt: new Date(now),
  });
  assert.equal((await driver.stat(upload)).size, 0);
  assert.equal(await driver.unpublishedSize(upload), 0);
  await driver.seal(upload);
  assert.deepEqual(clock.slept, []);
});

test('a token that was taken back is replaced, once for all who wait', async (t) => {
  const { driver, standIn, asked } = await open(t);
  await driver.putContent('/a', Buffer.from('bytes'));
  standIn.tokens.clear();
  asked();
  await Promise.all(Array.from({ length: 5 }, () => driver.getContent('/a')));
  assert.equal(asked().filter((line) => line.includes('/auth/')).length, 1);
});

test('a user who lost the rights is an error and not a loop of logins', async (t) => {
  const { driver, standIn, asked } = await open(t);
  standIn.answer = ({ path }) => (path.startsWith('/v1/') ? { status: 401 } : undefined);
  await assert.rejects(driver.getContent('/a'), { code: 'UNAVAILABLE' });
  assert.equal(asked().filter((line) => line.includes('/auth/')).length, 1);
});

test('a request that the store asks to be sent later is sent later', async (t) => {
  const { driver, standIn, clock } = await open(t);
  let refused = 0;
  standIn.answer = ({ method }) =>
    method === 'PUT' && refused++ === 0 ? { status: 503, headers: { 'Retry-After': '7' } } : undefined;
  await driver.putContent('/a', Buffer.from('bytes'));
  assert.equal((await driver.getContent('/a')).toString(), 'bytes');
  assert.deepEqual(clock.slept, [7000]);
});

test('a request that was one too many is sent again', async (t) => {
  const { driver, standIn, clock } = await open(t);
  let refused = 0;
  standIn.answer = ({ method }) => (method === 'PUT' && refused++ === 0 ? { status: 498 } : undefined);
  await driver.putContent('/a', Buffer.from('bytes'));
  assert.equal(clock.slept.length, 1);
});

test('an upload whose first bytes went away is not gone on with', async (t) => {
  const { driver, standIn, segments } = await open(t);
  await write(driver, upload, Buffer.from('one '));
  const writer = await driver.writer(upload, { append: true });
  await writer.write(Buffer.from('two'));
  standIn.objects.clear();
  await assert.rejects(writer.close(), { name: 'PathNotFoundError' });
  assert.deepEqual(segments(), []);
});

test('a delete that expires is signed to end when it was asked to', async (t) => {
  const { driver, standIn, segments } = await open(t);
  await write(driver, blob, content);
  standIn.calls.length = 0;
  await driver.deleteWithin?.(blob, 30_000);
  const [request] = standIn.calls.filter(({ method }) => method === 'DELETE');
  assert.equal(request?.query.get('temp_url_expires'), String(now / 1000 + 30));
  assert.equal(request?.headers['x-auth-token'], undefined);
  assert.deepEqual(segments(), []);
  await assert.rejects(async () => driver.deleteWithin?.(blob, 30_000), { name: 'PathNotFoundError' });
});

test('a delete that comes too late deletes nothing, and is not sent again', async (t) => {
  const { driver, standIn, clock, segments } = await open(t);
  await write(driver, blob, content);
  let sent = 0;
  standIn.answer = ({ method, query }) => {
    if (method !== 'DELETE' || !query.has('temp_url_sig')) return undefined;
    sent++;
    void clock.sleep(31_000);
    return undefined;
  };
  await assert.rejects(async () => driver.deleteWithin?.(blob, 30_000), { code: 'UNAVAILABLE' });
  assert.equal(sent, 1);
  assert.equal(segments().length, 3);
  assert.ok((await readAll(await driver.read(blob))).equals(content));
});

test('a delete without an answer is an error', async (t) => {
  const { driver, standIn } = await open(t);
  await driver.putContent(blob, Buffer.from('bytes'));
  standIn.answer = ({ method }) => (method === 'DELETE' ? { status: 503 } : undefined);
  await assert.rejects(async () => driver.deleteWithin?.(blob, 30_000), { code: 'UNAVAILABLE' });
});
