import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createFilesystemDriver } from '../../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { diskError } from '../../../../support/disk-model.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../../support/memory-file-system.ts';

const { log } = logSink();

describe('syncs of directories', () => {
  test('are shared by all who ask while one runs', async () => {
    const files = new MemoryFileSystem();
    const driver = createFilesystemDriver({ root: '/data', files, log });
    await driver.putContent('/a/0', Buffer.from('x'));
    const before = files.syncs.length;
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => driver.putContent(`/a/${index}`, Buffer.from('x'))),
    );
    const synced = files.syncs.slice(before).filter((path) => !path.endsWith('.tmp'));
    assert.deepEqual(
      synced,
      ['/data/a', '/data/a'],
      'the first, and one for all who came after it had begun',
    );
  });

  test('go up to what is known to be durable and no further', async () => {
    const files = new MemoryFileSystem();
    const driver = createFilesystemDriver({ root: '/data', files, log });
    await driver.putContent('/a/b/1', Buffer.from('x'));
    const before = files.syncs.length;
    await driver.putContent('/a/b/c/d/2', Buffer.from('x'));
    const synced = files.syncs.slice(before).filter((path) => !path.endsWith('.tmp'));
    assert.deepEqual(synced.toSorted(), ['/data/a/b', '/data/a/b/c', '/data/a/b/c/d']);
  });

  test('may be refused above the root, where others own the directories, and nowhere else', async () => {
    for (const [path, refused] of [
      ['/mnt', false],
      ['/mnt/data', true],
    ] as const) {
      const files = new MemoryFileSystem({
        before: (operation, at) => {
          if (operation === 'syncDirectory' && at === path) throw diskError('EACCES', at);
        },
      });
      createFilesystemDriver({ root: '/mnt/data', files, log });
      const put = createFilesystemDriver({ root: '/mnt/data', files, log }).putContent(
        '/file',
        Buffer.from('x'),
      );
      if (refused) await assert.rejects(put, { code: 'UNAVAILABLE' });
      else await put;
    }
  });

  test('that a file system does not have are done without', async () => {
    const files = new MemoryFileSystem({
      before: (operation, at) => {
        if (operation === 'syncDirectory') throw diskError('EINVAL', at);
      },
    });
    const driver = createFilesystemDriver({ root: '/data', files, log });
    await driver.putContent('/a/file', Buffer.from('x'));
    assert.equal((await driver.getContent('/a/file')).toString(), 'x');
  });

  test('that fail are told to all who wait for them, and the next begins anew', async () => {
    let broken = true;
    const files = new MemoryFileSystem({
      before: (operation, at) => {
        if (broken && operation === 'syncDirectory' && at === '/data/a') throw diskError('EIO', at);
      },
    });
    const driver = createFilesystemDriver({ root: '/data', files, log });
    const puts = [1, 2, 3].map((index) => driver.putContent(`/a/${index}`, Buffer.from('x')));
    for (const result of await Promise.allSettled(puts)) assert.equal(result.status, 'rejected');
    broken = false;
    await driver.putContent('/a/4', Buffer.from('x'));
  });
});
