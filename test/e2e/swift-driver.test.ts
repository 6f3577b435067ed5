import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/process/clock.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import { openSwift } from '../../src/registry/storage/swift/open-swift.ts';
import { testDriver } from '../support/driver-conformance.ts';
import { logSink } from '../support/log-sink.ts';
import { bytesOf, readAll } from '../support/store-fixture.ts';
import { swiftOptions } from '../support/swift-options.ts';
import { swiftContainer } from './swift-container.ts';

const MIB = 1024 * 1024;
const containers = { '/auth/v1': await swiftContainer(), '/auth/v1.0': await swiftContainer('/auth/v1.0') };
let stores = 0;

function openDriver(
  path: keyof typeof containers,
  options: Readonly<Record<string, unknown>> = {},
): Promise<StorageDriver> {
  const given = swiftOptions({
    ...containers[path],
    prefix: `store-${++stores}`,
    chunksize: MIB,
    ...options,
  });
  return openSwift(given, { clock: systemClock, log: logSink().log, environment: {} });
}

for (const path of ['/auth/v1', '/auth/v1.0'] as const) {
  testDriver(`the driver of Swift on a Ceph gateway by ${path}`, async (use) => use(await openDriver(path)));
}

const blob = '/docker/registry/v2/blobs/sha256/ab/abcd/data';
const content = bytesOf(3 * MIB + 7, 'large');

async function upload(driver: StorageDriver, path: string): Promise<void> {
  const writer = await driver.writer(path, { append: false });
  for (let start = 0; start < content.length; start += 65_536) {
    await writer.write(Buffer.from(content.subarray(start, start + 65_536)));
  }
  await writer.close();
}

test('a large object is read by ranges that begin and end in several segments', async () => {
  const driver = await openDriver('/auth/v1');
  await upload(driver, '/upload');
  await driver.publish([{ path: blob, from: '/upload' }]);
  for (const [start, end] of [
    [0, 1],
    [MIB - 1, MIB + 1],
    [5, 3 * MIB + 1],
    [3 * MIB, content.length],
  ] as const) {
    assert.ok((await readAll(await driver.read(blob, { start, end }))).equals(content.subarray(start, end)));
  }
});

test('a list of more names than the gateway tells at once is whole and in order', async () => {
  const driver = await openDriver('/auth/v1');
  const names = Array.from({ length: 1100 }, (_, index) => String(index).padStart(4, '0'));
  for (let start = 0; start < names.length; start += 50) {
    await Promise.all(
      names.slice(start, start + 50).map((name, index) =>
        // Files and folders, mixed.
        driver.putContent(index % 3 === 0 ? `/many/${name}/file` : `/many/${name}`, Buffer.from(name)),
      ),
    );
  }
  assert.deepEqual(await driver.list('/many'), names);
  await driver.delete('/many');
  await assert.rejects(driver.list('/many'), { name: 'PathNotFoundError' });
});

test('the gateway refuses a delete whose time is over, and takes one that is in time', async () => {
  const driver = await openDriver('/auth/v1');
  await upload(driver, '/upload');
  await driver.publish([{ path: blob, from: '/upload' }]);
  await assert.rejects(async () => driver.deleteWithin?.(blob, 0), {
    message: 'the storage of the registry answered 401',
  });
  assert.ok((await readAll(await driver.read(blob))).equals(content));
  await driver.deleteWithin?.(blob, 30_000);
  await assert.rejects(driver.stat(blob), { name: 'PathNotFoundError' });
});

test('a client reads by the URL that it is sent to, without a token', async () => {
  const driver = await openDriver('/auth/v1', { tempurlmethods: ['GET'] });
  await upload(driver, '/upload');
  await driver.publish([{ path: blob, from: '/upload' }]);
  const url = (await driver.redirectUrl?.(blob, 'GET')) ?? '';
  const answer = await fetch(url);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(content));
  assert.equal((await fetch(url, { method: 'HEAD' })).headers.get('content-length'), String(content.length));
  assert.notEqual((await fetch(url, { method: 'DELETE' })).status, 204);
});

test('clients are not sent to a gateway unless tempurlmethods says so, as with docker distribution', async () => {
  const driver = await openDriver('/auth/v1');
  assert.equal(await driver.redirectUrl?.(blob, 'GET'), undefined);
});
