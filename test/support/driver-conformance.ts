import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PathNotFoundError, type StorageDriver } from '../../src/registry/storage/driver.ts';
import { bytesOf, readAll } from './store-fixture.ts';

const missing = { name: 'PathNotFoundError' };

/**
 * What every storage driver has to do, on an empty store for each test.
 * @param withStore makes a store, lets `use` work on it and takes it away.
 */
export function testDriver(
  name: string,
  withStore: (use: (driver: StorageDriver) => Promise<void>) => Promise<void>,
): void {
  const check = (title: string, use: (driver: StorageDriver) => Promise<void>): void =>
    void test(title, () => withStore(use));

  describe(`${name} reads what was put`, () => {
    check('a small file has the bytes that it was given', async (driver) => {
      await driver.putContent('/a/b/file', Buffer.from('content'));
      assert.equal((await driver.getContent('/a/b/file')).toString(), 'content');
    });

    check('a scratch file has the bytes of the last put', async (driver) => {
      await driver.putContent('/upload/startedat', Buffer.from('yesterday'), { durable: false });
      await driver.putContent('/upload/startedat', Buffer.from('now'), { durable: false });
      assert.equal((await driver.getContent('/upload/startedat')).toString(), 'now');
    });

    check('an empty file is a file', async (driver) => {
      await driver.putContent('/a/file', Buffer.alloc(0));
      assert.equal((await driver.getContent('/a/file')).length, 0);
      assert.deepEqual(await readAll(await driver.read('/a/file')), Buffer.alloc(0));
      assert.equal((await driver.stat('/a/file')).size, 0);
    });

    check('a second put replaces the first, longer or shorter', async (driver) => {
      for (const text of ['first', 'the second and longer one', '3']) {
        await driver.putContent('/file', Buffer.from(text));
        assert.equal((await driver.getContent('/file')).toString(), text);
      }
    });

    check('nothing but the file is in its directory afterwards', async (driver) => {
      await driver.putContent('/a/file', Buffer.from('x'));
      await driver.putContent('/a/file', Buffer.from('y'));
      assert.deepEqual(await driver.list('/a'), ['file']);
    });

    check('many puts to one path at once leave one of them whole', async (driver) => {
      const contents = Array.from({ length: 10 }, (_, index) => bytesOf(1_000 + index, `writer ${index}`));
      await Promise.all(contents.map((content) => driver.putContent('/a/file', content)));
      const found = await driver.getContent('/a/file');
      assert.ok(contents.some((content) => content.equals(found)));
      assert.deepEqual(await driver.list('/a'), ['file']);
    });

    check('files put into new directories at once are all there', async (driver) => {
      const paths = Array.from({ length: 20 }, (_, index) => `/x/${index % 4}/${index % 2}/${index}`);
      await Promise.all(paths.map((path) => driver.putContent(path, Buffer.from(path))));
      for (const path of paths) assert.equal((await driver.getContent(path)).toString(), path);
    });
  });

  describe(`${name} reads ranges`, () => {
    const size = 3 * 1024 * 1024 + 17;
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at += 4) content.writeUInt32LE(at, Math.min(at, size - 4));
    const ranges: readonly [start: number, end: number | undefined][] = [
      [0, undefined],
      [0, 1],
      [size - 1, undefined],
      [1024 * 1024 - 1, 1024 * 1024 + 1],
      [5, 2 * 1024 * 1024 + 5],
      [size, undefined],
      [7, 7],
      [size - 10, size + 1_000],
    ];
    for (const [start, end] of ranges) {
      check(`bytes from ${start} to ${end ?? 'the end'} of ${size}`, async (driver) => {
        await driver.putContent('/large', content);
        const found = await readAll(
          await driver.read('/large', { start, ...(end !== undefined && { end }) }),
        );
        assert.ok(found.equals(content.subarray(start, end)));
      });
    }

    check('a reader that stops early leaves the file usable', async (driver) => {
      await driver.putContent('/large', content);
      for await (const chunk of await driver.read('/large')) {
        assert.ok(chunk.length > 0);
        break;
      }
      assert.ok((await readAll(await driver.read('/large'))).equals(content));
    });

    check('many readers of one file each get all of it', async (driver) => {
      await driver.putContent('/large', content);
      const all = await Promise.all(
        Array.from({ length: 5 }, async () => readAll(await driver.read('/large'))),
      );
      for (const found of all) assert.ok(found.equals(content));
    });
  });

  describe(`${name} publishes`, () => {
    check('several files at once', async (driver) => {
      await driver.publish([
        { path: '/a/data', content: Buffer.from('data') },
        { path: '/b/link', content: Buffer.from('link') },
      ]);
      assert.equal((await driver.getContent('/a/data')).toString(), 'data');
      assert.equal((await driver.getContent('/b/link')).toString(), 'link');
    });

    check('nothing when the last check before it fails', async (driver) => {
      await driver.putContent('/b/link', Buffer.from('old'));
      await write(driver, '/upload/data', [Buffer.from('data')]);
      const refuse = async (): Promise<void> => {
        assert.equal((await driver.getContent('/b/link')).toString(), 'old');
        throw new Error('refused');
      };
      await assert.rejects(
        driver.publish(
          [
            { path: '/a/data', from: '/upload/data' },
            { path: '/b/link', content: Buffer.from('new') },
          ],
          refuse,
        ),
        { message: 'refused' },
      );
      await assert.rejects(driver.stat('/a/data'), missing);
      assert.equal((await driver.getContent('/b/link')).toString(), 'old');
      assert.equal((await driver.getContent('/upload/data')).toString(), 'data');
      assert.deepEqual(await driver.list('/b'), ['link']);
    });

    check('a file that a writer has closed', async (driver) => {
      await write(driver, '/upload/data', [Buffer.from('one '), Buffer.from('two')]);
      await driver.publish([{ path: '/blob/data', from: '/upload/data' }]);
      assert.equal((await driver.getContent('/blob/data')).toString(), 'one two');
      await assert.rejects(driver.stat('/upload/data'), missing);
    });

    check('nothing when the file of the writer is gone', async (driver) => {
      await assert.rejects(driver.publish([{ path: '/blob/data', from: '/upload/data' }]), missing);
      await assert.rejects(driver.stat('/blob/data'), missing);
    });

    check('not over a file of the same size that may stay', async (driver) => {
      await driver.putContent('/blob/data', Buffer.from('first'));
      await write(driver, '/upload/data', [Buffer.from('other')]);
      await driver.publish([{ path: '/blob/data', from: '/upload/data', keepExisting: true }]);
      assert.equal((await driver.getContent('/blob/data')).toString(), 'first');
    });

    check('anew what was to stay and went away before the rest became visible', async (driver) => {
      for (const from of [false, true]) {
        await driver.putContent('/blob/data', Buffer.from('bytes'));
        await write(driver, '/upload/data', [Buffer.from('bytes')]);
        const source = from ? { from: '/upload/data' } : { content: Buffer.from('bytes') };
        await driver.publish([{ path: '/blob/data', keepExisting: true, ...source }], async () => {
          await driver.move('/blob/data', '/trash/data').catch(() => undefined);
        });
        assert.equal((await driver.getContent('/blob/data')).toString(), 'bytes');
      }
    });

    check('over a file of the same size with other bytes, when all of them are at hand', async (driver) => {
      await driver.putContent('/blob/data', Buffer.alloc(5));
      await driver.publish([{ path: '/blob/data', content: Buffer.from('other'), keepExisting: true }]);
      assert.equal((await driver.getContent('/blob/data')).toString(), 'other');
    });

    check('over a file of another size, which is not what its path says', async (driver) => {
      await driver.putContent('/blob/data', Buffer.from('cut off'));
      await write(driver, '/upload/data', [Buffer.from('whole content')]);
      await driver.publish([{ path: '/blob/data', from: '/upload/data', keepExisting: true }]);
      assert.equal((await driver.getContent('/blob/data')).toString(), 'whole content');
    });
  });

  describe(`${name} appends`, () => {
    check('chunks in their order, and goes on behind them later', async (driver) => {
      const chunks = Array.from({ length: 60 }, (_, index) => bytesOf(65_536 + index, `chunk ${index}`));
      await write(driver, '/upload/data', chunks.slice(0, 40));
      const writer = await driver.writer('/upload/data', { append: true });
      assert.equal(writer.size, Buffer.concat(chunks.slice(0, 40)).length);
      for (const chunk of chunks.slice(40)) await writer.write(Buffer.from(chunk));
      assert.equal(writer.size, Buffer.concat(chunks).length);
      await writer.close();
      assert.equal(await driver.unpublishedSize('/upload/data'), Buffer.concat(chunks).length);
      await driver.seal('/upload/data');
      assert.ok((await readAll(await driver.read('/upload/data'))).equals(Buffer.concat(chunks)));
    });

    check('behind what was sealed', async (driver) => {
      const chunks = [bytesOf(100_000, 'first'), bytesOf(70_000, 'second')];
      await write(driver, '/upload/data', chunks.slice(0, 1));
      await driver.seal('/upload/data');
      const writer = await driver.writer('/upload/data', { append: true });
      await writer.write(Buffer.from(chunks[1] ?? []));
      await writer.close();
      assert.equal(await driver.unpublishedSize('/upload/data'), 170_000);
      await driver.publish([{ path: '/blob/data', from: '/upload/data' }]);
      assert.ok((await driver.getContent('/blob/data')).equals(Buffer.concat(chunks)));
    });

    check('to nothing: what was never written is neither unpublished nor to be sealed', async (driver) => {
      assert.equal(await driver.unpublishedSize('/upload/data'), undefined);
      await assert.rejects(driver.seal('/upload/data'), missing);
    });

    check('from the start when it is not asked to go on', async (driver) => {
      await write(driver, '/upload/data', [Buffer.from('a longer text')]);
      await write(driver, '/upload/data', [Buffer.from('short')]);
      await driver.seal('/upload/data');
      assert.equal((await driver.getContent('/upload/data')).toString(), 'short');
    });

    check('nothing, and there is an empty file', async (driver) => {
      await write(driver, '/upload/data', []);
      assert.equal(await driver.unpublishedSize('/upload/data'), 0);
      await driver.seal('/upload/data');
      assert.equal((await driver.getContent('/upload/data')).length, 0);
    });
  });

  describe(`${name} says what is there`, () => {
    check('the size of a file and that a folder is one', async (driver) => {
      await driver.putContent('/a/file', Buffer.from('12345'));
      const file = await driver.stat('/a/file');
      assert.deepEqual([file.isDirectory, file.size], [false, 5]);
      assert.ok(file.modifiedAt > 0);
      assert.equal((await driver.stat('/a')).isDirectory, true);
    });

    check('direct children alone', async (driver) => {
      for (const path of ['/a/1/x', '/a/1/y', '/a/2', '/ab/3']) {
        await driver.putContent(path, Buffer.from('x'));
      }
      assert.deepEqual((await driver.list('/a')).toSorted(), ['1', '2']);
    });

    check('a list sees what was put a moment ago', async (driver) => {
      for (let index = 1; index <= 20; index++) {
        await driver.putContent(`/runs/${index}`, Buffer.from('x'));
        assert.equal((await driver.list('/runs')).length, index);
      }
    });

    check('that something is missing, whatever it is asked for', async (driver) => {
      await driver.putContent('/file', Buffer.from('x'));
      for (const path of ['/nowhere', '/nowhere/at/all', '/file/below']) {
        await assert.rejects(driver.getContent(path), missing);
        await assert.rejects(driver.read(path), missing);
        await assert.rejects(driver.stat(path), missing);
        await assert.rejects(driver.list(path), missing);
        await assert.rejects(driver.delete(path), missing);
        await assert.rejects(driver.move(path, '/elsewhere'), missing);
      }
    });

    check('that a folder has no content', async (driver) => {
      await driver.putContent('/a/file', Buffer.from('x'));
      await assert.rejects(driver.getContent('/a'), missing);
      await assert.rejects(driver.read('/a'), missing);
    });
  });

  describe(`${name} moves and removes`, () => {
    check('a file, over another one', async (driver) => {
      await driver.putContent('/from/file', Buffer.from('new'));
      await driver.putContent('/to/file', Buffer.from('old'));
      await driver.move('/from/file', '/to/file');
      assert.equal((await driver.getContent('/to/file')).toString(), 'new');
      await assert.rejects(driver.stat('/from/file'), missing);
    });

    check('a file to a place where nothing is, and to no other', async (driver) => {
      if (driver.moveIfAbsent === undefined) return assert.equal(driver.movesAtomically, false);
      await driver.putContent('/from/file', Buffer.from('old'));
      await driver.putContent('/taken/file', Buffer.from('new'));
      assert.equal(await driver.moveIfAbsent('/from/file', '/taken/file'), false);
      assert.equal((await driver.getContent('/taken/file')).toString(), 'new');
      assert.equal(await driver.moveIfAbsent('/from/file', '/free/file'), true);
      assert.equal((await driver.getContent('/free/file')).toString(), 'old');
      await assert.rejects(driver.stat('/from/file'), missing);
      await assert.rejects(driver.moveIfAbsent('/from/file', '/free/other'), missing);
      return undefined;
    });

    check(
      'a file with its folder to a place that may be there, and removes it with its folder',
      async (driver) => {
        if (driver.moveWithFolder === undefined) return assert.equal(driver.movesAtomically, false);
        for (const content of ['one', 'two']) {
          await driver.putContent('/a/hex/data', Buffer.from(content));
          await driver.moveWithFolder('/a/hex/data', '/trash/b/hex/data');
          await assert.rejects(driver.stat('/a/hex'), missing);
          assert.equal((await driver.getContent('/trash/b/hex/data')).toString(), content);
        }
        await driver.settle?.(['/trash/b', '/nowhere']);
        await assert.rejects(driver.moveWithFolder('/a/hex/data', '/trash/b/hex/data'), missing);
        await driver.removeWithFolder?.('/trash/b/hex/data');
        await assert.rejects(driver.stat('/trash/b/hex'), missing);
        await assert.rejects(driver.removeWithFolder?.('/trash/b/hex/data') ?? assert.fail(), missing);
        return undefined;
      },
    );

    check('a tree to a place that was not there', async (driver) => {
      await driver.putContent('/tree/a/1', Buffer.from('one'));
      await driver.putContent('/tree/2', Buffer.from('two'));
      await driver.move('/tree', '/trash/deep/tree');
      assert.equal((await driver.getContent('/trash/deep/tree/a/1')).toString(), 'one');
      assert.equal((await driver.getContent('/trash/deep/tree/2')).toString(), 'two');
      await assert.rejects(driver.getContent('/tree/2'), missing);
    });

    check('a file and not its neighbours', async (driver) => {
      for (const path of ['/a/link', '/a/link2', '/ab']) await driver.putContent(path, Buffer.from('x'));
      await driver.delete('/a/link');
      await assert.rejects(driver.stat('/a/link'), missing);
      assert.deepEqual(await driver.list('/a'), ['link2']);
      await driver.stat('/ab');
    });

    check('a tree, durable or not', async (driver) => {
      for (const durable of [true, false]) {
        await driver.putContent('/tree/a/b/c', Buffer.from('x'));
        await driver.putContent('/tree/d', Buffer.from('x'));
        await driver.delete('/tree', { durable });
        await assert.rejects(driver.getContent('/tree/a/b/c'), missing);
        await assert.rejects(driver.stat('/tree/d'), missing);
      }
    });

    check('a folder that is in use stays', async (driver) => {
      await driver.putContent('/a/file', Buffer.from('x'));
      await driver.removeIfEmpty('/a');
      assert.equal(await driver.removeIfEmpty('/nowhere'), true);
      await driver.getContent('/a/file');
      await driver.delete('/a/file');
      assert.equal(await driver.removeIfEmpty('/a'), true);
      await assert.rejects(driver.stat('/a'), missing);
    });

    check('a folder that others fill at the same time loses nothing of theirs', async (driver) => {
      await driver.putContent('/a/0', Buffer.from('x'));
      const put = Array.from({ length: 20 }, async (_, index) => {
        await driver.putContent(`/a/${index + 1}/file`, Buffer.from('x'));
        await driver.removeIfEmpty(`/a/${index + 1}`);
      });
      await Promise.all([...put, driver.delete('/a/0')]);
      assert.equal((await driver.list('/a')).length, 20);
    });
  });

  describe(`${name} stays within its root`, () => {
    for (const path of ['relative', '/a/../b', '/..', '/a//b', '/./a', '/a/', '/a\0b']) {
      check(`${JSON.stringify(path)} is refused`, async (driver) => {
        const refused = (error: unknown): boolean => !(error instanceof PathNotFoundError);
        await assert.rejects(driver.putContent(path, Buffer.from('x')), refused);
        await assert.rejects(driver.getContent(path), refused);
        await assert.rejects(driver.move('/x', path), refused);
      });
    }
  });
}

async function write(driver: StorageDriver, path: string, chunks: readonly Buffer[]): Promise<void> {
  const writer = await driver.writer(path, { append: false });
  // A writer keeps what it is given.
  for (const chunk of chunks) await writer.write(Buffer.from(chunk));
  await writer.close();
}
