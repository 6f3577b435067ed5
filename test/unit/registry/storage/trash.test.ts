import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { statIfThere } from '../../../../src/registry/storage/if-there.ts';
import { readTagLink } from '../../../../src/registry/storage/links.ts';
import {
  blobDataPath,
  layerLinkPath,
  tagCurrentLinkPath,
  TRASH_ROOT,
  trashPath,
} from '../../../../src/registry/storage/paths.ts';
import {
  forgetTrash,
  isInTrash,
  listTrash,
  moveToTrash,
  purge,
  restoreFromTrash,
  runsInTrash,
  type TrashEntry,
} from '../../../../src/registry/storage/trash.ts';
import { logSink } from '../../../support/log-sink.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const app = repositoryName('library/app');
/** Where it lay before: below the path, under the name of the run. */
const oldPlace = (path: string, name: string): string => `${TRASH_ROOT}${path}/${name}`;

function onDisk(
  body: (world: { driver: StorageDriver; content: RegistryContent; folder: string }) => Promise<void>,
): Promise<void> {
  return withTemporaryFolder((folder) => {
    const driver = createFilesystemDriver({ root: folder, log: logSink().log });
    return body({ driver, content: new RegistryContent(driver), folder });
  });
}

async function entries(driver: StorageDriver, root?: string): Promise<TrashEntry[]> {
  const found: TrashEntry[] = [];
  for (const run of await runsInTrash(driver)) {
    for await (const entry of listTrash(driver, run, root)) found.push(entry);
  }
  return found;
}

test('a file goes to the trash with its folder, and comes back without it', () =>
  onDisk(async ({ driver, content, folder }) => {
    const path = layerLinkPath(app, await content.blob('layer'));
    assert.equal(await moveToTrash(driver, { path }, 'run'), true);
    assert.equal(existsSync(join(folder, path, '..')), false);
    assert.equal((await driver.stat(trashPath(path, 'run'))).isDirectory, false);
    assert.equal(await moveToTrash(driver, { path }, 'run'), false, 'it is gone');
    assert.equal(await restoreFromTrash(driver, path), true);
    assert.equal((await driver.getContent(path)).toString(), digestOf(Buffer.from('layer')));
    assert.equal(await restoreFromTrash(driver, digestPath('nothing')), false);
  }));

test('what a run takes a second time, after a reader has had it back, is there once', () =>
  onDisk(async ({ driver, content }) => {
    const path = blobDataPath(await content.data('blob'));
    for (let round = 0; round < 2; round++) {
      assert.equal(await moveToTrash(driver, { path }, 'run'), true);
      assert.equal(await restoreFromTrash(driver, path), true);
    }
    assert.equal(await moveToTrash(driver, { path }, 'run'), true);
    assert.deepEqual(
      (await entries(driver)).map((entry) => entry.path),
      [path],
    );
  }));

test('what two runs took is listed for each, and either comes back', () =>
  onDisk(async ({ driver, content }) => {
    const path = blobDataPath(await content.data('blob'));
    for (const run of ['first', 'second']) {
      await content.data('blob');
      assert.equal(await moveToTrash(driver, { path }, run), true);
    }
    const found = await entries(driver);
    assert.deepEqual(found.map(({ trashPath: place, size }) => `${place} ${size}`).toSorted(), [
      `${trashPath(path, 'first')} 4`,
      `${trashPath(path, 'second')} 4`,
    ]);
    for (const left of [1, 0]) {
      assert.equal(await restoreFromTrash(driver, path), true);
      await driver.delete(path);
      assert.equal((await entries(driver)).length, left);
    }
    assert.equal(await restoreFromTrash(driver, path), false);
  }));

test('a server that finds nothing to put back sees what another has put back meanwhile', () =>
  onDisk(async ({ driver, content }) => {
    const path = blobDataPath(await content.data('blob'));
    await moveToTrash(driver, { path }, 'run');
    await content.data('blob');
    await driver.delete(trashPath(path, 'run'));
    assert.equal(await restoreFromTrash(driver, path), true);
  }));

test('to purge an entry removes its folder, with what a crash left in it', () =>
  onDisk(async ({ driver, content, folder }) => {
    const path = blobDataPath(await content.data('blob'));
    await driver.putContent(`${path}.6f1c.tmp`, Buffer.from('half'));
    await moveToTrash(driver, { path }, 'run');
    assert.equal(await purge(driver, trashPath(path, 'run')), true);
    assert.equal(await purge(driver, trashPath(path, 'run')), false);
    assert.deepEqual(readdirSync(join(folder, trashPath(path, 'run'), '../..')), []);
  }));

test('a tag that was written after the mark comes back, and no other does', () =>
  onDisk(async ({ driver, content }) => {
    const path = tagCurrentLinkPath(app, tagName('latest'));
    const image = await content.image([]);
    await content.tag('latest', image);
    const { modifiedAt } = await driver.stat(path);
    await moveToTrash(driver, { path, seenAt: modifiedAt }, 'run');
    assert.equal(await readTagLink(driver, path), undefined, 'one that was meant stays away');
    assert.deepEqual(
      (await entries(driver)).map((entry) => entry.path),
      [path],
    );
    await content.tag('latest', image);
    await moveToTrash(driver, { path, seenAt: 1 }, 'run');
    assert.equal(await readTagLink(driver, path), image);
    await forgetTrash(driver, path);
    assert.deepEqual(await entries(driver), []);
  }));

test('what lies in the trash as it was laid out before comes back, is listed, forgotten and destroyed', () =>
  onDisk(async ({ driver, content }) => {
    const [data, link] = [digestPath('blob'), layerLinkPath(app, digestOf(Buffer.from('blob')))];
    const lay = async (): Promise<void> => {
      await content.blob('blob');
      for (const path of [data, link]) await driver.move(path, oldPlace(path, 'earlier'));
    };
    await lay();
    await content.blob('blob');
    await driver.move(data, oldPlace(data, 'twin'));
    await driver.delete(link);
    assert.deepEqual(
      (await entries(driver))
        .map(({ path, trashPath: place, size }) => `${path} ${place} ${size}`)
        .toSorted(),
      [
        `${data} ${oldPlace(data, 'earlier')} 4`,
        `${data} ${oldPlace(data, 'twin')} 4`,
        `${link} ${oldPlace(link, 'earlier')} 71`,
      ].toSorted(),
    );
    assert.equal(await purge(driver, oldPlace(data, 'earlier')), true);
    assert.equal(await isInTrash(driver, data), true, 'its twin stays');
    assert.equal(await restoreFromTrash(driver, data), true);
    assert.equal(await restoreFromTrash(driver, link), true);
    assert.equal(await isInTrash(driver, data), false);
    await lay();
    await forgetTrash(driver, link);
    assert.equal(await restoreFromTrash(driver, link), false);
  }));

test('a tag in the trash as it was laid out before is told by its stamp as well', () =>
  onDisk(async ({ driver, content }) => {
    const path = tagCurrentLinkPath(app, tagName('latest'));
    const image = await content.image([]);
    await content.tag('latest', image);
    const { modifiedAt } = await driver.stat(path);
    await driver.move(path, oldPlace(path, `run@${modifiedAt}`));
    assert.equal(await readTagLink(driver, path), undefined);
    await content.tag('latest', image);
    await driver.move(path, oldPlace(path, 'run@1'));
    assert.equal(await readTagLink(driver, path), image);
  }));

test('links and data are listed apart', () =>
  onDisk(async ({ driver, content }) => {
    const blob = await content.blob('blob');
    for (const path of [blobDataPath(blob), layerLinkPath(app, blob)]) {
      await moveToTrash(driver, { path }, 'run');
    }
    const [data] = await entries(driver, '/docker/registry/v2/blobs');
    assert.equal(data?.path, blobDataPath(blob));
    assert.equal((await entries(driver, '/docker/registry/v2/repositories')).length, 1);
    assert.equal(await statIfThere(driver, blobDataPath(blob)), undefined);
  }));

function digestPath(content: string): string {
  return blobDataPath(digestOf(Buffer.from(content)));
}
