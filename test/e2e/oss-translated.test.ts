import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ossSection, type OssOptions } from '../../src/contract/config/oss-section.ts';
import { decodeObject } from '../../src/contract/config/decode.ts';
import { systemClock } from '../../src/process/clock.ts';
import { openOss } from '../../src/registry/storage/oss/open-oss.ts';
import { testDriver } from '../support/driver-conformance.ts';
import { bytesOf } from '../support/store-fixture.ts';
import { createTranslatedBucket } from './support/oss-to-s3.ts';

/*
 * What is real: the driver, the store and the shape of the API, which OSS has in common with S3. What is not: Alibaba's service
 * itself. Its signatures are tested with Alibaba's own vectors.
 */
const bucket = await createTranslatedBucket();
after(() => bucket[Symbol.asyncDispose]());

const deps = { clock: systemClock, environment: {} };

let stores = 0;
function options(changes: Readonly<Record<string, string>> = {}): OssOptions {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  const raw = { ...bucket.config, rootdirectory: `/conformance/${stores++}`, ...changes };
  // The decoder follows the schema, which is what the type is inferred from.
  return decodeObject(ossSection, raw, 'storage.oss', found) as OssOptions;
}

testDriver('the driver of OSS, its requests translated for a Ceph gateway', async (use) =>
  use(await openOss(options(), deps)),
);

test('each object is encrypted by OSS when that is asked for', async () => {
  const header = 'x-oss-server-side-encryption';
  for (const encrypt of ['true', 'false']) {
    const before = bucket.received.length;
    // The gateway has no keys to encrypt with.
    const driver = await openOss(options({ encrypt }), deps);
    await driver.putContent('/a', Buffer.from('x')).catch(() => undefined);
    const put = bucket.received.slice(before).find(({ method }) => method === 'PUT');
    assert.equal(put?.headers?.[header], encrypt === 'true' ? 'AES256' : undefined);
  }
});

test('an upload has parts of chunksize, and the objects of the root directory', async () => {
  const before = bucket.received.length;
  const driver = await openOss(
    options({ chunksize: String(6 * 1024 * 1024), rootdirectory: 'some/root' }),
    deps,
  );
  const writer = await driver.writer('/upload/data', { append: false });
  await writer.write(bytesOf(7 * 1024 * 1024, 'part'));
  await writer.close();
  const parts = bucket.received.slice(before).filter(({ url }) => url.searchParams.has('partNumber'));
  assert.ok(parts.every(({ url }) => url.pathname === '/some/root/upload/data'));
  const sizes = parts.map(({ body }) => body?.length ?? 0).toSorted((one, other) => one - other);
  assert.deepEqual(sizes, [1024 * 1024, 6 * 1024 * 1024]);
});

test('clients are sent to a URL that reads, and deletes have a time', async () => {
  const driver = await openOss(options(), deps);
  await driver.putContent('/a/data', Buffer.from('content'));
  const url = (await driver.redirectUrl?.('/a/data', 'GET')) ?? '';
  assert.equal(await (await fetch(url)).text(), 'content');
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 403);
  await driver.deleteWithin?.('/a/data', 10_000);
  await assert.rejects(driver.getContent('/a/data'), { name: 'PathNotFoundError' });
});

test('a wrong secret is found out at start', async () => {
  await assert.rejects(openOss(options({ accesskeysecret: 'wrong' }), deps), {
    message: /403 SignatureDoesNotMatch/,
  });
});
