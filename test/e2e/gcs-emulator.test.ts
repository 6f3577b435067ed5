import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, test } from 'node:test';
import { systemClock } from '../../src/process/clock.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import { openGcs } from '../../src/registry/storage/gcs/open-gcs.ts';
import { testDriver } from '../support/driver-conformance.ts';
import { logSink } from '../support/log-sink.ts';
import { bytesOf, readAll } from '../support/store-fixture.ts';
import { gcsOptions, startFakeGcs } from './support/fake-gcs.ts';

/*
 * What the emulator does not show: it looks at no token, no signature and no expiry, and it takes bytes of an upload that
 * it has already for new ones. Those are tested with stand-ins and Google's own vectors.
 */
const gcs = await startFakeGcs();
after(() => gcs[Symbol.asyncDispose]());

const deps = { clock: systemClock, environment: { STORAGE_EMULATOR_HOST: gcs.url }, log: logSink().log };

async function openBucket(changes: Readonly<Record<string, string | object>> = {}): Promise<StorageDriver> {
  return openGcs(gcsOptions({ bucket: await gcs.newBucket(), ...changes }), deps);
}

async function objectOf(bucket: string, key: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`${gcs.url}/storage/v1/b/${bucket}/o/${encodeURIComponent(key)}`);
  return (await answer.json()) as Record<string, unknown>; // as Google documents it
}

testDriver('the driver of Google Cloud Storage on fake-gcs-server', async (use) => use(await openBucket()));

test('a large upload goes on in another process, where the session of the first one ended', async () => {
  const bucket = await gcs.newBucket();
  const options = gcsOptions({ bucket, chunksize: String(1024 * 1024) });
  const content = bytesOf(3 * 1024 * 1024 + 5, 'large');
  const cut = 2_000_000;
  for (const [start, end] of [
    [0, cut],
    [cut, content.length],
  ] as const) {
    const driver = await openGcs(options, deps);
    const writer = await driver.writer('/upload/data', { append: start > 0 });
    assert.equal(writer.size, start);
    for (let at = start; at < end; at += 70_000) {
      await writer.write(Buffer.from(content.subarray(at, Math.min(at + 70_000, end))));
    }
    await writer.close();
    await assert.rejects(driver.stat('/upload/data'), { name: 'PathNotFoundError' });
    assert.equal(await driver.unpublishedSize('/upload/data'), end);

    // As docker distribution leaves an upload: what did not fill 256 KiB, and where the rest is.
    const object = await objectOf(bucket, 'upload/data');
    const { 'Session-URI': session, Offset: offset } = object['metadata'] as Record<string, string>;
    assert.equal(object['contentType'], 'application/x-docker-upload-session');
    assert.equal(Number(offset) % (256 * 1024), 0);
    assert.equal(Number(offset) + Number(object['size']), end);
    assert.match(session ?? '', /upload_id=/);
  }
  const driver = await openGcs(options, deps);
  await driver.publish([{ path: '/blob/data', from: '/upload/data' }]);
  assert.ok((await readAll(await driver.read('/blob/data'))).equals(content));
});

test('a sealed upload of several pieces is continued from its start', async () => {
  const driver = await openBucket({ chunksize: String(256 * 1024) });
  const parts = [bytesOf(700_000, 'first'), bytesOf(300_000, 'second')];
  for (const part of parts) {
    const writer = await driver.writer('/upload/data', { append: true });
    await writer.write(Buffer.from(part));
    await writer.close();
    await driver.seal('/upload/data');
  }
  assert.ok((await driver.getContent('/upload/data')).equals(Buffer.concat(parts)));
});

test('what is left of uploads goes away with their folder', async () => {
  const bucket = await gcs.newBucket();
  const driver = await openGcs(gcsOptions({ bucket }), deps);
  await driver.putContent('/upload/startedat', Buffer.from('now'));
  const writer = await driver.writer('/upload/data', { append: false });
  await writer.write(Buffer.from('some bytes'));
  await writer.close();
  await driver.delete('/upload');
  const listed = await fetch(`${gcs.url}/storage/v1/b/${bucket}/o`);
  assert.equal(((await listed.json()) as { items?: object[] }).items?.length ?? 0, 0);
});

test('the names of objects begin with the root directory', async () => {
  const bucket = await gcs.newBucket();
  const driver = await openGcs(gcsOptions({ bucket, rootdirectory: '/some/folder/' }), deps);
  await driver.putContent('/docker/file', Buffer.from('x'));
  assert.equal((await objectOf(bucket, 'some/folder/docker/file'))['size'], '1');
});

test('a bucket that does not exist is found out at start', async () => {
  await assert.rejects(openGcs(gcsOptions({ bucket: 'absent' }), deps), { message: /answered 404/ });
});

test('with a key, clients are sent to a URL that reads, and deletes have a time', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const driver = await openBucket({ credentials: { client_email: 'registry@example.com', private_key } });
  await driver.putContent('/a/data', Buffer.from('content'));
  const url = (await driver.redirectUrl?.('/a/data', 'GET')) ?? '';
  assert.equal(await (await fetch(url)).text(), 'content');
  await assert.rejects(driver.deleteWithin?.('/a/data', -2_000) ?? Promise.resolve(), /no time left/);
  await driver.deleteWithin?.('/a/data', 10_000);
  await assert.rejects(driver.getContent('/a/data'), { name: 'PathNotFoundError' });
});
