import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseRepositoryName } from '../../../../src/oci/repository-name.ts';
import {
  listRepositories,
  repositoryExists,
  walkRepositories,
} from '../../../../src/registry/storage/catalog.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { repositoryFolder } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { repositoryName } from '../../../support/store-fixture.ts';

async function driverWith(names: readonly string[], child = '_layers'): Promise<StorageDriver> {
  const driver = createFilesystemDriver({ root: '/data', files: new MemoryFileSystem(), log: logSink().log });
  for (const name of names) {
    await driver.putContent(`${repositoryFolder(repositoryName(name))}/${child}/x`, Buffer.from('x'));
  }
  return driver;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe('the catalog', () => {
  test('of an empty store is empty', async () => {
    assert.deepEqual(await listRepositories(await driverWith([]), { limit: 10 }), []);
  });

  test('lists a repository and those below it, sorted by bytes', async () => {
    const names = ['a', 'a/b', 'a-b', 'a.b', 'a0', 'a/b/c', 'b/c/d'];
    assert.deepEqual(await collect(walkRepositories(await driverWith(names))), names.toSorted(byBytes));
  });

  test('does not lose a name that begins with another', async () => {
    const names = ['lib', 'lib2', 'library', 'library/x', 'lib/rary'];
    const driver = await driverWith(names);
    for (const last of names) {
      assert.deepEqual(
        await listRepositories(driver, { last, limit: 10 }),
        names.filter((name) => byBytes(name, last) > 0).toSorted(byBytes),
      );
    }
  });

  test('knows a repository by its manifests or its layers, and not by its uploads', async () => {
    assert.deepEqual(await collect(walkRepositories(await driverWith(['a/b'], '_manifests'))), ['a/b']);
    const driver = await driverWith(['a/b'], '_uploads');
    assert.deepEqual(await collect(walkRepositories(driver)), []);
    assert.equal(await repositoryExists(driver, repositoryName('a/b')), false);
  });

  test('takes no page of zero', async () => {
    assert.deepEqual(await listRepositories(await driverWith(['a']), { limit: 0 }), []);
  });

  test('read in pages of any size is the whole, in order', async () => {
    const component = fc.stringMatching(/^[ab0]{1,2}([.-][a0])?$/);
    const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (names, limit) => {
          fc.pre(names.every((text) => parseRepositoryName(text) !== undefined));
          const driver = await driverWith(names);
          const read: string[] = [];
          for (let last = ''; ; last = read.at(-1) ?? '') {
            const page = await listRepositories(driver, { last, limit });
            read.push(...page);
            if (page.length < limit) break;
          }
          assert.deepEqual(read, names.toSorted(byBytes));
        },
      ),
    );
  });
});
