import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { parseRetentionRules } from '../../../../src/contract/retention-rules.ts';
import { collect } from '../../../../src/registry/collect/collect.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { statIfThere } from '../../../../src/registry/storage/if-there.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  trashPath,
} from '../../../../src/registry/storage/paths.ts';
import { restoreFromTrash } from '../../../../src/registry/storage/trash.ts';
import { failingDriver } from '../../../support/failing-driver.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const HOUR = 3600_000;

interface Site {
  readonly driver: StorageDriver;
  readonly clock: TestClock;
  /** Paths that have to be there, or in the trash. */
  readonly needed: readonly string[];
  /** Paths that a run that succeeds takes. */
  readonly garbage: readonly string[];
}

type Kind = 'disk' | 'bucket';

/** Something of everything that a run does: a tag that goes with its manifest, blobs, a trash with both kinds of content. */
async function site(kind: Kind): Promise<Site> {
  const clock = new TestClock();
  const now = (): number => clock.now();
  const driver =
    kind === 'disk' ? new MemoryDriver(now) : createObjectDriver(bucket(now), { rootDirectory: '' });
  const content = new RegistryContent(driver);
  const shared = await content.blob('shared');
  const image = await content.image([shared]);
  const index = await content.index([image]);
  await content.tag('v1', index);
  const old = await content.manifest({ schemaVersion: 1, fsLayers: [{ blobSum: shared }] });
  await content.tag('old', old);
  const unlinked = await content.data('unlinked');
  const needed = [
    ...[index, image, shared].map(blobDataPath),
    ...[index, image].map((digest) => revisionLinkPath(app, digest)),
    layerLinkPath(app, shared),
    tagCurrentLinkPath(app, tagName('v1')),
  ];
  const garbage = [
    ...[old, unlinked].map(blobDataPath),
    revisionLinkPath(app, old),
    tagCurrentLinkPath(app, tagName('old')),
  ];
  if (kind === 'disk') {
    await driver.move(blobDataPath(shared), trashPath(blobDataPath(shared), 'earlier'));
    await driver.move(blobDataPath(unlinked), trashPath(blobDataPath(unlinked), 'earlier'));
  }
  await clock.advance(100 * HOUR);
  return { driver, clock, needed, garbage };
}

function bucket(now: () => number): InMemoryStore {
  const store = new InMemoryStore(now);
  const deleteWithin = async (key: string): Promise<boolean> => {
    const there = (await store.head(key)) !== undefined;
    await store.delete([key]);
    return there;
  };
  return Object.assign(store, { deleteWithin });
}

function run(
  name: string,
  { clock }: Site,
  driver: StorageDriver,
  trashGrace: number,
): Promise<CollectionReport> {
  return collect(
    {
      dryRun: false,
      deleteUntagged: true,
      minimumAge: 2 * HOUR,
      trashGrace,
      drainTimeout: 0,
      offline: true,
      uploadAge: 168 * HOUR,
      retention: parseRetentionRules('retention: [{repositories: ["**"], keepTags: {patterns: ["v*"]}}]'),
    },
    {
      driver,
      clock,
      log: logSink().log,
      run: name,
      random: () => 0,
      signal: new AbortController().signal,
    },
  );
}

async function assertNeeded({ driver, needed }: Site, at: string): Promise<void> {
  for (const path of needed) {
    const isThere =
      (await statIfThere(driver, path)) ?? (driver.movesAtomically && (await restoreFromTrash(driver, path)));
    assert.ok(isThere, `${path} is gone ${at}`);
  }
}

for (const [kind, grace] of [
  ['disk', 0],
  ['disk', 24 * HOUR],
  ['bucket', 0],
] as const) {
  for (const when of ['before', 'after'] as const) {
    test(`an error of any call to a ${kind}, ${when} its effect, with a grace of ${grace / HOUR} h, costs a run and nothing else`, async (t) => {
      for (let call = 1; ; call++) {
        const made = await site(kind);
        const { driver, failed } = failingDriver(made.driver, call, when);
        const report = await run('first', made, driver, grace);
        const at = `after ${failed()}, call ${call}: ${report.result}, ${report.message}`;
        if (failed() === undefined) {
          assert.equal(report.result, 'Succeeded', at);
          t.diagnostic(`${call - 1} calls`);
          break;
        }
        if (report.result !== 'Succeeded') {
          assert.match(report.message, /input\/output error|it is not known whether .* was deleted/, at);
        }
        await assertNeeded(made, at);
        // A lease that was not given back lapses.
        await made.clock.advance(60_000);
        const again = await run('second', made, made.driver, grace);
        assert.equal(again.result, 'Succeeded', `${at}; then ${again.message}`);
        await assertNeeded(made, at);
        for (const path of made.garbage) {
          assert.equal(await statIfThere(made.driver, path), undefined, `${path} is left ${at}`);
        }
      }
    });
  }
}
