import assert from 'node:assert/strict';
import { readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { RegistryError } from '../../../../../src/registry/errors.ts';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { diskError } from '../../../../support/disk-model.ts';
import { testDriver } from '../../../../support/driver-conformance.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../../support/memory-file-system.ts';
import { bytesOf, readAll } from '../../../../support/store-fixture.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

const { log } = logSink();

testDriver('the filesystem driver', (use) =>
  withTemporaryFolder((root) => use(createFilesystemDriver({ root, log }))),
);

testDriver('the filesystem driver on the model of a disk', async (use) => {
  const files = new MemoryFileSystem({ now: () => 1 });
  await use(createFilesystemDriver({ root: '/data', files, log }));
  assert.equal(files.openFiles, 0, 'every file is closed');
});

test('a writer tells how much of its file can be read by now', () =>
  withTemporaryFolder(async (folder) => {
    const driver = createFilesystemDriver({ root: folder, log });
    const writer = await driver.writer('/growing', { append: false });
    const whole = bytesOf(5_000_000, 'growing');
    for (let at = 0; at < whole.length; at += 700_000) {
      await writer.write(Uint8Array.from(whole.subarray(at, at + 700_000)));
      const end = writer.written ?? 0;
      assert.ok(end <= writer.size);
      const found = await readAll(await driver.read('/growing', { start: 0, end }));
      assert.ok(found.equals(whole.subarray(0, end)));
    }
    assert.ok((writer.written ?? 0) > 0);
    await writer.close();
    assert.equal(writer.written, whole.length);
  }));

describe('the root of the filesystem driver', () => {
  test('is made with the directories above it', () =>
    withTemporaryFolder(async (folder) => {
      const driver = createFilesystemDriver({ root: join(folder, 'a/b/c/'), log });
      await driver.putContent('/file', Buffer.from('x'));
      assert.deepEqual(await readdir(join(folder, 'a/b/c')), ['file']);
    }));

  test('may be a link to another place', () =>
    withTemporaryFolder(async (folder) => {
      createFilesystemDriver({ root: join(folder, 'real'), log });
      await symlink(join(folder, 'real'), join(folder, 'link'));
      await createFilesystemDriver({ root: join(folder, 'link'), log }).putContent('/file', Buffer.from('x'));
      assert.deepEqual(await readdir(join(folder, 'real')), ['file']);
    }));

  test('that cannot be made is an error that says why', () =>
    withTemporaryFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      assert.throws(
        () => createFilesystemDriver({ root: join(folder, 'file/root'), log }),
        /file\/root cannot be used/,
      );
    }));

  test('that may not be made names the permission', () => {
    const files = new MemoryFileSystem({
      before: (operation, path) => {
        if (operation === 'makeDirectory') throw diskError('EACCES', path);
      },
    });
    assert.throws(
      () => createFilesystemDriver({ root: '/data', files, log }),
      /\/data cannot be used: .*EACCES/,
    );
  });

  test('has to be an absolute path', () => {
    assert.throws(() => createFilesystemDriver({ root: 'data', log }), /not an absolute path/);
  });
});

describe('what goes wrong in a file system', () => {
  let failing: { readonly operation: string; readonly code: string } | undefined;
  const files = new MemoryFileSystem({
    before: (operation, path) => {
      if (failing?.operation === operation) throw diskError(failing.code, path);
    },
  });
  const driver = createFilesystemDriver({ root: '/data', files, log });

  async function failingWith(
    operation: string,
    code: string,
    action: () => Promise<unknown>,
  ): Promise<unknown> {
    failing = { operation, code };
    try {
      await action();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      failing = undefined;
    }
  }

  for (const [operation, code, words] of [
    ['write', 'ENOSPC', 'full'],
    ['write', 'EDQUOT', 'quota'],
    ['open', 'EROFS', 'mounted read-only'],
    ['open', 'EACCES', 'may not access'],
    ['sync', 'EIO', 'does not work'],
    ['syncDirectory', 'EIO', 'does not work'],
    ['rename', 'ENOSPC', 'full'],
    ['makeDirectory', 'ENOSPC', 'full'],
  ] as const) {
    test(`is told as 503 with a remedy: ${code} at ${operation}`, async () => {
      const folder = `/${operation}-${code}`;
      if (operation !== 'makeDirectory') await driver.putContent(`${folder}/other`, Buffer.from('x'));
      const put = (): Promise<void> => driver.putContent(`${folder}/new/file`, Buffer.from('x'));
      const error = await failingWith(operation, code, put);
      assert.ok(error instanceof RegistryError, String(error));
      assert.equal(error.code, 'UNAVAILABLE');
      assert.match(error.message, new RegExp(words));
      assert.doesNotMatch(error.message, /\/data/, 'no path of the machine is told');
      assert.equal(files.openFiles, 0, 'every file is closed');
    });
  }

  test('leaves no temporary file behind', async () => {
    for (const operation of ['write', 'sync', 'rename']) {
      const path = `/clean/${operation}/file`;
      await driver.putContent(path, Buffer.from('old'));
      await failingWith(operation, 'ENOSPC', () => driver.putContent(path, Buffer.from('new')));
      assert.deepEqual(await driver.list(`/clean/${operation}`), ['file']);
      assert.equal((await driver.getContent(path)).toString(), 'old');
    }
  });

  test('ends a writer, and the file is cut off where it is whole', async () => {
    const writer = await driver.writer('/upload/data', { append: false });
    const chunk = bytesOf(512 * 1024, 'chunk');
    for (let count = 0; count < 4; count++) await writer.write(Buffer.from(chunk));
    const error = await failingWith('write', 'ENOSPC', async () => {
      for (let count = 0; count < 8; count++) await writer.write(Buffer.from(chunk));
      await writer.close();
    });
    assert.ok(error instanceof RegistryError && error.code === 'UNAVAILABLE');
    await assert.rejects(async () => writer.write(Buffer.from(chunk)), RegistryError);
    await writer.close().catch(() => {});
    const found = await readAll(await driver.read('/upload/data'));
    assert.equal(found.length % chunk.length, 0);
    assert.ok(found.equals(Buffer.concat(Array.from({ length: found.length / chunk.length }, () => chunk))));
  });

  test('in a reader is told to who reads', async () => {
    await driver.putContent('/large', bytesOf(3_000_000, 'large'));
    const reader = await driver.read('/large');
    const error = await failingWith('read', 'EIO', () => readAll(reader));
    assert.ok(error instanceof RegistryError && error.code === 'UNAVAILABLE');
    assert.equal(files.openFiles, 0);
  });
});

describe('many transfers at once', () => {
  test('share the memory for their chunks', () =>
    withTemporaryFolder(async (root) => {
      const driver: StorageDriver = createFilesystemDriver({ root, log });
      const content = bytesOf(2_000_000, 'many');
      await Promise.all(
        Array.from({ length: 40 }, async (_, index) => {
          const writer = await driver.writer(`/upload/${index}`, { append: false });
          for (let at = 0; at < content.length; at += 65_536)
            await writer.write(content.subarray(at, at + 65_536));
          await writer.close();
        }),
      );
      const readers = Array.from({ length: 40 }, async (_, index) =>
        readAll(await driver.read(`/upload/${index}`)),
      );
      for (const found of await Promise.all(readers)) assert.ok(found.equals(content));
      assert.equal((await stat(join(root, 'upload/7'))).size, content.length);
    }));
});

test('a file whose folder may not change its place, as in a layer of an image, is moved alone', async () => {
  const files: MemoryFileSystem = new MemoryFileSystem({
    before: (operation, path) => {
      if (operation === 'rename' && path.endsWith('/hex')) throw diskError('EXDEV', path);
    },
  });
  const driver = createFilesystemDriver({ root: '/data', files, log });
  await driver.putContent('/a/hex/data', Buffer.from('x'));
  await driver.moveWithFolder?.('/a/hex/data', '/trash/hex/data');
  assert.equal((await driver.getContent('/trash/hex/data')).toString(), 'x');
  assert.deepEqual(await driver.list('/a'), []);
});

test('a file gets to its place although a collector moves the folder away that it is written in', async () => {
  const driver = createFilesystemDriver({ root: '/data', files: new MemoryFileSystem(), log });
  await driver.putContent('/a/hex/data', Buffer.from('old'));
  let moved = false;
  await driver.publish([{ path: '/a/hex/data', content: Buffer.from('new') }], async () => {
    if (!moved) await driver.moveWithFolder?.('/a/hex/data', '/trash/hex/data');
    moved = true;
  });
  assert.equal((await driver.getContent('/a/hex/data')).toString(), 'new');
});
