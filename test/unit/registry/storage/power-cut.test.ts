import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, type Digest } from '../../../../src/oci/digest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import type { Tag } from '../../../../src/oci/tag.ts';
import {
  blobDataPath,
  layerLinkPath,
  tagIndexLinkPath,
  trashPath,
} from '../../../../src/registry/storage/paths.ts';
import { readLink } from '../../../../src/registry/storage/links.ts';
import { moveToTrash, restoreFromTrash, settleTrash } from '../../../../src/registry/storage/trash.ts';
import type { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openPermit } from '../../../support/open-gate.ts';
import { findLoss, findLossWithout, syncsOf, type Scenario } from '../../../support/power-cut-replay.ts';
import {
  bodyOf,
  bytesOf,
  imageManifest,
  pushBlob,
  readBlob,
  repositoryName,
  tagName,
  type Stores,
} from '../../../support/store-fixture.ts';

const repository = repositoryName('library/app');
const other = repositoryName('team/other');
const latest = tagName('latest');
const config = bytesOf(100, 'config');
const small = bytesOf(2_000, 'small');
const large = bytesOf(70_000, 'large');
const oldManifest = imageManifest({ digest: digestOf(config) }, [], { annotations: { version: 'old' } });
const newManifest = imageManifest({ digest: digestOf(config) }, [], { annotations: { version: 'new' } });

async function putManifest(
  stores: Stores,
  bytes: Buffer,
  changes: { readonly tags?: readonly Tag[]; readonly digest?: Digest } = {},
): Promise<void> {
  const content = { bytes, mediaType: mediaTypes.ociManifest, tags: [latest], ...changes };
  await stores.manifests.put(repository, content, openPermit);
}

/** Says no more than that: a difference of long buffers takes minutes to print. */
function assertSame(found: Buffer | undefined, expected: Buffer): void {
  assert.ok(found, 'it is there');
  assert.ok(found.equals(expected), 'it is what was pushed');
}

async function assertBlob(
  stores: Stores,
  name: typeof repository,
  bytes: Buffer,
  promised: boolean,
): Promise<void> {
  const found = await readBlob(stores, name, digestOf(bytes));
  if (found !== undefined) assertSame(found, bytes);
  if (promised) assert.ok(found, 'an acknowledged blob is there');
}

/** What another program wrote and did not sync, from its directories to the last byte. */
function writeUnsynced(files: MemoryFileSystem, path: string, bytes: Buffer): void {
  const place = `/data/registry${path}`;
  const names = place.split('/').slice(1, -1);
  for (const [index] of names.entries()) {
    try {
      files.makeDirectory(`/${names.slice(0, index + 1).join('/')}`);
    } catch {
      // It is there.
    }
  }
  const file = files.open(place, 'create');
  file.writeNow(bytes, 0);
  file.close();
}

/** As a collector does. */
async function takeAway({ driver }: Stores): Promise<void> {
  const what = { path: blobDataPath(digestOf(small)) };
  await moveToTrash(driver, what, 'run');
  await settleTrash(driver, [what], 'run');
}

const scenarios: readonly Scenario[] = [
  {
    title: 'the first small blob on an empty volume',
    async run(stores, acknowledge) {
      await pushBlob(stores, repository, small);
      acknowledge('blob');
    },
    verify: (stores, acknowledged) => assertBlob(stores, repository, small, acknowledged.has('blob')),
  },
  {
    title: 'a small blob beside others',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      await pushBlob(stores, repository, small);
      acknowledge('blob');
    },
    async verify(stores, acknowledged) {
      await assertBlob(stores, repository, config, true);
      await assertBlob(stores, repository, small, acknowledged.has('blob'));
    },
  },
  {
    title: 'a blob in a file of its own, in several requests',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      const upload = await stores.uploads.open(repository, {}, openPermit);
      await upload.append(bodyOf(large.subarray(0, 40_000)), {}, openPermit);
      await upload.append(bodyOf(large.subarray(40_000)), {}, openPermit);
      await upload.commit(digestOf(large), openPermit);
      acknowledge('blob');
    },
    verify: (stores, acknowledged) => assertBlob(stores, repository, large, acknowledged.has('blob')),
  },
  {
    title: 'a blob with a sha512 digest',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      await pushBlob(stores, repository, small, { algorithm: 'sha512' });
      acknowledge('blob');
    },
    async verify(stores, acknowledged) {
      await assertBlob(stores, repository, small, acknowledged.has('blob'));
      const found = await readBlob(stores, repository, digestOf(small, 'sha512'));
      if (acknowledged.has('blob')) assertSame(found, small);
    },
  },
  {
    title: 'a blob that another program has written and not synced',
    async prepare(_stores, files) {
      writeUnsynced(files, blobDataPath(digestOf(large)), large);
      writeUnsynced(files, layerLinkPath(other, digestOf(large)), Buffer.from(digestOf(large)));
    },
    afterAnother: true,
    async run(stores, acknowledge) {
      await pushBlob(stores, repository, large);
      acknowledge('blob');
    },
    async verify(stores, acknowledged) {
      const found = await readBlob(stores, repository, digestOf(large));
      if (acknowledged.has('blob')) assertSame(found, large);
    },
  },
  {
    title: 'a blob that is mounted from another repository',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await pushBlob(stores, other, small);
    },
    async run(stores, acknowledge) {
      assert.ok(await stores.blobs.mount(repository, other, digestOf(small), openPermit));
      acknowledge('mount');
    },
    async verify(stores, acknowledged) {
      await assertBlob(stores, other, small, true);
      await assertBlob(stores, repository, small, acknowledged.has('mount'));
    },
  },
  {
    title: 'the first manifest of a repository',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      await putManifest(stores, newManifest, { tags: [] });
      acknowledge('manifest');
    },
    async verify(stores, acknowledged) {
      const found = await stores.manifests.get(repository, digestOf(newManifest));
      if (acknowledged.has('manifest') || found) assertSame(found?.bytes, newManifest);
    },
  },
  {
    title: 'a manifest with a new tag',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await putManifest(stores, oldManifest, { tags: [tagName('stable')] });
    },
    async run(stores, acknowledge) {
      await putManifest(stores, newManifest);
      acknowledge('manifest');
    },
    async verify(stores, acknowledged) {
      const byTag = await stores.manifests.get(repository, latest);
      const byDigest = await stores.manifests.get(repository, digestOf(newManifest));
      const entry = await readLink(
        stores.driver,
        tagIndexLinkPath(repository, latest, digestOf(newManifest)),
      );
      for (const found of [byTag, byDigest]) {
        if (acknowledged.has('manifest') || found) assertSame(found?.bytes, newManifest);
      }
      if (acknowledged.has('manifest')) assert.equal(entry, digestOf(newManifest));
    },
  },
  {
    title: 'a manifest with a sha512 digest',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await putManifest(stores, oldManifest);
    },
    async run(stores, acknowledge) {
      await putManifest(stores, newManifest, { digest: digestOf(newManifest, 'sha512') });
      acknowledge('manifest');
    },
    async verify(stores, acknowledged) {
      if (!acknowledged.has('manifest')) return;
      const digest = digestOf(newManifest, 'sha512');
      for (const reference of [latest, digestOf(newManifest), digest]) {
        assertSame((await stores.manifests.get(repository, reference))?.bytes, newManifest);
      }
      assert.equal(await readLink(stores.driver, tagIndexLinkPath(repository, latest, digest)), digest);
    },
  },
  {
    title: 'a tag that moves',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await putManifest(stores, oldManifest);
    },
    async run(stores, acknowledge) {
      await putManifest(stores, newManifest);
      acknowledge('move');
    },
    async verify(stores, acknowledged) {
      const found = await stores.manifests.get(repository, latest);
      assert.ok(found, 'the tag is never away');
      if (acknowledged.has('move')) assertSame(found.bytes, newManifest);
      else assert.ok(found.bytes.equals(newManifest) || found.bytes.equals(oldManifest));
      const entry = await readLink(
        stores.driver,
        tagIndexLinkPath(repository, latest, digestOf(newManifest)),
      );
      if (acknowledged.has('move')) assert.equal(entry, digestOf(newManifest));
    },
  },
  {
    title: 'a tag that is deleted',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await putManifest(stores, oldManifest);
    },
    async run(stores, acknowledge) {
      await stores.tags.remove(repository, latest, openPermit);
      acknowledge('delete');
    },
    async verify(stores, acknowledged) {
      const found = await stores.tags.resolve(repository, latest);
      if (acknowledged.has('delete')) assert.equal(found, undefined);
      assert.ok(await stores.manifests.get(repository, digestOf(oldManifest)));
    },
  },
  {
    title: 'a manifest that is deleted with its tags',
    async prepare(stores) {
      await pushBlob(stores, repository, config);
      await putManifest(stores, oldManifest);
    },
    async run(stores, acknowledge) {
      await stores.manifests.delete(repository, digestOf(oldManifest), openPermit);
      acknowledge('delete');
    },
    async verify(stores, acknowledged) {
      if (!acknowledged.has('delete')) return;
      assert.equal(await stores.manifests.get(repository, digestOf(oldManifest)), undefined);
      assert.equal(await stores.tags.resolve(repository, latest), undefined);
    },
  },
  {
    title: 'a blob that is deleted',
    prepare: async (stores) => void (await pushBlob(stores, repository, small)),
    async run(stores, acknowledge) {
      await stores.blobs.unlink(repository, digestOf(small), openPermit);
      acknowledge('delete');
    },
    async verify(stores, acknowledged) {
      const found = await readBlob(stores, repository, digestOf(small));
      if (acknowledged.has('delete')) assert.equal(found, undefined);
      else if (found) assertSame(found, small);
    },
  },
  {
    title: 'a blob that a collector takes away',
    prepare: async (stores) => void (await pushBlob(stores, repository, small)),
    async run(stores, acknowledge) {
      await takeAway(stores);
      acknowledge('trash');
    },
    async verify(stores, acknowledged) {
      const path = trashPath(blobDataPath(digestOf(small)), 'run');
      if (acknowledged.has('trash')) assertSame(await stores.driver.getContent(path), small);
      await assertBlob(stores, repository, small, acknowledged.has('trash'));
    },
  },
  {
    title: 'a blob that a server takes out of the trash',
    async prepare(stores) {
      await pushBlob(stores, repository, small);
      await takeAway(stores);
    },
    async run(stores, acknowledge) {
      await restoreFromTrash(stores.driver, blobDataPath(digestOf(small)));
      acknowledge('restore');
    },
    async verify(stores, acknowledged) {
      if (!acknowledged.has('restore')) return;
      assertSame(await stores.driver.getContent(blobDataPath(digestOf(small))), small);
    },
  },
];

/** What happens at the same time, where one sync may do the work of another. */
const concurrent: readonly Scenario[] = [
  {
    title: 'many blobs pushed to one repository, each begun a little later',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      await Promise.all(
        [1, 2, 3, 4].map(async (seed) => {
          for (let ticks = 0; ticks < seed; ticks++) await new Promise((resolve) => setImmediate(resolve));
          await pushBlob(stores, repository, bytesOf(1_000, `blob ${seed}`));
          acknowledge(String(seed));
        }),
      );
    },
    async verify(stores, acknowledged) {
      for (const seed of [1, 2, 3, 4]) {
        await assertBlob(stores, repository, bytesOf(1_000, `blob ${seed}`), acknowledged.has(String(seed)));
      }
    },
  },
  {
    title: 'one blob pushed by two clients at once',
    async run(stores, acknowledge) {
      await Promise.all(
        ['first', 'second'].map(async (client) => {
          await pushBlob(stores, repository, large);
          acknowledge(client);
        }),
      );
    },
    verify: (stores, acknowledged) => assertBlob(stores, repository, large, acknowledged.size > 0),
  },
  {
    title: 'a blob that another client sees before its push is over',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge) {
      const push = pushBlob(stores, repository, small);
      while ((await stores.blobs.stat(repository, digestOf(small))) === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      acknowledge('seen');
      await push;
    },
    verify: (stores, acknowledged) => assertBlob(stores, repository, small, acknowledged.has('seen')),
  },
  {
    title: 'a blob that another process sees before its push is over',
    prepare: async (stores) => void (await pushBlob(stores, repository, config)),
    async run(stores, acknowledge, another) {
      const push = pushBlob(stores, repository, small);
      while ((await another.blobs.stat(repository, digestOf(small))) === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      acknowledge('seen');
      await push;
    },
    verify: (stores, acknowledged) => assertBlob(stores, repository, small, acknowledged.has('seen')),
  },
];

describe('after a power cut at any point', () => {
  for (const scenario of [...scenarios, ...concurrent]) {
    test(`nothing acknowledged is lost and nothing is half visible: ${scenario.title}`, async () => {
      assert.equal(await findLoss(scenario), undefined);
    });
  }
});

describe('taking away any one sync', () => {
  for (const scenario of scenarios) {
    test(`loses something: ${scenario.title}`, async () => {
      const syncs = await syncsOf(scenario);
      assert.ok(syncs.length > 0, 'the scenario syncs');
      const unnoticed: string[] = [];
      for (const [index, path] of syncs.entries()) {
        if ((await findLossWithout(scenario, index)) === undefined) unnoticed.push(path);
      }
      assert.deepEqual(unnoticed, [], 'a sync that nothing depends on is either superfluous or not tested');
    });
  }
});
