import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestHex, digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startServe } from '../support/serve-process.ts';
import { imageIndex, imageManifest } from '../support/store-fixture.ts';
import { Acknowledged } from './acknowledged.ts';
import { script } from './cluster.ts';
import { startCollector } from './collector-process.ts';
import { succeed } from './command.ts';
import {
  collectWithDistribution,
  distributions,
  serveWithDistribution,
  type Distribution,
} from './distribution.ts';
import { HttpRegistry, randomImage, randomWay, type RandomImage } from './http-registry.ts';
import { compareLayouts, writeImageLayout } from './image-layout.ts';
import { testRandom, type SeededRandom } from './seeded-random.ts';

/** One folder that ours and distribution's server serve at the same time. */
interface SharedFolder {
  readonly ours: HttpRegistry;
  readonly theirs: HttpRegistry;
  readonly folder: string;
  readonly storage: string;
  readonly random: SeededRandom;
}

async function share(t: TestContext, distribution: Distribution): Promise<SharedFolder> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const storage = join(folder, 'storage');
  const { url } = await startServe(t, { folder });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage,
  });
  return { ours: new HttpRegistry(url), theirs, folder, storage, random };
}

async function crane(...args: readonly string[]): Promise<string> {
  return succeed((await script('tools', ['crane'])).trim(), args);
}

async function pushImage(
  registry: HttpRegistry,
  repository: string,
  tag: string,
  image: RandomImage,
  ledger: Acknowledged,
  random: SeededRandom,
): Promise<Digest> {
  for (const blob of image.blobs) {
    // Distribution takes no upload in one request.
    const way = randomWay(random) === 'chunks' ? 'chunks' : 'put';
    ledger.blob(repository, await registry.pushBlob(repository, blob, way));
  }
  const digest = await registry.pushManifest(repository, tag, image.manifest);
  ledger.tagged(repository, tag, digest);
  return digest;
}

/** Two images and an index of them, nested names, a tag that has moved. */
async function fill(registry: HttpRegistry, random: SeededRandom): Promise<Acknowledged> {
  const ledger = new Acknowledged();
  const push = (repository: string, tag: string) =>
    pushImage(registry, repository, tag, randomImage(random), ledger, random);
  const one = await push('team/app', 'amd64');
  const other = await push('team/app', 'arm64');
  const index = imageIndex([{ digest: one }, { digest: other }]);
  ledger.tagged('team/app', 'v1', await registry.pushManifest('team/app', 'v1', index, mediaTypes.ociIndex));
  await push('team', 'moved');
  await push('team', 'moved');
  await push('team/app/deep/er', 'latest');
  return ledger;
}

function dataOf(storage: string, digest: Digest): string {
  const hex = digestHex(digest);
  return join(storage, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
}

for (const distribution of distributions) {
  const { title } = distribution;

  test(`${title} serves what our server stored, and ours what it stored`, async (t) => {
    const { ours, theirs, random, folder } = await share(t, distribution);
    for (const [from, to, name] of [
      [ours, theirs, 'ours'],
      [theirs, ours, 'theirs'],
    ] as const) {
      const ledger = await fill(from, random);
      await ledger.verify(from);
      await ledger.verify(to);
      for (const repository of ['team', 'team/app', 'team/app/deep/er']) {
        assert.deepEqual(await to.tags(repository), await from.tags(repository));
      }
      assert.deepEqual(await to.catalog(), await from.catalog());

      const layout = await writeImageLayout(join(folder, `${name}-pushed`), 3, 300_000);
      const reference = (registry: HttpRegistry, tag: string) =>
        `${new URL(registry.url).host}/crane/${name}:${tag}`;
      await crane('push', layout.folder, reference(from, 'v1'));
      await crane('pull', '--format=oci', reference(to, 'v1'), join(folder, `${name}-pulled`));
      assert.equal(await compareLayouts(layout.folder, join(folder, `${name}-pulled`)), layout.size);
      // The layers are there already, so that it mounts or skips them.
      await crane('copy', reference(from, 'v1'), reference(to, 'v2'));
      assert.equal((await crane('digest', reference(from, 'v2'))).trim(), layout.digest);
    }
  });

  test(`what is deleted through ${title} is gone for our server, and the other way round`, async (t) => {
    const { ours, theirs, random } = await share(t, distribution);
    for (const [from, to] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const ledger = await fill(from, random);
      const image = randomImage(random);
      const digest = await pushImage(from, 'team/app', 'gone', image, ledger, random);
      await ledger.verify(to);
      ledger.willDelete('team/app', digest, 'gone');
      await from.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
      ledger.deleted('team/app', digest, 'gone');
      await ledger.verify(from);
      await ledger.verify(to);
      assert.deepEqual(await to.tags('team/app'), ['amd64', 'arm64', 'v1']);
      // And it can come back, either way.
      const again = await pushImage(to, 'team/app', 'back', image, new Acknowledged(), random);
      assert.equal(again, digest);
      await from.send('GET', `/v2/team/app/manifests/${digest}`, { expect: 200 });
      await from.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
    }
  });

  test(`${title} collects garbage in our folder and leaves what our server needs`, async (t) => {
    const { ours, theirs, random, folder, storage } = await share(t, distribution);
    const ledger = await fill(ours, random);
    const image = randomImage(random);
    const digest = await pushImage(ours, 'team/app', 'gone', image, new Acknowledged(), random);
    await ours.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
    await collectWithDistribution(distribution, { config: join(folder, 'theirs.yml'), storage });
    for (const blob of [...image.blobs, image.manifest]) {
      assert.ok(!existsSync(dataOf(storage, digestOf(blob))) || blob.length === 0);
      await ours.send('HEAD', `/v2/team/app/blobs/${digestOf(blob)}`, { expect: 404 });
    }
    await ledger.verify(ours);
    await ledger.verify(theirs);
    await pushImage(ours, 'team/app', 'back', image, ledger, random);
    await ledger.verify(ours);
    await ledger.verify(theirs);
  });

  test(`our garbage collection in the folder of ${title} leaves what it needs, and stops when it meets its uploads`, async (t) => {
    const { ours, theirs, random, folder, storage } = await share(t, distribution);
    const config = join(folder, 'config.yml');
    const ledger = await fill(theirs, random);
    const image = randomImage(random);
    const digest = await pushImage(theirs, 'team/app', 'gone', image, new Acknowledged(), random);
    await theirs.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
    const start = await theirs.startUpload('team/app');
    const bytes = random.bytes(100_000);
    const location = await theirs.patch(start, bytes, 0);

    const refused = await startCollector(t, config).ended;
    assert.equal(refused.result, 'Failed');
    assert.match(refused.message, /something else writes to this storage.*--offline/);
    assert.ok(image.blobs.every((blob) => existsSync(dataOf(storage, digestOf(blob)))));

    const report = await startCollector(t, config, ['--offline']).ended;
    assert.equal(report.result, 'Succeeded', report.message);
    const left = [...image.blobs, image.manifest].filter((blob) =>
      existsSync(dataOf(storage, digestOf(blob))),
    );
    assert.deepEqual(left, []);
    await ledger.verify(theirs);
    await ledger.verify(ours);
    await theirs.finish(location, digestOf(bytes));
    await pushImage(theirs, 'team/app', 'back', image, ledger, random);
    await ledger.verify(theirs);
    await ledger.verify(ours);
  });

  test(`${title} serves what it has no word for: manifests by sha512, signatures of an image`, async (t) => {
    const { ours, theirs, random } = await share(t, distribution);
    const ledger = new Acknowledged();
    const subject = await pushImage(ours, 'team/app', 'signed', randomImage(random), ledger, random);
    const signature = randomImage(random, 1000);
    for (const blob of signature.blobs) await ours.pushBlob('team/app', blob);
    const [config = Buffer.alloc(0)] = signature.blobs;
    const named = { digest: digestOf(config), size: config.length };
    const manifest = imageManifest(named, [], {
      subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: 1 },
    });
    ledger.manifest('team/app', await ours.pushManifest('team/app', digestOf(manifest), manifest));

    const long = digestOf(signature.manifest, 'sha512');
    await ours.pushManifest('team/app', `${long}?tag=long`, signature.manifest);
    ledger.manifest('team/app', digestOf(signature.manifest));
    await ledger.verify(ours);
    await ledger.verify(theirs);
    const byTag = await theirs.send('GET', '/v2/team/app/manifests/long', { expect: 200 });
    assert.deepEqual(byTag.bytes, signature.manifest);
    const byDigest = await theirs.send('GET', `/v2/team/app/manifests/${long}`, { expect: 200 });
    assert.deepEqual(byDigest.bytes, signature.manifest);
  });
}
