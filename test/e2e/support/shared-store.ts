import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageIndex, imageManifest } from '../../support/store-fixture.ts';
import { Acknowledged } from '../acknowledged.ts';
import { script } from '../cluster.ts';
import { succeed } from '../command.ts';
import { randomImage, randomWay, type HttpRegistry, type RandomImage } from '../http-registry.ts';
import { compareLayouts, writeImageLayout } from '../image-layout.ts';
import type { SeededRandom } from '../seeded-random.ts';

/** One store that our server and docker distribution's serve at the same time. */
export interface SharedStore {
  readonly ours: HttpRegistry;
  readonly theirs: HttpRegistry;
  /** For files of the test. */
  readonly folder: string;
  readonly random: SeededRandom;
}

/** `http.secret` of a distribution whose uploads others go on with. */
export const UPLOAD_SECRET = 'secret of the uploads';

/** What holds for a store of any kind. @param share gives each test an empty one. */
export function testSharedStore<S extends SharedStore>(
  title: string,
  share: (t: TestContext) => Promise<S>,
): void {
  test(`${title} serves what our server stored, and ours what it stored`, async (t) => {
    const { ours, theirs, random, folder } = await share(t);
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
    const { ours, theirs, random } = await share(t);
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

  test(`an upload that was begun through ${title} is finished through our server, and the other way round`, async (t) => {
    const { ours, theirs, random } = await share(t);
    for (const [first, second] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const [begin, end] = [random.bytes(2_500_000), random.bytes(1_500_000)];
      const bytes = Buffer.concat([begin, end]);
      const started = await first.patch(await first.startUpload('team/app'), begin, 0);
      const location = second === theirs ? withState(started, 'team/app', begin.length) : started;
      await second.finish(await second.patch(location, end, begin.length), digestOf(bytes));
      for (const registry of [first, second]) {
        const answer = await registry.send('GET', `/v2/team/app/blobs/${digestOf(bytes)}`, { expect: 200 });
        assert.ok(answer.bytes.equals(bytes));
      }
    }
  });

  test(`${title} serves what it has no word for: manifests by sha512, signatures of an image`, async (t) => {
    const { ours, theirs, random } = await share(t);
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

/** An upload whose chunks, of these sizes, go to both servers in turn. @param share gives each test an empty store. */
export function testUploadToAndFro(
  title: string,
  share: (t: TestContext) => Promise<SharedStore>,
  sizes: readonly number[],
): void {
  test(`an upload of many parts goes to and fro between ${title} and our server`, async (t) => {
    const { ours, theirs, random } = await share(t);
    const chunks = sizes.map((size) => random.bytes(size));
    const bytes = Buffer.concat(chunks);
    for (const [even, odd] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      let location = await even.startUpload('team/app');
      let sent = 0;
      for (const [index, chunk] of chunks.entries()) {
        const registry = index % 2 === 0 ? even : odd;
        if (registry === theirs) location = withState(location, 'team/app', sent);
        location = await registry.patch(location, chunk, sent);
        sent += chunk.length;
      }
      await ours.finish(location, digestOf(bytes));
      const path = `/v2/team/app/blobs/${digestOf(bytes)}`;
      for (const registry of [ours, theirs]) {
        assert.ok((await registry.send('GET', path, { expect: 200 })).bytes.equals(bytes));
      }
      await ours.send('DELETE', path, { expect: 202 });
    }
  });
}

/** Two images and an index of them, nested names, a tag that has moved. */
export async function fill(registry: HttpRegistry, random: SeededRandom): Promise<Acknowledged> {
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

export async function pushImage(
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

async function crane(...args: readonly string[]): Promise<string> {
  return succeed((await script('tools', ['crane'])).trim(), args);
}

/** Distribution goes on with an upload only by a state that it has signed, which our server has no need of. */
function withState(location: string, repository: string, offset: number): string {
  const id = location.replace(/\?.*/, '').split('/').at(-1);
  const state = JSON.stringify({
    Name: repository,
    UUID: id,
    Offset: offset,
    StartedAt: new Date().toISOString(),
  });
  const mac = createHmac('sha256', UPLOAD_SECRET).update(state).digest();
  const text = Buffer.concat([mac, Buffer.from(state)]).toString('base64');
  return `${location.replace(/\?.*/, '')}?_state=${text.replaceAll('+', '-').replaceAll('/', '_')}`;
}
