import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readAt, readTarIndex, TAR_END, tarHeader, tarPadding } from '../../../src/copy/tar.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

async function index(path: string): Promise<Map<string, string>> {
  await using file = await open(path);
  const entries = await readTarIndex(file);
  const read = [...entries].map(
    async ([name, { start, size }]) => [name, String(await readAt(file, start, size))] as const,
  );
  return new Map(await Promise.all(read));
}

test('what was written is found again', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.tar');
    const files: readonly (readonly [string, string])[] = [
      ['empty', ''],
      ['small', 'x'],
      ['block', 'y'.repeat(512)],
      ['more', 'z'.repeat(513)],
    ];
    const parts = files.flatMap(([name, text]) => [
      tarHeader(name, text.length),
      Buffer.from(text),
      tarPadding(text.length),
    ]);
    await writeFile(path, Buffer.concat([...parts, TAR_END]));
    assert.deepEqual([...(await index(path))], files);
    assert.equal(execFileSync('tar', ['tf', path]).toString(), 'empty\nsmall\nblock\nmore\n');
  });
});

test('a size past 8 GiB is kept', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.tar');
    const size = 9 * 2 ** 30;
    await writeFile(path, tarHeader('large', size));
    await using file = await open(path);
    assert.equal((await readTarIndex(file)).get('large')?.size, size);
  });
});

test('a name is not read into memory whatever its length', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.tar');
    const header = tarHeader('@LongLink', 5 * 2 ** 30);
    header.write('L', 156);
    await writeFile(path, header);
    await using file = await open(path);
    await assert.rejects(readTarIndex(file), { message: 'has a name that is too long' });
  });
});

test('archives of GNU tar with long names and links are read', async () => {
  await withTemporaryFolder(async (folder) => {
    const long = `${'n'.repeat(80)}/${'m'.repeat(80)}`;
    mkdirSync(join(folder, 'in', 'n'.repeat(80)), { recursive: true });
    mkdirSync(join(folder, 'in/link'));
    writeFileSync(join(folder, 'in', long), 'long');
    symlinkSync(`../${long}`, join(folder, 'in/link/layer.tar'));
    for (const format of ['gnu', 'pax']) {
      const path = join(folder, `${format}.tar`);
      execFileSync('tar', [`--format=${format}`, '-cf', path, '-C', join(folder, 'in'), '.']);
      assert.deepEqual(
        await index(path),
        new Map([
          [long, 'long'],
          ['link/layer.tar', 'long'],
        ]),
        format,
      );
    }
  });
});

test('what is no tar, or a compressed one, says so', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a');
    await writeFile(path, 'no tar at all'.repeat(100));
    await assert.rejects(index(path), /is not a tar/);
    await writeFile(path, gzipSync(Buffer.alloc(10_000, 'x')));
    await assert.rejects(index(path), /gunzip/);
  });
});
