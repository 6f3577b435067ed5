import assert from 'node:assert/strict';
import { readdir, readFile, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectFiles, type ProjectedFile } from '../../../../src/playground/node/projected-folder.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

function files(content: Readonly<Record<string, string>>, mode = 0o440): ReadonlyMap<string, ProjectedFile> {
  return new Map(Object.entries(content).map(([name, text]) => [name, { content: Buffer.from(text), mode }]));
}

test('files are links through ..data to one folder, with their modes', async () => {
  await withTemporaryFolder(async (folder) => {
    assert.equal(await projectFiles(folder, files({ 'tls.crt': 'certificate', 'sub/key': 'deep' })), true);
    assert.equal(await readlink(join(folder, 'tls.crt')), '..data/tls.crt');
    assert.equal(await readlink(join(folder, 'sub')), '..data/sub');
    assert.equal(await readFile(join(folder, 'tls.crt'), 'utf8'), 'certificate');
    assert.equal(await readFile(join(folder, 'sub/key'), 'utf8'), 'deep');
    assert.equal((await stat(join(folder, 'tls.crt'))).mode & 0o777, 0o440);
  });
});

test('a change replaces all files by one rename and leaves nothing of the old ones', async () => {
  await withTemporaryFolder(async (folder) => {
    await projectFiles(folder, files({ a: '1', b: '1' }));
    const before = await readlink(join(folder, '..data'));
    assert.equal(await projectFiles(folder, files({ a: '2', c: '2' })), true);
    const after = await readlink(join(folder, '..data'));
    assert.notEqual(after, before);
    assert.deepEqual((await readdir(folder)).toSorted(), ['..data', after, 'a', 'c'].toSorted());
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), '2');
  });
});

test('the same files again are left as they are', async () => {
  await withTemporaryFolder(async (folder) => {
    await projectFiles(folder, files({ a: '1' }));
    const before = await readlink(join(folder, '..data'));
    assert.equal(await projectFiles(folder, files({ a: '1' })), false);
    assert.equal(await readlink(join(folder, '..data')), before);
  });
});

test('what an interrupted change left behind is no obstacle', async () => {
  await withTemporaryFolder(async (folder) => {
    await projectFiles(folder, files({ a: '1' }));
    await symlink('..nowhere', join(folder, '..data_tmp'));
    assert.equal(await projectFiles(folder, files({ a: '2' })), true);
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), '2');
  });
});
