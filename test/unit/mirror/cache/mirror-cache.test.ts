import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { MirrorCache } from '../../../../src/mirror/cache/mirror-cache.ts';
import type { UpstreamManifest } from '../../../../src/mirror/upstream.ts';
import type { RepositoryName } from '../../../../src/oci/repository-name.ts';
import { blobDataPath, layerLinkPath } from '../../../../src/registry/storage/paths.ts';
import { failingDriver } from '../../../support/failing-driver.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';
import { waitFor } from '../../../support/wait-for.ts';
import {
  bytesOnDisk,
  content,
  fullAfter,
  image,
  index,
  MIB,
  never,
  openCache,
  pull,
  repository,
  sha256,
  tag,
  upstream,
  type Content,
} from './harness.ts';

const app = repository('docker.io/library/app');
const latest = tag('latest');
const HOUR = 3_600_000;

test('a manifest comes back as it came, and a tag leads to manifests alone that are here', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    await using opened = await openCache(folder, { clock });
    const { cache } = opened;
    const manifest = image([content(10)]);
    assert.equal(await cache.getManifest(app, manifest.digest), undefined);
    assert.equal(await cache.putTag(app, latest, manifest.digest), false);
    await cache.putManifest(app, manifest);
    assert.deepEqual(await cache.getManifest(app, manifest.digest), manifest);
    assert.equal(await cache.getManifest(repository('other'), manifest.digest), undefined);
    assert.equal(await cache.putTag(app, latest, manifest.digest), true);
    const checkedAt = clock.now();
    assert.deepEqual(cache.getTag(app, latest), { digest: manifest.digest, checkedAt });
    await clock.advance(5);
    await cache.putTag(app, latest, manifest.digest);
    assert.deepEqual(cache.getTag(app, latest), { digest: manifest.digest, checkedAt: checkedAt + 5 });
    assert.deepEqual(cache.tags(app), ['latest']);
    await cache.removeTag(app, latest);
    assert.equal(cache.getTag(app, latest), undefined);
    assert.deepEqual(await cache.getManifest(app, manifest.digest), manifest);
  });
});

test('a manifest tells the size of a blob that is not here', async () => {
  await withTemporaryFolder(async (folder) => {
    await using opened = await openCache(folder);
    const blob = content(1234);
    assert.equal(opened.cache.blobSize(app, blob.digest), undefined);
    await opened.cache.putManifest(app, image([content(10), blob]));
    assert.equal(opened.cache.blobSize(app, blob.digest), 1234);
  });
});

test('a manifest whose type its bytes do not tell is not kept', async () => {
  await withTemporaryFolder(async (folder) => {
    await using opened = await openCache(folder);
    const bytes = Buffer.from('{"schemaVersion":1,"name":"old"}');
    const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    await opened.cache.putManifest(app, { bytes, mediaType, digest: sha256(bytes) });
    assert.equal(await opened.cache.getManifest(app, sha256(bytes)), undefined);
    assert.equal(bytesOnDisk(folder), 0);
  });
});

test('a restart finds what was there, and knows when it was used and tags were checked', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    const [layer, old] = [content(3 * MIB), content(MIB, 2)];
    const first = await openCache(folder, { clock });
    const manifest = image([layer]);
    const unused = image([old], 'unused');
    for (const [kept, blob] of [
      [manifest, layer],
      [unused, old],
    ] as const) {
      await pullImage(first.cache, app, kept, [blob]);
      await first.cache.putTag(app, latest, kept.digest);
    }
    await waitFor(() => first.cache.facts.fills === 0);
    await clock.advance(10 * HOUR);
    await first.cache.getManifest(app, manifest.digest);
    await first.cache.putTag(app, latest, manifest.digest);
    const checkedAt = clock.now();
    const { facts } = first.cache;
    await first.cache[Symbol.asyncDispose]();

    await clock.advance(HOUR);
    await using second = await openCache(folder, { clock, limits: { ttl: 5 * HOUR } });
    assert.deepEqual(second.cache.facts, facts);
    assert.equal(second.cache.facts.bytes, bytesOnDisk(folder));
    assert.deepEqual(second.cache.getTag(app, latest), { digest: manifest.digest, checkedAt });
    await clock.advance(60_000);
    assert.equal(second.cache.facts.evictedImages, 1);
    assert.equal(await second.cache.getManifest(app, unused.digest), undefined);
    assert.deepEqual(await second.cache.getManifest(app, manifest.digest), manifest);
    await waitFor(() => bytesOnDisk(folder) === layer.bytes.length + manifest.bytes.length);
    await clock.advance(5 * HOUR);
    await passesUntil(clock, () => bytesOnDisk(folder) === 0);
    assert.equal(second.cache.getTag(app, latest), undefined);
    assert.equal(second.cache.facts.bytes, 0);
  });
});

test('what is read is not evicted, and goes later', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    await using opened = await openCache(folder, { clock, limits: { ttl: HOUR } });
    const { cache } = opened;
    const layer = content(MIB);
    await pullImage(cache, app, image([layer]), [layer]);
    await waitFor(() => cache.facts.fills === 0);
    const reader = await cache.openBlob(app, layer.digest, upstream(layer).source, never);
    await clock.advance(3 * HOUR);
    assert.equal(cache.facts.blobs, 1);
    await reader[Symbol.asyncDispose]();
    await clock.advance(HOUR);
    await passesUntil(clock, () => bytesOnDisk(folder) === 0);
  });
});

test('a smaller cache than before makes room at the start', async () => {
  await withTemporaryFolder(async (folder) => {
    const layers = [1, 2, 3, 4].map((seed) => content(MIB, seed));
    const first = await openCache(folder);
    for (const layer of layers)
      await pull(first.cache.openBlob(app, layer.digest, upstream(layer).source, never));
    await waitFor(() => first.cache.facts.fills === 0);
    await first.cache[Symbol.asyncDispose]();
    await using second = await openCache(folder, { limits: { size: 3 * MIB } });
    assert.equal(second.cache.facts.bytes, 2 * MIB);
    assert.equal(bytesOnDisk(folder), 2 * MIB);
  });
});

test('content that nothing leads to, and links that lead to nothing, are no content', async () => {
  await withTemporaryFolder(async (folder) => {
    const [kept, unlinked, lost] = [content(100, 1), content(200, 2), content(300, 3)];
    const first = await openCache(folder);
    for (const blob of [kept, unlinked, lost])
      await pull(first.cache.openBlob(app, blob.digest, upstream(blob).source, never));
    await waitFor(() => first.cache.facts.fills === 0);
    await first.cache[Symbol.asyncDispose]();
    rmSync(join(folder, layerLinkPath(app, unlinked.digest)));
    rmSync(join(folder, blobDataPath(lost.digest)));
    await using second = await openCache(folder);
    assert.deepEqual([second.cache.facts.bytes, second.cache.facts.blobs], [100, 1]);
    assert.equal(bytesOnDisk(folder), 100);
    const { source, requests } = upstream(lost);
    assert.ok((await pull(second.cache.openBlob(app, lost.digest, source, never))).equals(lost.bytes));
    assert.deepEqual(requests, [0]);
  });
});

test('a blob or manifest that somebody removed or damaged beside the cache is fetched again', async () => {
  await withTemporaryFolder(async (folder) => {
    await using opened = await openCache(folder);
    const { cache } = opened;
    const [gone, cut] = [content(1000, 1), content(2000, 2)];
    for (const blob of [gone, cut])
      await pull(cache.openBlob(app, blob.digest, upstream(blob).source, never));
    await waitFor(() => cache.facts.fills === 0);
    rmSync(join(folder, blobDataPath(gone.digest)));
    writeFileSync(join(folder, blobDataPath(cut.digest)), 'short');
    for (const blob of [gone, cut]) {
      const { source, requests } = upstream(blob);
      assert.ok((await pull(cache.openBlob(app, blob.digest, source, never))).equals(blob.bytes));
      assert.deepEqual(requests, [0]);
    }
    await waitFor(() => cache.facts.fills === 0);
    assert.equal(cache.facts.bytes, 3000);
    assert.equal(bytesOnDisk(folder), 3000);
  });
});

test('a disk that is full evicts what was used longest ago, so that the next finds room', async () => {
  await withTemporaryFolder(async (folder) => {
    const clock = new TestClock();
    await using opened = await openCache(folder, { clock, wrap: (driver) => fullAfter(driver, 2 * MIB) });
    const { cache } = opened;
    const [old, recent, large] = [content(MIB, 1), content(MIB, 2), content(3 * MIB, 3)];
    for (const blob of [old, recent]) {
      await pull(cache.openBlob(app, blob.digest, upstream(blob).source, never));
      await waitFor(() => cache.facts.fills === 0);
      await clock.advance(1000);
    }
    assert.ok(
      (await pull(cache.openBlob(app, large.digest, upstream(large).source, never))).equals(large.bytes),
    );
    await waitFor(() => cache.facts.fills === 0);
    await waitFor(() => bytesOnDisk(folder) === 0);
    assert.equal(cache.facts.bytes, 0);
  });
});

test('whichever operation of the disk fails, a pull gets its bytes or a clean error, and counts stay true', async () => {
  const layer = content(200 * 1024);
  const manifest = image([layer]);
  const state = { isOver: false };
  let call = 1;
  for (; !state.isOver; call++) {
    await withTemporaryFolder(async (folder) => {
      await (await openCache(folder)).cache[Symbol.asyncDispose]();
      let failed = (): string | undefined => undefined;
      const opened = await openCache(folder, {
        wrap: (driver) => {
          // Behind the scan at the start.
          const failing = failingDriver(driver, call + 5, 'before');
          ({ failed } = failing);
          return failing.driver;
        },
      });
      await using cache = opened.cache;
      await cache.putManifest(app, manifest);
      await cache.putTag(app, latest, manifest.digest);
      const { source } = upstream(layer);
      for (let times = 0; times < 2; times++) {
        const got = await pull(cache.openBlob(app, layer.digest, source, never)).catch(() => undefined);
        assert.ok(got === undefined || got.equals(layer.bytes));
        await waitFor(() => cache.facts.fills === 0);
      }
      state.isOver = failed() === undefined;
      const { bytes, manifests, blobs } = cache.facts;
      await using again = await openCache(folder);
      const found = again.cache.facts;
      // What was published by a call that then failed is not known before the next start.
      assert.ok(found.bytes >= bytes && found.manifests >= manifests && found.blobs >= blobs);
    });
  }
  assert.ok(call > 6);
});

test('clients that pull ten times what there is room for get right bytes, and room and counts are kept', async () => {
  const layers = Array.from({ length: 40 }, (_, at) => content(20_000 + at * 7_000, at + 1));
  const images = Array.from({ length: 20 }, (_, at) => {
    const own = [layers[at], layers[at + 20], layers[at % 4]].flatMap((layer) => layer ?? []);
    return { layers: own, manifest: image(own, `${at}`) };
  });
  const indexes = [0, 1, 2].map((at) => index(images.slice(at, at + 3).map(({ manifest }) => manifest)));
  const pulls = fc.array(
    fc.record({ image: fc.nat(images.length - 1), name: fc.nat(2), index: fc.nat(5), leaves: fc.boolean() }),
    { minLength: 40, maxLength: 80, size: 'max' },
  );
  const size = 600_000;
  await fc.assert(
    fc.asyncProperty(pulls, async (list) => {
      await withTemporaryFolder(async (folder) => {
        const opened = await openCache(folder, { limits: { size } });
        const { cache } = opened;
        const queue = list.values();
        const client = async (): Promise<void> => {
          for (const next of queue) {
            const { layers: own, manifest } = images[next.image] ?? {};
            const name = repository(`docker.io/library/r${next.name}`);
            const parent = indexes[next.index];
            if (parent) await pullManifest(cache, name, parent);
            if (own && manifest) await pullImage(cache, name, manifest, own, next.leaves);
            assert.ok(cache.facts.bytes <= size * 0.9);
            assert.ok(bytesOnDisk(folder) <= size);
          }
        };
        await Promise.all(Array.from({ length: 8 }, client));
        await waitFor(() => cache.facts.fills === 0);
        const { facts } = cache;
        await cache[Symbol.asyncDispose]();
        assert.equal(bytesOnDisk(folder), facts.bytes);
        await using again = await openCache(folder, { limits: { size } });
        assert.deepEqual(again.cache.facts, { ...facts, evictedImages: 0, evictedBytes: 0 });
      });
    }),
    { numRuns: 2, endOnFailure: true },
  );
});

/** Lets minutes pass: what is done each minute takes a while. */
async function passesUntil(clock: TestClock, condition: () => boolean): Promise<void> {
  await waitFor(async () => {
    await clock.advance(60_000);
    return condition();
  });
}

async function pullManifest(
  cache: MirrorCache,
  name: RepositoryName,
  manifest: UpstreamManifest,
): Promise<void> {
  const kept = await cache.getManifest(name, manifest.digest);
  if (kept) assert.deepEqual(kept, manifest);
  else await cache.putManifest(name, manifest);
  await cache.putTag(name, tag(`t-${manifest.digest.slice(-5)}`), manifest.digest);
}

async function pullImage(
  cache: MirrorCache,
  name: RepositoryName,
  manifest: UpstreamManifest,
  layers: readonly Content[],
  leaves = false,
): Promise<void> {
  await pullManifest(cache, name, manifest);
  for (const layer of layers) {
    const { source } = upstream(layer);
    const blob = cache.openBlob(name, layer.digest, source, never);
    if (leaves) await (await blob)[Symbol.asyncDispose]();
    else assert.ok((await pull(blob)).equals(layer.bytes));
  }
}
