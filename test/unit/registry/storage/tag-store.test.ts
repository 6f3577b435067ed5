import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { digestOf } from '../../../../src/oci/digest.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import {
  tagCurrentLinkPath,
  tagFolder,
  tagIndexLinkPath,
  uploadFolder,
} from '../../../../src/registry/storage/paths.ts';
import { TagStore } from '../../../../src/registry/storage/tag-store.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openPermit } from '../../../support/open-gate.ts';
import {
  bytesOf,
  createStores,
  pushBlob,
  repositoryName,
  tagName,
  type Stores,
} from '../../../support/store-fixture.ts';

const app = repositoryName('team/app');
const latest = tagName('latest');
const first = digestOf(bytesOf(1, 'first'));
const second = digestOf(bytesOf(1, 'second'));

function stores(): Stores {
  return createStores(
    createFilesystemDriver({ root: '/data', files: new MemoryFileSystem(), log: logSink().log }),
  );
}

describe('a tag', () => {
  test('says the digest that it was set to last, and remembers each', async () => {
    const { tags, driver } = stores();
    for (const digest of [first, second]) await tags.set(app, latest, digest, openPermit);
    assert.equal(await tags.resolve(app, latest), second);
    for (const digest of [first, second]) {
      assert.equal((await driver.getContent(tagIndexLinkPath(app, latest, digest))).toString(), digest);
    }
  });

  test('that was never set, or whose link is empty, is absent', async () => {
    const { tags, driver } = stores();
    assert.equal(await tags.resolve(app, latest), undefined);
    await tags.set(app, latest, first, openPermit);
    await driver.putContent(tagCurrentLinkPath(app, latest), Buffer.alloc(0));
    assert.equal(await tags.resolve(app, latest), undefined);
    assert.deepEqual(await tags.list(app), []);
  });

  test('is not set without permission', async () => {
    const { tags } = stores();
    await tags.set(app, latest, first, openPermit);
    const held = { ...openPermit, check: async () => Promise.reject(new Error('held')) };
    await assert.rejects(tags.set(app, latest, second, held), { message: 'held' });
    assert.equal(await tags.resolve(app, latest), first);
  });

  test('that is removed is gone with its folder, and cannot be removed again', async () => {
    const { tags, driver } = stores();
    await tags.set(app, latest, first, openPermit);
    await tags.remove(app, latest, openPermit);
    await assert.rejects(driver.stat(tagFolder(app, latest)), { name: 'PathNotFoundError' });
    await assert.rejects(tags.remove(app, latest, openPermit), { code: 'MANIFEST_UNKNOWN' });
  });
});

describe('a list of tags', () => {
  test('is sorted by bytes: capitals before small letters', async () => {
    const { tags } = stores();
    for (const name of ['b', 'a', 'B', '1', 'a.b', 'a-b', '_'])
      await tags.set(app, tagName(name), first, openPermit);
    assert.deepEqual(await tags.list(app), ['1', 'B', '_', 'a', 'a-b', 'a.b', 'b']);
  });

  test('of a repository without tags is empty, and of none is NAME_UNKNOWN', async () => {
    const world = stores();
    await pushBlob(world, app, bytesOf(10, 'blob'));
    assert.deepEqual(await world.tags.list(app), []);
    await assert.rejects(world.tags.list(repositoryName('team')), { code: 'NAME_UNKNOWN' });
    await assert.rejects(world.tags.list(repositoryName('nowhere')), { code: 'NAME_UNKNOWN' });
  });

  test('an upload alone makes no repository', async () => {
    const { tags, driver } = stores();
    await driver.putContent(
      `${uploadFolder(app, '4c1b2e0a-4d6f-8c3e-9d3f-0123456789ab')}/data`,
      Buffer.from('x'),
    );
    await assert.rejects(tags.list(app), { code: 'NAME_UNKNOWN' });
  });

  test('stays when all tags are removed', async () => {
    const { tags } = stores();
    await tags.set(app, latest, first, openPermit);
    await tags.remove(app, latest, openPermit);
    assert.deepEqual(await tags.list(app), []);
  });
});

describe('taking a tag back', () => {
  test('restores what it said before', async () => {
    const { tags } = stores();
    await tags.set(app, latest, first, openPermit);
    const stamp = await tags.set(app, latest, second, openPermit);
    await tags.putBack(app, latest, { previous: first, own: second, stamp });
    assert.equal(await tags.resolve(app, latest), first);
  });

  test('removes one that was new', async () => {
    const { tags } = stores();
    const stamp = await tags.set(app, latest, first, openPermit);
    await tags.putBack(app, latest, { previous: undefined, own: first, stamp });
    assert.deepEqual(await tags.resolve(app, latest), undefined);
  });

  test('leaves what somebody else has set meanwhile', async () => {
    const { tags } = stores();
    const stamp = await tags.set(app, latest, second, openPermit);
    await tags.putBack(app, latest, { previous: undefined, own: first, stamp });
    assert.equal(await tags.resolve(app, latest), second);
  });
});

test('as many tags are looked at together as is configured', async () => {
  for (const limit of [1, 4]) {
    const driver = new MemoryDriver(() => 0);
    const { config } = parseConfig(
      `{version: 0.1, http: {addr: ":0"}, storage: {filesystem: , tag: {concurrencylimit: ${limit}}}}`,
    );
    const tags = new TagStore({ driver, lookups: config?.storage.tag.concurrencylimit ?? 0 });
    for (let index = 0; index < 10; index++) {
      await tags.set(app, tagName(`v${index}`), index % 2 === 0 ? first : second, openPermit);
    }
    let running = 0;
    let most = 0;
    driver.before = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    assert.deepEqual(
      (await tags.pointingAt(app, new Set([first]))).toSorted(),
      [0, 2, 4, 6, 8].map((index) => `v${index}`),
    );
    assert.equal((await tags.list(app)).length, 10);
    assert.equal(most, limit);
  }
});
