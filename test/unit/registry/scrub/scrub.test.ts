import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import type { Finding } from '../../../../src/registry/scrub/finding.ts';
import { Pace } from '../../../../src/registry/scrub/pace.ts';
import { scrubBlobs } from '../../../../src/registry/scrub/scrub-blobs.ts';
import { scrubRepositories } from '../../../../src/registry/scrub/scrub-repositories.ts';
import { openFallbackTagWriter } from '../../../../src/registry/scrub/write-fallback-tags.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  trashPath,
} from '../../../../src/registry/storage/paths.ts';
import { fallbackTag } from '../../../../src/registry/storage/referrers.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { createStores } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');

async function site() {
  const clock = new TestClock();
  const driver = new MemoryDriver(() => clock.now());
  const content = new RegistryContent(driver);
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  const index = await content.index([image]);
  await content.tag('latest', index);
  const scrub = async (mustExist = true): Promise<Finding[]> => {
    const findings: Finding[] = [];
    const deps = {
      driver,
      signal: new AbortController().signal,
      pace: new Pace(clock, Number.POSITIVE_INFINITY),
      atOnce: 2,
      found: (finding: Finding) => void findings.push(finding),
      rules: { mustExist: () => mustExist },
    };
    const repositories = await scrubRepositories(deps);
    const blobs = await scrubBlobs(deps);
    assert.equal(repositories.repositories, 1);
    assert.ok(blobs.blobs > 0);
    return findings;
  };
  return { clock, driver, content, layer, image, index, scrub };
}

const kinds = (findings: readonly Finding[]): string[] => findings.map(({ kind, path }) => `${kind} ${path}`);

test('a store in order has no problems, manifests of old kinds and foreign layers included', async () => {
  const { content, scrub } = await site();
  await content.manifest({ schemaVersion: 1, fsLayers: [{ blobSum: digestOf(Buffer.from('gone')) }] });
  const foreign = {
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: digestOf(Buffer.from('elsewhere')),
    size: 1,
    urls: ['https://example.com/layer'],
  };
  const config = { mediaType: 'application/json', digest: await content.blob('{}'), size: 2 };
  await content.manifest({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [foreign] });
  assert.deepEqual(await scrub(), []);
});

test('data that is not what its name says is corrupt', async () => {
  const { driver, layer, image, scrub } = await site();
  for (const digest of [layer, image]) await driver.putContent(blobDataPath(digest), Buffer.from('lay'));
  assert.deepEqual(
    new Set(kinds(await scrub())),
    new Set([layer, image].map((digest) => `corrupt ${blobDataPath(digest)}`)),
  );
});

test('data that the store does not give is unreadable, and the others are read', async () => {
  const { driver, layer, image, scrub } = await site();
  await driver.putContent(blobDataPath(image), Buffer.from('x'));
  driver.before = (operation, path) => {
    if (operation === 'read' && path === blobDataPath(layer)) throw new Error('input/output error');
  };
  const findings = await scrub();
  assert.deepEqual(new Set(findings.map(({ kind }) => kind)), new Set(['corrupt', 'unreadable']));
});

test('links that lead to no data dangle, with the name of what they belong to', async () => {
  const { driver, layer, image, scrub } = await site();
  driver.files.delete(blobDataPath(layer));
  driver.files.delete(blobDataPath(image));
  const findings = await scrub();
  assert.deepEqual(
    findings.map(({ kind, problem }) => `${kind}: ${problem}`),
    [
      `dangling: the blob library/app@${layer} has a link, but its data is not there`,
      `dangling: the manifest library/app@${image} has a link, but its data is not there`,
    ],
  );
});

test('what a manifest needs and its repository does not have is missing', async () => {
  const { driver, layer, image, index, scrub } = await site();
  driver.files.delete(layerLinkPath(app, layer));
  const [finding] = await scrub();
  assert.equal(
    finding?.problem,
    `the manifest library/app@${image} needs ${layer}, which is not in the repository`,
  );
  driver.files.delete(revisionLinkPath(app, image));
  assert.deepEqual(kinds(await scrub()), [`missing ${revisionLinkPath(app, image)}`]);
  assert.deepEqual(await scrub(false), [], 'an index may list what nobody has, where that is allowed');
  driver.files.delete(revisionLinkPath(app, index));
  assert.deepEqual(kinds(await scrub()), [`dangling ${tagCurrentLinkPath(app, tagName('latest'))}`]);
});

test('an empty link and an empty tag say nothing', async () => {
  const { driver, layer, scrub } = await site();
  await driver.putContent(layerLinkPath(app, layer), Buffer.from(''));
  await driver.putContent(tagCurrentLinkPath(app, tagName('broken')), Buffer.from(''));
  assert.deepEqual(kinds(await scrub()), [
    `dangling ${layerLinkPath(app, layer)}`,
    `dangling ${tagCurrentLinkPath(app, tagName('broken'))}`,
  ]);
});

test('what lies in the trash is there, since a server puts it back', async () => {
  const { driver, layer, image, scrub } = await site();
  for (const path of [blobDataPath(layer), layerLinkPath(app, layer), revisionLinkPath(app, image)]) {
    await driver.move(path, trashPath(path, 'run'));
  }
  assert.deepEqual(await scrub(), []);
});

test('what a client deletes in the middle is no problem', async () => {
  const { driver, layer, image, index, scrub } = await site();
  driver.files.delete(layerLinkPath(app, layer));
  driver.before = (operation, path) => {
    if (operation === 'stat' && path === layerLinkPath(app, layer)) {
      for (const link of [image, index]) driver.files.delete(revisionLinkPath(app, link));
      driver.files.delete(tagCurrentLinkPath(app, tagName('latest')));
    }
  };
  assert.deepEqual(await scrub(), []);
});

test('referrers are listed under tags when asked for', async (t) => {
  const { clock, driver, content, image } = await site();
  const signature = await content.image([await content.blob('signature')], {
    subject: image,
    config: '{"a":1}',
  });
  const { log } = logSink();
  const rules = { assertAllowed: () => {}, mustExist: () => true };
  const writer = await openFallbackTagWriter({ driver, clock, log, rules, readOnly: false });
  t.after(() => writer[Symbol.asyncDispose]());
  await writer.write(app, new Set([image]));
  const tag = fallbackTag(image);
  assert.ok(tag);
  const stores = createStores(driver, clock);
  const listed = await stores.manifests.get(app, tag);
  assert.ok(listed?.bytes.includes(signature));
});
