import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/process/clock.ts';
import { systemClock } from '../../src/process/clock.ts';
import { deletion } from '../../src/registry/storage/s3/s3-objects.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import { openS3 } from '../../src/registry/storage/s3/open-s3.ts';
import { logSink } from '../support/log-sink.ts';
import { bytesOf } from '../support/store-fixture.ts';
import { createBucket } from './s3-bucket.ts';

const MIB = 1024 * 1024;
const bucket = await createBucket();

function open(
  changes: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
): Promise<StorageDriver> {
  return openS3(bucket.options(changes), { clock, environment: {}, log: logSink().log });
}

for (const v4auth of ['true', 'false']) {
  test(`clients may read what they are sent to for twenty minutes, v4auth ${v4auth}`, async () => {
    const driver = await open({ v4auth, rootdirectory: `redirect-${v4auth}` });
    await driver.putContent('/file', Buffer.from('content'));
    const get = await fetch((await driver.redirectUrl?.('/file', 'GET')) ?? '');
    assert.equal(await get.text(), 'content');
    const head = await fetch((await driver.redirectUrl?.('/file', 'HEAD')) ?? '', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '7']);
    // A reader cannot write by it.
    const put = await fetch((await driver.redirectUrl?.('/file', 'GET')) ?? '', { method: 'PUT', body: 'x' });
    assert.equal(put.status, 403);
  });

  test(`a delete with a limit that is in time deletes, v4auth ${v4auth}`, async () => {
    const driver = await open({ v4auth, rootdirectory: `delete-${v4auth}` });
    await driver.putContent('/file', Buffer.from('content'));
    await driver.deleteWithin?.('/file', 5000);
    await assert.rejects(driver.getContent('/file'), { name: 'PathNotFoundError' });
    await assert.rejects(driver.deleteWithin?.('/file', 5000) ?? Promise.resolve(), {
      name: 'PathNotFoundError',
    });
  });

  test(`many deletes with a limit go together, v4auth ${v4auth}`, async () => {
    const driver = await open({ v4auth, rootdirectory: `deletes-${v4auth}` });
    const files = Array.from({ length: 30 }, (_, index) => `/tree/${index} & <more>`);
    for (const file of files) await driver.putContent(file, Buffer.from('x'));
    await driver.deleteAllWithin?.([...files.slice(1), '/tree/nothing'], 10_000);
    assert.deepEqual(await driver.list('/tree'), ['0 & <more>']);
  });

  test(`a delete with a limit is refused when it lands too late, v4auth ${v4auth}`, async () => {
    const driver = await open({ rootdirectory: `late-${v4auth}` });
    await driver.putContent('/file', Buffer.from('content'));
    const { connection, address } = bucket.connect({ v4auth });
    // What the driver would have sent ten seconds ago, held up on its way.
    const validity = { date: systemClock.now() - 10_000, seconds: 4 };
    const url = await connection.presign('DELETE', address.url(`late-${v4auth}/file`), validity);
    assert.equal((await connection.callPresigned('DELETE', url)).status, 403);
    const together = await connection.presign('POST', address.url('', 'delete='), validity);
    const answer = await connection.callPresigned('POST', together, deletion([`late-${v4auth}/file`]));
    assert.equal(answer.status, 403);
    assert.equal((await driver.getContent('/file')).toString(), 'content');
  });
}

test('large files are written, copied and read in parts, and a tree of many files goes at once', async () => {
  const driver = await open({
    rootdirectory: 'large',
    chunksize: String(5 * MIB),
    multipartcopychunksize: String(6 * MIB),
    multipartcopythresholdsize: String(8 * MIB),
  });
  const content = bytesOf(23 * MIB + 7, 'large');
  const writer = await driver.writer('/upload/data', { append: false });
  for (let at = 0; at < content.length; at += MIB) await writer.write(content.subarray(at, at + MIB));
  await writer.close();
  await driver.publish([{ path: '/blob/data', from: '/upload/data' }]);
  assert.ok((await driver.getContent('/blob/data')).equals(content));
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      driver.putContent(`/tree/${index % 4}/${index}`, Buffer.from('x')),
    ),
  );
  await driver.move('/tree', '/moved');
  assert.equal((await driver.list('/moved')).length, 4);
  await driver.delete('/moved');
  await assert.rejects(driver.list('/moved'), { name: 'PathNotFoundError' });
});

for (const [changes, message] of [
  [{ bucket: 'no-such-bucket' }, /the bucket no-such-bucket does not exist.*404 NoSuchBucket/],
  [{ accesskey: 'AKIAOTHER' }, /look at accesskey.*403 InvalidAccessKeyId/],
  [{ secretkey: 'wrong' }, /look at secretkey.*403 SignatureDoesNotMatch/],
  [{ secretkey: 'wrong', v4auth: 'false' }, /look at secretkey.*403 SignatureDoesNotMatch/],
] as const) {
  test(`a wrong option is told of at the start: ${JSON.stringify(changes)}`, async () => {
    await assert.rejects(open(changes), message);
  });
}

test('a wrong clock is told of at the start', async () => {
  const slow = { ...systemClock, now: () => systemClock.now() - 3600_000 };
  await assert.rejects(open({}, slow), /the clock of this machine is wrong: .*403 RequestTimeTooSkewed/);
});
