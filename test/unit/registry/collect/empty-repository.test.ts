import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { collect, type CollectOptions } from '../../../../src/registry/collect/collect.ts';
import { removeEmptyRepository } from '../../../../src/registry/collect/empty-folders.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import {
  REPOSITORIES_ROOT,
  revisionLinkPath,
  tagCurrentLinkPath,
} from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const HOUR = 3600_000;

interface Disk {
  readonly driver: StorageDriver;
  readonly content: RegistryContent;
  readonly repositories: string;
  readonly collect: (change?: Partial<CollectOptions>) => Promise<CollectionReport>;
}

/** A registry on a disk whose content is older than every age by the clock of the collector. */
async function disk(t: TestContext): Promise<Disk> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { log } = logSink();
  const driver = createFilesystemDriver({ root: folder, log });
  let run = 0;
  return {
    driver,
    content: new RegistryContent(driver),
    repositories: join(folder, REPOSITORIES_ROOT),
    collect: (change = {}) =>
      collect(
        {
          dryRun: false,
          deleteUntagged: true,
          minimumAge: 0,
          trashGrace: 24 * HOUR,
          drainTimeout: 0,
          offline: true,
          ...change,
        },
        {
          driver,
          clock: new TestClock(Date.now() + HOUR),
          log,
          run: `run${++run}`,
          random: () => 0,
          signal: new AbortController().signal,
        },
      ),
  };
}

test('a repository in which nothing is left goes, with the folders above it', async (t) => {
  const { content, collect, driver, repositories } = await disk(t);
  const image = await content.image([await content.blob('layer')]);
  await content.tag('latest', image);
  await driver.delete(tagCurrentLinkPath(app, tagName('latest')));
  mkdirSync(join(repositories, 'library/app/_uploads'));
  await new RegistryContent(driver, 'other').tag(
    'latest',
    await new RegistryContent(driver, 'other').image([]),
  );
  const dry = await collect({ dryRun: true });
  assert.equal(dry.repositoriesDeleted, 1);
  assert.ok(existsSync(join(repositories, 'library/app')));
  const report = await collect();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.equal(report.repositoriesDeleted, 1);
  assert.deepEqual(readdirSync(repositories), ['other']);
});

test('folders that a client emptied go without a lease', async (t) => {
  const { content, collect, driver, repositories } = await disk(t);
  const image = await content.manifest({});
  await driver.delete(revisionLinkPath(app, image));
  await collect();
  // The first run took the bytes; only the folders are left, as after deletes by clients.
  mkdirSync(join(repositories, 'library/app/_manifests/tags'), { recursive: true });
  const report = await collect();
  assert.deepEqual([report.repositoriesDeleted, report.readOnlySeconds], [1, 0]);
  assert.deepEqual(readdirSync(repositories), []);
});

test('what somebody puts into an empty repository stays', async (t) => {
  const { content, driver } = await disk(t);
  const image = await content.image([]);
  assert.equal(await removeEmptyRepository(driver, app), false);
  assert.equal((await driver.getContent(revisionLinkPath(app, image))).toString(), image);
});

test('a repository with an upload in progress keeps it', async (t) => {
  const { content, collect, driver, repositories } = await disk(t);
  await content.blob('layer');
  const upload = join(repositories, 'library/app/_uploads/01234567-89ab-8def-8123-456789abcdef');
  mkdirSync(upload, { recursive: true });
  assert.equal((await collect()).repositoriesDeleted, 1);
  assert.ok(existsSync(upload));
  await driver.stat(`${REPOSITORIES_ROOT}/library/app/_uploads`);
});

test('uploads that nobody ended go where no server removes them', async (t) => {
  const { content, collect, repositories } = await disk(t);
  await content.tag('latest', await content.image([]));
  const uploads = join(repositories, 'library/app/_uploads');
  for (const [id, hours] of [
    ['01234567-89ab-8def-8123-456789abcdef', 200],
    ['11234567-89ab-8def-8123-456789abcdef', 100],
  ] as const) {
    mkdirSync(join(uploads, id), { recursive: true });
    const changed = Date.now() / 1000 - hours * 3600;
    utimesSync(join(uploads, id), changed, changed);
  }
  assert.equal((await collect()).uploadsDeleted, 0);
  assert.equal((await collect({ uploadAge: 168 * HOUR, dryRun: true })).uploadsDeleted, 1);
  assert.equal(readdirSync(uploads).length, 2, 'a dry run removes nothing');
  assert.equal((await collect({ uploadAge: 168 * HOUR })).uploadsDeleted, 1);
  assert.deepEqual(readdirSync(uploads), ['11234567-89ab-8def-8123-456789abcdef']);
});

test('a tag of which only the history is left goes with it', async (t) => {
  const { content, collect, driver, repositories } = await disk(t);
  await content.tag('latest', await content.image([]));
  await content.tag('broken', await content.image([]));
  await driver.delete(tagCurrentLinkPath(app, tagName('broken')));
  await content.tag('damaged', await content.image([]));
  await driver.putContent(tagCurrentLinkPath(app, tagName('damaged')), Buffer.from(''));
  const report = await collect();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.deepEqual(readdirSync(join(repositories, 'library/app/_manifests/tags')), ['latest']);
});
