import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimStore } from '../../../../src/mirror/cache/claim.ts';
import type { Digest } from '../../../../src/oci/digest.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { layerLinkPath } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';
import { content, repository } from './harness.ts';

const app = repository('team/app');
const digest: Digest = content(10, 1).digest;
const driverOn = (folder: string) => createFilesystemDriver({ root: folder, log: logSink().log });

test('an empty folder becomes the cache of a mirror, and stays it with what it holds', async () => {
  await withTemporaryFolder(async (folder) => {
    const driver = driverOn(folder);
    await claimStore(driver);
    await driver.putContent(layerLinkPath(app, digest), Buffer.from(digest));
    await claimStore(driver);
  });
});

test('a registry is refused before anything of it is changed', async () => {
  await withTemporaryFolder(async (folder) => {
    const driver = driverOn(folder);
    await driver.putContent(layerLinkPath(app, digest), Buffer.from(digest));
    await assert.rejects(claimStore(driver), {
      problems: [
        {
          path: 'storage.filesystem.rootdirectory',
          message:
            'holds team/app, which was pushed there: a mirror deletes what it keeps, so it needs an empty folder, or the one of another mirror',
        },
      ],
    });
    assert.deepEqual(await driver.list('/docker/registry'), ['v2']);
  });
});

test("the cache of docker distribution's mirror is taken over", async () => {
  await withTemporaryFolder(async (folder) => {
    const driver = driverOn(folder);
    await driver.putContent(layerLinkPath(app, digest), Buffer.from(digest));
    await driver.putContent('/scheduler-state.json', Buffer.from('{}'));
    await claimStore(driver);
  });
});
