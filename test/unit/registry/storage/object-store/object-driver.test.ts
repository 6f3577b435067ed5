import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { InMemoryStore } from '../../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../../src/registry/storage/object-store/object-driver.ts';
import type { ObjectStore } from '../../../../../src/registry/storage/object-store/object-store.ts';
import { testDriver } from '../../../../support/driver-conformance.ts';

const missing = { name: 'PathNotFoundError' };

testDriver('the driver on objects', (use) =>
  use(createObjectDriver(new InMemoryStore(() => 1), { rootDirectory: '' })),
);
testDriver('the driver on objects below a root directory', (use) =>
  use(createObjectDriver(new InMemoryStore(() => 1), { rootDirectory: '/some/folder/' })),
);

async function keysOf(store: ObjectStore): Promise<readonly string[]> {
  return Array.fromAsync(store.list('', { shallow: false }), ({ key }) => key);
}

async function upload(driver: StorageDriver, path: string, text: string): Promise<void> {
  const writer = await driver.writer(path, { append: false });
  await writer.write(Buffer.from(text));
  await writer.close();
}

/** A store that notes each call which changes it, as `put a/b`. */
class RecordingStore extends InMemoryStore {
  readonly calls: string[] = [];

  override async put(key: string, content: Uint8Array): Promise<void> {
    this.calls.push(`put ${key}`);
    await super.put(key, content);
  }
  override async copy(from: string, to: string): Promise<boolean> {
    this.calls.push(`copy ${from} ${to}`);
    return super.copy(from, to);
  }
  override async delete(keys: readonly string[]): Promise<void> {
    this.calls.push(`delete ${keys.join(' ')}`);
    await super.delete(keys);
  }
}

test('an object has the key of distribution: the root directory and the path, without a slash in front', async () => {
  for (const [rootDirectory, key] of [
    ['', 'docker/registry/v2/file'],
    ['/', 'docker/registry/v2/file'],
    ['root', 'root/docker/registry/v2/file'],
    ['/a/b/', 'a/b/docker/registry/v2/file'],
  ] as const) {
    const store = new InMemoryStore(() => 1);
    const driver = createObjectDriver(store, { rootDirectory });
    await driver.putContent('/docker/registry/v2/file', Buffer.from('x'));
    assert.deepEqual(await keysOf(store), [key]);
  }
});

test('files become visible one after the other, in the order of the publish', async () => {
  const store = new RecordingStore(() => 1);
  const driver = createObjectDriver(store, { rootDirectory: '' });
  await upload(driver, '/upload/data', 'bytes');
  await driver.publish([
    { path: '/blob/data', from: '/upload/data', keepExisting: true },
    { path: '/layer/link', content: Buffer.from('link') },
  ]);
  assert.deepEqual(store.calls, ['copy upload/data blob/data', 'put layer/link', 'delete upload/data']);
});

test('an upload of bytes that are there already is not copied', async () => {
  const store = new RecordingStore(() => 1);
  const driver = createObjectDriver(store, { rootDirectory: '' });
  await driver.putContent('/blob/data', Buffer.from('bytes'));
  await upload(driver, '/upload/data', 'bytes');
  store.calls.length = 0;
  await driver.publish([{ path: '/blob/data', from: '/upload/data', keepExisting: true }]);
  assert.deepEqual(store.calls, ['delete upload/data']);
});

test('the end of an upload gives up the parts that nobody sealed', async () => {
  const store = new InMemoryStore(() => 1);
  const driver = createObjectDriver(store, { rootDirectory: 'root' });
  await driver.putContent('/upload/startedat', Buffer.from('now'));
  await upload(driver, '/upload/data', 'bytes');
  await upload(driver, '/upload2/data', 'bytes');
  await driver.delete('/upload', { durable: false });
  assert.equal(await store.unfinishedSize('root/upload/data'), undefined);
  assert.equal(await store.unfinishedSize('root/upload2/data'), 5);
});

test('the empty object that stands for a folder in some programs is no child of it', async () => {
  const store = new InMemoryStore(() => 1);
  const driver = createObjectDriver(store, { rootDirectory: '' });
  await store.put('a/', Buffer.alloc(0));
  await assert.rejects(driver.list('/a'), missing);
  await driver.putContent('/a/file', Buffer.from('x'));
  assert.deepEqual(await driver.list('/a'), ['file']);
});

test('redirects and deletes with a limit are there where the store has them', async () => {
  const plain = createObjectDriver(new InMemoryStore(() => 1), { rootDirectory: '' });
  assert.equal(await plain.redirectUrl?.('/file', 'GET'), undefined);
  assert.equal('deleteWithin' in plain && plain.deleteWithin !== undefined, false);

  const store: ObjectStore = Object.assign(new InMemoryStore(() => 1), {
    redirectUrl: async (key: string, method: string) => `https://bucket/${key}?${method}`,
    deleteWithin: async (key: string, milliseconds: number) => key === 'root/file' && milliseconds === 5000,
  });
  const driver = createObjectDriver(store, { rootDirectory: 'root' });
  assert.equal(await driver.redirectUrl?.('/file', 'HEAD'), 'https://bucket/root/file?HEAD');
  await driver.deleteWithin?.('/file', 5000);
  await assert.rejects(driver.deleteWithin?.('/other', 5000) ?? Promise.resolve(), missing);
});

test('no object below the root directory can be named from outside', async () => {
  const driver = createObjectDriver(new InMemoryStore(() => 1), { rootDirectory: 'root' });
  await assert.rejects(driver.getContent('/../secret'), /is not a path of the store/);
});
