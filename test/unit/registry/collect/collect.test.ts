import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectionReport } from '../../../../src/contract/collection-report.ts';
import { digestOf, type Digest } from '../../../../src/oci/digest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { collect, type CollectOptions } from '../../../../src/registry/collect/collect.ts';
import { encodeAnnouncement } from '../../../../src/registry/lease/announcement.ts';
import { decodeRunRecord } from '../../../../src/registry/lease/run-record.ts';
import { runPath, writeRun } from '../../../../src/registry/lease/run-files.ts';
import {
  blobDataPath,
  layerLinkPath,
  REPOSITORIES_ROOT,
  revisionLinkPath,
  SERVERS_ROOT,
  tagCurrentLinkPath,
  tagIndexLinkPath,
  TRASH_ROOT,
  trashPath,
  uploadFolder,
} from '../../../../src/registry/storage/paths.ts';
import { findBlobData } from '../../../../src/registry/storage/blob-data.ts';
import { findLink } from '../../../../src/registry/storage/links.ts';
import { restoreFromTrash } from '../../../../src/registry/storage/trash.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const HOUR = 3600_000;

interface Fixture {
  readonly clock: TestClock;
  readonly driver: MemoryDriver;
  readonly content: RegistryContent;
  readonly collect: (change?: Partial<CollectOptions>) => Promise<CollectionReport>;
  readonly has: (path: string) => boolean;
  readonly trash: () => string[];
}

let runs = 0;

async function registry(): Promise<Fixture> {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const idle = { server: 'server', state: 'idle', runs: [], holds: [], writes: 0, uploads: 0 } as const;
  return {
    clock,
    driver,
    content: new RegistryContent(driver),
    collect: async (change = {}) => {
      await driver.putContent(`${SERVERS_ROOT}/server`, encodeAnnouncement(idle));
      const options: CollectOptions = {
        dryRun: false,
        deleteUntagged: false,
        minimumAge: 2 * HOUR,
        trashGrace: 24 * HOUR,
        drainTimeout: 60_000,
        offline: false,
        ...change,
      };
      return collect(options, {
        driver,
        clock,
        log: logSink().log,
        run: `run${++runs}`,
        random: () => 0,
        signal: new AbortController().signal,
      });
    },
    has: (path) => driver.files.has(path),
    trash: () =>
      [...driver.files.keys()]
        .filter((path) => path.startsWith(TRASH_ROOT))
        .map((path) => path.slice(TRASH_ROOT.length)),
  };
}

test('a blob that nothing references goes to the trash, and comes back when it is asked for', async () => {
  const { content, clock, collect, has, driver } = await registry();
  const blob = await content.blob('garbage');
  await clock.advance(3 * HOUR);
  const report = await collect();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.deepEqual([report.blobsDeleted, report.linksDeleted, report.bytesReclaimed], [1, 1, 0]);
  assert.equal(report.bytesInTrash, 7);
  assert.equal(has(blobDataPath(blob)), false);
  assert.equal(has(layerLinkPath(app, blob)), false);
  assert.equal(await restoreFromTrash(driver, blobDataPath(blob)), true);
  assert.equal(has(blobDataPath(blob)), true);
});

test('what a tag leads to stays, through indexes within indexes', async () => {
  const { content, clock, collect, has } = await registry();
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  const root = await content.index([await content.index([image])]);
  await content.tag('latest', root);
  await clock.advance(3 * HOUR);
  const report = await collect({ deleteUntagged: true });
  assert.equal(report.message, 'nothing to delete');
  assert.ok(has(blobDataPath(layer)) && has(revisionLinkPath(app, image)) && has(layerLinkPath(app, layer)));
});

test('an index that lists a child twice is followed once', async () => {
  const { content, clock, collect } = await registry();
  const image = await content.image([]);
  const index = await content.index([image, image]);
  await content.tag('latest', index);
  await clock.advance(3 * HOUR);
  assert.equal((await collect({ deleteUntagged: true })).result, 'Succeeded');
});

test('what an index lists beside manifests is kept as a blob', async () => {
  const { content, clock, collect, has } = await registry();
  // As BuildKit exports its cache: an index of layers and a config.
  const [layer, untyped] = [await content.blob('cached layer'), await content.blob('of no type')];
  const cache = await content.manifest({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: layer, size: 1 },
      { digest: untyped, size: 1 },
    ],
  });
  await content.tag('buildcache', cache);
  await clock.advance(3 * HOUR);
  assert.equal((await collect({ deleteUntagged: true })).message, 'nothing to delete');
  for (const blob of [layer, untyped]) {
    assert.ok(has(blobDataPath(blob)) && has(layerLinkPath(app, blob)));
  }
});

test('the signature of an image that stays stays, and goes with it', async () => {
  const { content, clock, collect, has } = await registry();
  const kept = await content.image([await content.blob('kept')], { config: '{"a":1}' });
  await content.tag('latest', kept);
  const gone = await content.image([await content.blob('gone')], { config: '{"a":2}' });
  const signatureOf = async (subject: Digest, text: string): Promise<Digest> =>
    content.image([await content.blob(text)], { subject });
  const keptSignature = await signatureOf(kept, 'signature of kept');
  const signatureOfSignature = await signatureOf(keptSignature, 'signature of the signature');
  const goneSignature = await signatureOf(gone, 'signature of gone');
  await clock.advance(3 * HOUR);
  const report = await collect({ deleteUntagged: true });
  assert.equal(report.manifestsDeleted, 2, report.message);
  assert.ok(has(revisionLinkPath(app, keptSignature)) && has(revisionLinkPath(app, signatureOfSignature)));
  assert.ok(!has(revisionLinkPath(app, gone)) && !has(revisionLinkPath(app, goneSignature)));
});

test('untagged manifests stay unless it is asked to delete them', async () => {
  const { content, clock, collect, has } = await registry();
  const image = await content.image([await content.blob('layer')]);
  await clock.advance(3 * HOUR);
  assert.equal((await collect()).message, 'nothing to delete');
  assert.equal((await collect({ deleteUntagged: true })).manifestsDeleted, 1);
  assert.equal(has(revisionLinkPath(app, image)), false);
});

test('a manifest that lost its tag goes with the entry in the history of the tag', async () => {
  const { content, clock, collect, has } = await registry();
  const before = await content.image([], { config: '{"v":1}' });
  await content.tag('latest', before);
  const now = await content.image([], { config: '{"v":2}' });
  await content.tag('latest', now);
  await clock.advance(3 * HOUR);
  await collect({ deleteUntagged: true });
  assert.equal(has(tagIndexLinkPath(app, tagName('latest'), before)), false);
  assert.equal(has(tagIndexLinkPath(app, tagName('latest'), now)), true);
  assert.equal(has(tagCurrentLinkPath(app, tagName('latest'))), true);
});

test('a manifest with a long history of tags goes in steps that are short on a slow store', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const image = await content.image([]);
  const other = await content.image([], { config: '{"other":1}' });
  for (let tag = 0; tag < 50; tag++) {
    await content.tag(`v${tag}`, image);
    await content.tag(`v${tag}`, other);
  }
  await clock.advance(3 * HOUR);
  driver.before = (operation) => (operation === 'move' ? clock.sleep(200) : undefined);
  const running = collect({ deleteUntagged: true });
  await clock.advance(60_000);
  const report = await running;
  assert.equal(report.result, 'Succeeded', report.message);
  assert.equal(has(revisionLinkPath(app, image)), false);
});

test('what is destroyed at once goes in steps that are short on a slow store', async () => {
  const { content, clock, collect, driver, trash } = await registry();
  for (let blob = 0; blob < 128; blob++) await content.blob(`blob ${blob}`);
  await clock.advance(3 * HOUR);
  driver.before = (operation) => (operation === 'delete' ? clock.sleep(1_000) : undefined);
  const running = collect({ trashGrace: 0 });
  await clock.advance(60_000);
  const report = await running;
  assert.equal(report.result, 'Succeeded', report.message);
  assert.deepEqual([report.blobsDeleted, trash()], [128, []]);
});

test('a manifest that stays by one of its digests stays by the other', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const image = await content.image([]);
  const other = digestOf(driver.files.get(blobDataPath(image))?.content ?? assert.fail(), 'sha512');
  await driver.putContent(revisionLinkPath(app, other), Buffer.from(image));
  await content.tag('latest', image);
  await clock.advance(3 * HOUR);
  await collect({ deleteUntagged: true });
  assert.ok(has(revisionLinkPath(app, image)) && has(revisionLinkPath(app, other)));
});

for (const [title, isNamed, age] of [
  ['a blob that a manifest names by sha512 keeps its link by sha256', true, 3 * HOUR],
  ['a young link by sha512 keeps the old one by sha256', false, 1 * HOUR],
] as const) {
  test(`${title}, which docker distribution reads it by`, async () => {
    const { content, clock, collect, driver, has } = await registry();
    const blob = await content.blob('blob');
    await clock.advance(3 * HOUR);
    const other = digestOf(Buffer.from('blob'), 'sha512');
    await driver.putContent(layerLinkPath(app, other), Buffer.from(blob));
    if (isNamed) await content.tag('latest', await content.image([other]));
    await clock.advance(age);
    await collect();
    assert.ok(has(layerLinkPath(app, other)) && has(layerLinkPath(app, blob)));
  });
}

for (const [title, age, deleted] of [
  ['content younger than the minimum age stays', 2 * HOUR - 1, 0],
  ['content of the minimum age goes', 2 * HOUR, 1],
] as const) {
  test(title, async () => {
    const { content, clock, collect } = await registry();
    await content.blob('blob');
    await clock.advance(age);
    assert.equal((await collect()).blobsDeleted, deleted);
  });
}

test('the age of a blob is that of its youngest link', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const blob = await content.blob('blob');
  await clock.advance(3 * HOUR);
  await driver.putContent(layerLinkPath(repositoryName('other'), blob), Buffer.from(blob));
  const report = await collect();
  assert.deepEqual([report.blobsDeleted, report.linksDeleted], [0, 1]);
  assert.ok(has(blobDataPath(blob)));
});

test('a blob that another repository needs loses only the link that none needs', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const other = new RegistryContent(driver, 'other');
  const blob = await content.blob('shared');
  await other.tag('latest', await other.image([await other.blob('shared')]));
  await clock.advance(3 * HOUR);
  await collect();
  assert.ok(has(blobDataPath(blob)) && has(layerLinkPath(repositoryName('other'), blob)));
  assert.equal(has(layerLinkPath(app, blob)), false);
});

test('the trash is purged by a later run, after the grace', async () => {
  const { content, clock, collect, trash } = await registry();
  await content.blob('garbage');
  await clock.advance(3 * HOUR);
  await collect();
  await clock.advance(23 * HOUR);
  assert.equal((await collect()).bytesReclaimed, 0);
  assert.equal(trash().length, 2);
  await clock.advance(2 * HOUR);
  const report = await collect();
  assert.deepEqual([report.bytesReclaimed > 0, report.bytesInTrash], [true, 0]);
  assert.deepEqual(trash(), []);
});

test('without a grace the bytes come back in the same run', async () => {
  const { content, clock, collect, trash } = await registry();
  await content.blob('garbage');
  await clock.advance(1000);
  const report = await collect({ minimumAge: 0, trashGrace: 0 });
  assert.deepEqual([report.blobsDeleted, report.bytesReclaimed, report.bytesInTrash], [1, 7, 0]);
  assert.deepEqual(trash(), []);
});

for (const [title, grace, runs, operation, place] of [
  ['that this run took', 0, 1, 'move', '/blobs/'],
  ['that is being destroyed', 0, 1, 'delete', '/revisions/'],
  ['that an earlier run took', 24 * HOUR, 2, 'delete', '/revisions/'],
] as const) {
  test(`a reader who asks for a manifest ${title} does not bring back a link to nothing`, async () => {
    const { content, clock, collect, driver, has } = await registry();
    const image = await content.image([await content.blob('layer')]);
    await clock.advance(3 * HOUR);
    let reads = 0;
    driver.before = async (name, path) => {
      if (name !== operation || !path.includes(place) || reads++ > 0) return;
      await findLink(driver, revisionLinkPath(app, image), image);
    };
    for (let run = 1; run <= runs; run++) {
      if (run > 1) await clock.advance(25 * HOUR);
      const report = await collect({ deleteUntagged: true, trashGrace: grace });
      assert.equal(report.result, 'Succeeded', report.message);
    }
    assert.ok(reads > 0 && !has(blobDataPath(image)));
    assert.equal(has(revisionLinkPath(app, image)), false);
    assert.equal((await collect({ deleteUntagged: true, trashGrace: grace })).result, 'Succeeded');
  });
}

test('a store too full to move anything gets back what is expired in the trash first', async () => {
  const { content, clock, collect, trash, driver } = await registry();
  await content.blob('garbage');
  await clock.advance(3 * HOUR);
  await collect();
  await content.blob('more garbage');
  await clock.advance(25 * HOUR);
  driver.before = (operation) => {
    if (operation === 'move') throw new Error('no space left');
  };
  const report = await collect();
  assert.deepEqual([report.result, report.message], ['Failed', 'no space left']);
  assert.ok(report.bytesReclaimed >= 'garbage'.length);
  assert.deepEqual(trash(), []);
});

test('what a mark needs and an earlier run took comes back from the trash', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const layer = await content.blob('layer');
  await clock.advance(3 * HOUR);
  await collect();
  const image = await content.image([layer]);
  await content.tag('latest', image);
  await content.blob('other garbage');
  await clock.advance(3 * HOUR);
  await collect();
  assert.ok(has(blobDataPath(layer)) && has(layerLinkPath(app, layer)));
  assert.ok(driver.files.size > 0);
});

test('a twin in the trash of something that was pushed again is purged', async () => {
  const { content, clock, collect, trash, has } = await registry();
  const layer = await content.blob('layer');
  await clock.advance(3 * HOUR);
  await collect();
  await content.tag('latest', await content.image([await content.blob('layer')]));
  await content.blob('other garbage');
  await clock.advance(25 * HOUR);
  await collect({ trashGrace: 0 });
  assert.deepEqual(trash(), []);
  assert.ok(has(blobDataPath(layer)));
});

test('a link that is needed stays when its twin in the trash is gone before it can be purged', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const layer = await content.blob('layer');
  await clock.advance(3 * HOUR);
  await collect();
  await content.tag('latest', await content.image([await content.blob('layer')]));
  await content.blob('other garbage');
  await clock.advance(25 * HOUR);
  const twin = trashPath(layerLinkPath(app, layer), `run${runs}`);
  assert.ok(has(twin));
  driver.before = (operation, path) => {
    if (operation === 'delete' && path === twin) driver.files.delete(twin);
  };
  assert.equal((await collect()).result, 'Succeeded');
  assert.ok(!has(twin) && has(layerLinkPath(app, layer)));
});

test('a dry run says what would go and changes nothing', async () => {
  const { content, clock, collect, driver } = await registry();
  await content.blob('garbage');
  await clock.advance(3 * HOUR);
  await driver.putContent(`${SERVERS_ROOT}/server`, Buffer.from(''));
  const before = [...driver.files.keys()];
  const report = await collect({ dryRun: true });
  assert.deepEqual([report.dryRun, report.blobsDeleted, report.readOnlySeconds], [true, 1, 0]);
  assert.deepEqual([...driver.files.keys()], before);
});

test('a run with nothing to delete takes no lease', async () => {
  const { content, clock, collect, driver } = await registry();
  await content.tag('latest', await content.image([]));
  await clock.advance(3 * HOUR);
  const report = await collect();
  assert.deepEqual([report.result, report.readOnlySeconds], ['Succeeded', 0]);
  assert.deepEqual(
    [...driver.files.keys()].filter((path) => path.startsWith(runPath(''))),
    [],
  );
});

test('a run that waited for another one which left it nothing to delete holds no writes', async () => {
  const { content, clock, collect, driver } = await registry();
  const garbage = await content.blob('garbage');
  await clock.advance(3 * HOUR);
  const other = { run: 'other', counter: 1, duration: 45_000 } as const;
  await writeRun(driver, { ...other, phase: 'marking' });
  const said = new Set<string>();
  driver.before = () => {
    for (const [path, { content: bytes }] of driver.files)
      if (path.startsWith(runPath('run'))) said.add(decodeRunRecord(path, bytes, 0).phase);
  };
  const report = collect();
  await clock.advance(2_000);
  for (const path of [blobDataPath(garbage), layerLinkPath(app, garbage)]) await driver.delete(path);
  await writeRun(driver, { ...other, phase: 'done' });
  await clock.advance(5_000);
  const { result, message, readOnlySeconds } = await report;
  assert.deepEqual([result, message, readOnlySeconds], ['Succeeded', 'nothing to delete', 0]);
  assert.deepEqual([...said].toSorted(), ['calling', 'done']);
});

for (const [title, reach] of [
  ['that a tag names', (content: RegistryContent, image: Digest) => content.tag('latest', image)],
  ['that an index lists', (content: RegistryContent, image: Digest) => content.index([image])],
] as const) {
  test(`a manifest without its bytes ${title} ends the run before anything is deleted`, async () => {
    const { content, clock, collect, driver, has } = await registry();
    const garbage = await content.blob('garbage');
    const broken = await content.image([]);
    await reach(content, broken);
    driver.files.delete(blobDataPath(broken));
    await clock.advance(3 * HOUR);
    const report = await collect();
    assert.equal(report.result, 'Failed');
    assert.match(report.message, new RegExp(broken));
    assert.ok(has(blobDataPath(garbage)));
  });
}

test('a link to a manifest without its bytes, as a power cut may leave it, goes with the garbage', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const garbage = await content.blob('garbage');
  const broken = await content.image([]);
  driver.files.delete(blobDataPath(broken));
  await clock.advance(3 * HOUR);
  const report = await collect();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.ok(!has(revisionLinkPath(app, broken)) && !has(blobDataPath(garbage)));
});

test('a manifest that is damaged ends the run as well: what it needs is unknown', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  await content.tag('latest', image);
  await driver.putContent(blobDataPath(image), Buffer.alloc(500));
  await clock.advance(3 * HOUR);
  const report = await collect();
  assert.ok(has(blobDataPath(layer)));
  assert.equal(report.result, 'Failed');
  assert.match(report.message, new RegExp(`${image} are damaged`));
});

for (const [title, link] of [
  ['empty', ''],
  ['damaged', 'sha256:12'],
] as const) {
  test(`a tag keeps its image although the link to the manifest is ${title}, as an old server leaves it`, async () => {
    const { content, clock, collect, driver, has } = await registry();
    const layer = await content.blob('layer');
    const image = await content.image([layer]);
    await content.tag('latest', image);
    await driver.putContent(revisionLinkPath(app, image), Buffer.from(link));
    await clock.advance(3 * HOUR);
    assert.equal((await collect({ deleteUntagged: true })).message, 'nothing to delete');
    assert.ok(has(blobDataPath(layer)) && has(blobDataPath(image)));
  });
}

test('an image whose link has the size of one and no content, which servers serve all the same, stays whole', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  await driver.putContent(revisionLinkPath(app, image), Buffer.alloc(image.length));
  await clock.advance(3 * HOUR);
  assert.equal((await collect()).message, 'nothing to delete');
  assert.ok(await findLink(driver, revisionLinkPath(app, image), image));
  assert.ok(has(blobDataPath(layer)) && has(blobDataPath(image)));
});

for (const name of ['Library/app', 'library/app.', `library/${'a'.repeat(300)}`, 'ünï/app']) {
  test(`content under ${name.slice(0, 20)}, which is no repository name, ends the run: nothing can be told of it`, async () => {
    const { clock, collect, driver, has } = await registry();
    const layer = Buffer.from('layer');
    await driver.putContent(blobDataPath(digestOf(layer)), layer);
    const folder = `${REPOSITORIES_ROOT}/${name}/_manifests/revisions/sha256/${'a'.repeat(64)}`;
    await driver.putContent(`${folder}/link`, Buffer.from(`sha256:${'a'.repeat(64)}`));
    await clock.advance(3 * HOUR);
    const report = await collect();
    assert.equal(report.result, 'Failed', report.message);
    assert.match(report.message, /^(Library|library.app\.|library.a+|ünï) is no name of a repository/);
    assert.ok(has(blobDataPath(digestOf(layer))));
  });
}

test('files and empty folders among the repositories do not matter', async () => {
  const { content, clock, collect, driver } = await registry();
  await content.blob('garbage');
  await driver.putContent(`${REPOSITORIES_ROOT}/.DS_Store`, Buffer.from('x'));
  await driver.putContent(`${REPOSITORIES_ROOT}/library/README`, Buffer.from('x'));
  await driver.putContent(`${REPOSITORIES_ROOT}/LOST/found`, Buffer.from('x'));
  await clock.advance(3 * HOUR);
  assert.equal((await collect()).result, 'Succeeded');
});

test('a manifest of an old kind keeps all that it names', async () => {
  const { content, clock, collect, has } = await registry();
  const layer = await content.blob('layer of schema 1');
  await content.manifest({ schemaVersion: 1, fsLayers: [{ blobSum: layer }] });
  await clock.advance(3 * HOUR);
  await collect();
  assert.ok(has(blobDataPath(layer)) && has(layerLinkPath(app, layer)));
});

test('an error of the store ends the run: not seen is not unreferenced', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const garbage = await content.blob('garbage');
  await content.tag('latest', await content.image([]));
  await clock.advance(3 * HOUR);
  driver.before = (operation, path) => {
    if (operation === 'list' && path.endsWith('_manifests/tags')) throw new Error('input/output error');
  };
  assert.equal((await collect()).result, 'Failed');
  assert.ok(has(blobDataPath(garbage)));
});

test('a tag that leads nowhere is dropped', async () => {
  const { content, clock, collect, driver, has } = await registry();
  const image = await content.image([]);
  await content.tag('gone', image);
  driver.files.delete(revisionLinkPath(app, image));
  await clock.advance(3 * HOUR);
  await collect();
  assert.equal(has(tagCurrentLinkPath(app, tagName('gone'))), false);
});

for (const [title, id, age, result] of [
  ['a fresh upload of another server stops the run', '7b7ae5bd-1a3c-4e4e-9a3e-2f9d3d1b8a11', HOUR, 'Failed'],
  [
    'an old upload of another server does not matter',
    '7b7ae5bd-1a3c-4e4e-9a3e-2f9d3d1b8a11',
    3 * HOUR,
    'Succeeded',
  ],
  ['a fresh upload of ours does not matter', '7b7ae5bd-1a3c-8e4e-9a3e-2f9d3d1b8a11', HOUR, 'Succeeded'],
] as const) {
  test(title, async () => {
    const { content, clock, collect, driver } = await registry();
    await content.blob('garbage');
    await clock.advance(3 * HOUR);
    await driver.putContent(`${uploadFolder(app, id)}/startedat`, Buffer.from('2026-01-01T00:00:00Z'));
    await clock.advance(age);
    assert.equal((await collect()).result, result);
  });
}

for (const [title, place, reason] of [
  [
    'a manifest that is damaged',
    async (content: RegistryContent, driver: MemoryDriver) => {
      const image = await content.image([], { config: 'new' });
      await driver.putContent(blobDataPath(image), Buffer.alloc(500));
    },
    /are damaged/,
  ],
  [
    'an upload of another server',
    async (_: RegistryContent, driver: MemoryDriver) => {
      const upload = uploadFolder(app, '7b7ae5bd-1a3c-4e4e-9a3e-2f9d3d1b8a11');
      await driver.putContent(`${upload}/startedat`, Buffer.from('2026-01-01T00:00:00Z'));
    },
    /something else writes to this storage/,
  ],
] as const) {
  test(`${title} that comes after the look ends the run under its lease, which is given back`, async () => {
    const { content, clock, collect, driver, has } = await registry();
    const garbage = await content.blob('garbage');
    await clock.advance(3 * HOUR);
    let placed: Promise<void> | undefined;
    driver.before = (operation, path) => {
      if (operation === 'putContent' && path.startsWith(runPath(''))) placed ??= place(content, driver);
    };
    const report = await collect();
    await placed;
    assert.equal(report.result, 'Failed');
    assert.match(report.message, reason);
    assert.ok(has(blobDataPath(garbage)));
    const run = [...driver.files.keys()].find((path) => path.startsWith(runPath(''))) ?? '';
    assert.equal(decodeRunRecord('run', driver.files.get(run)?.content ?? new Uint8Array(), 0).phase, 'done');
  });
}

test('a run that fails says done, so that nobody waits for its lease', async () => {
  const { content, clock, collect, driver } = await registry();
  await content.blob('garbage');
  await clock.advance(3 * HOUR);
  let marking = false;
  driver.before = (operation, path) => {
    if (operation === 'putContent' && path.startsWith(runPath(''))) marking = true;
    if (marking && operation === 'move') throw new Error('no space');
  };
  const report = await collect();
  assert.equal(report.result, 'Failed');
  const run = [...driver.files.keys()].find((path) => path.startsWith(runPath(''))) ?? '';
  assert.equal(decodeRunRecord('run', driver.files.get(run)?.content ?? new Uint8Array(), 0).phase, 'done');
});

test('a run that loses its lease in the sweep stops, and what it moved is still in the trash', async () => {
  const { content, clock, collect, driver, trash } = await registry();
  for (let i = 0; i < 40; i++) await content.blob(`garbage ${i}`);
  await clock.advance(3 * HOUR);
  let moves = 0;
  driver.before = (operation) => {
    if (operation === 'move' && ++moves === 20) clock.jumpWall(31_000);
  };
  const report = await collect({ trashGrace: 0 });
  assert.equal(report.result, 'LeaseLost');
  assert.ok(moves < 40, `stopped after ${moves} of 80`);
  assert.equal(trash().length, moves);
  assert.equal(report.bytesReclaimed, 0);
});

test('what lies in the trash keeps its path, so that any server finds it', async () => {
  const { content, clock, collect, trash } = await registry();
  const blob = await content.blob('garbage');
  await clock.advance(3 * HOUR);
  await collect();
  const run = `run${runs}`;
  assert.deepEqual(
    trash().toSorted(),
    [trashPath(blobDataPath(blob), run), trashPath(layerLinkPath(app, blob), run)]
      .map((path) => path.slice(TRASH_ROOT.length))
      .toSorted(),
  );
});

test('what lies in the trash as it was laid out before comes back when it is needed, and goes when it is not', async () => {
  const { content, clock, collect, driver, has, trash } = await registry();
  const layer = await content.blob('layer');
  await content.tag('latest', await content.image([layer]));
  const garbage = await content.blob('garbage');
  for (const path of [layer, garbage].flatMap((blob) => [blobDataPath(blob), layerLinkPath(app, blob)])) {
    await driver.move(path, `${TRASH_ROOT}${path}/earlier`);
  }
  await content.data('more garbage');
  await clock.advance(25 * HOUR);
  const report = await collect();
  assert.equal(report.result, 'Succeeded', report.message);
  assert.ok(has(blobDataPath(layer)) && has(layerLinkPath(app, layer)));
  assert.deepEqual([report.bytesReclaimed, report.blobsDeleted], ['garbage'.length, 1]);
  assert.deepEqual(trash(), [
    trashPath(blobDataPath(digestOf(Buffer.from('more garbage'))), `run${runs}`).slice(TRASH_ROOT.length),
  ]);
});

for (const [title, grace] of [
  ['destroys what it took', 0],
  ['destroys what an earlier one took', 24 * HOUR],
] as const) {
  test(`a run that dies while it ${title} leaves no link to nothing, and the next does the rest`, async () => {
    const { content, clock, collect, driver, has, trash } = await registry();
    const blobs: Digest[] = [];
    for (let index = 0; index < 10; index++) blobs.push(await content.blob(`garbage ${index}`));
    await clock.advance(3 * HOUR);
    if (grace > 0) {
      await collect({ trashGrace: grace });
      await content.data('more garbage');
      await clock.advance(25 * HOUR);
    }
    let deletes = 0;
    driver.before = (operation, path) => {
      if (operation === 'delete' && path.startsWith(TRASH_ROOT) && ++deletes > 13) throw new Error('killed');
    };
    assert.equal((await collect({ trashGrace: grace })).message, 'killed');
    driver.before = () => {};
    for (const blob of blobs) {
      await findLink(driver, layerLinkPath(app, blob), blob);
      if (!has(layerLinkPath(app, blob))) continue;
      assert.ok(await findBlobData(driver, blob), 'what a link leads to is there');
    }
    await clock.advance(25 * HOUR);
    assert.equal((await collect({ trashGrace: 0 })).result, 'Succeeded');
    assert.deepEqual(trash(), []);
    for (const blob of blobs) assert.ok(!has(blobDataPath(blob)) && !has(layerLinkPath(app, blob)));
  });
}
