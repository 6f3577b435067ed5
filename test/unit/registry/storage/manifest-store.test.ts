import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, type Digest } from '../../../../src/oci/digest.ts';
import type { Descriptor } from '../../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import type { WritePermit } from '../../../../src/registry/lease/write-gate.ts';
import type { RegistryError } from '../../../../src/registry/errors.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import type { ManifestRules } from '../../../../src/registry/storage/manifest-rules.ts';
import type { NewManifest } from '../../../../src/registry/storage/manifest-store.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagFolder,
} from '../../../../src/registry/storage/paths.ts';
import { listTrash, moveToTrash, purge } from '../../../../src/registry/storage/trash.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openPermit } from '../../../support/open-gate.ts';
import {
  bytesOf,
  createStores,
  imageIndex,
  imageManifest,
  pushBlob,
  repositoryName,
  tagName,
  type Stores,
} from '../../../support/store-fixture.ts';

const app = repositoryName('team/app');
const other = repositoryName('team/other');
const latest = tagName('latest');
const config = bytesOf(100, 'config');
const layer = bytesOf(1_000, 'layer');
const image = imageManifest({ digest: digestOf(config) }, [{ digest: digestOf(layer) }]);
const nowhere = digestOf(bytesOf(1, 'nowhere'));

/** Stores with the blobs of `image` in them. */
async function world(
  options: { readonly now?: () => number; readonly rules?: ManifestRules } = {},
): Promise<Stores> {
  const files = new MemoryFileSystem(options);
  const driver = createFilesystemDriver({ root: '/data', files, log: logSink().log });
  const stores = createStores(driver, undefined, options.rules);
  await pushBlob(stores, app, config);
  await pushBlob(stores, app, layer);
  return stores;
}

async function put(
  stores: Stores,
  bytes: Buffer,
  changes: Partial<NewManifest> = {},
  permit: WritePermit = openPermit,
): Promise<{ digest: Digest; subject?: Digest }> {
  return stores.manifests.put(app, { bytes, mediaType: undefined, tags: [], ...changes }, permit);
}

describe('a manifest', () => {
  test('is served as it was pushed, by tag and by digest', async () => {
    const stores = await world();
    // Spaces and the order of fields are part of what was signed.
    const bytes = Buffer.from(` ${image.toString()}\n`);
    const { digest } = await put(stores, bytes, { tags: [latest, tagName('v1')] });
    assert.equal(digest, digestOf(bytes));
    for (const reference of [digest, latest, tagName('v1')]) {
      const found = await stores.manifests.get(app, reference);
      assert.deepEqual(found, { digest, mediaType: mediaTypes.ociManifest, bytes, size: bytes.length });
    }
  });

  test('is known to its repository alone', async () => {
    const stores = await world();
    const { digest } = await put(stores, image, { tags: [latest] });
    assert.equal(await stores.manifests.get(other, digest), undefined);
    assert.equal(await stores.manifests.get(other, latest), undefined);
  });

  test('is unknown as soon as its link is gone, whatever is in memory', async () => {
    const stores = await world();
    const { digest } = await put(stores, image, { tags: [latest] });
    await stores.driver.delete(revisionLinkPath(app, digest));
    assert.equal(await stores.manifests.get(app, digest), undefined);
    assert.equal(await stores.manifests.get(app, latest), undefined);
  });

  test('by its sha512 digest answers to both digests, and its tag to the one that it was pushed with', async () => {
    const stores = await world();
    const sha512 = digestOf(image, 'sha512');
    assert.equal((await put(stores, image, { digest: sha512, tags: [latest] })).digest, sha512);
    for (const reference of [sha512, digestOf(image)]) {
      assert.equal((await stores.manifests.get(app, reference))?.digest, reference);
    }
    assert.equal((await stores.manifests.get(app, latest))?.digest, sha512);
    assert.equal((await stores.driver.getContent(revisionLinkPath(app, sha512))).toString(), digestOf(image));
  });

  test('that is damaged on the disk is not served, and the log says so', async () => {
    const stores = await world();
    const { digest } = await put(stores, image);
    await stores.driver.putContent(blobDataPath(digest), Buffer.alloc(image.length));
    const fresh = createStores(stores.driver);
    assert.equal(await fresh.manifests.get(app, digest), undefined);
    assert.deepEqual(
      fresh.records.map(({ level, message }) => [level, message]),
      [['error', 'a stored manifest is damaged']],
    );
  });

  test('of a kind that is taken no more is served with the type that it names', async () => {
    const stores = await world();
    const bytes = Buffer.from(JSON.stringify({ mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }));
    await stores.driver.putContent(blobDataPath(digestOf(bytes)), bytes);
    await stores.driver.putContent(revisionLinkPath(app, digestOf(bytes)), Buffer.from(digestOf(bytes)));
    const found = await stores.manifests.get(app, digestOf(bytes));
    assert.equal(found?.mediaType, 'application/vnd.oci.artifact.manifest.v1+json');
  });

  test('comes back from the trash, link and bytes', async () => {
    const stores = await world();
    const { digest } = await put(stores, image, { tags: [latest] });
    await moveToTrash(stores.driver, { path: revisionLinkPath(app, digest) }, 'run');
    await moveToTrash(stores.driver, { path: blobDataPath(digest) }, 'run');
    const fresh = createStores(stores.driver);
    assert.ok((await fresh.manifests.get(app, latest))?.bytes.equals(image));
  });

  test('that is damaged on the disk is made whole by pushing it again', async () => {
    const stores = await world();
    const { digest } = await put(stores, image);
    await stores.driver.putContent(blobDataPath(digest), Buffer.alloc(image.length));
    await put(createStores(stores.driver), image);
    assert.ok((await createStores(stores.driver).manifests.get(app, digest))?.bytes.equals(image));
  });

  test('may be pushed again', async () => {
    const stores = await world();
    await put(stores, image, { tags: [latest] });
    await put(stores, image, { tags: [latest] });
    assert.ok((await stores.manifests.get(app, latest))?.bytes.equals(image));
  });
});

describe('pushing a manifest is refused', () => {
  const missing =
    (...digests: Digest[]) =>
    (error: RegistryError): boolean => {
      assert.deepEqual(
        error.items,
        digests.map((detail) => ({ code: 'MANIFEST_BLOB_UNKNOWN', detail })),
      );
      return true;
    };

  test('when it is none', async () => {
    const stores = await world();
    for (const text of ['', '{', '[]', '{}', '{"schemaVersion":1}']) {
      await assert.rejects(put(stores, Buffer.from(text)), { code: 'MANIFEST_INVALID' }, text);
    }
  });

  test('when it is larger than 4 MiB', async () => {
    const bytes = imageManifest({ digest: digestOf(config) }, [], {
      annotations: { x: 'x'.repeat(4 * 1024 * 1024) },
    });
    await assert.rejects(put(await world(), bytes), { code: 'MANIFEST_TOO_LARGE', status: 413 });
  });

  test('when its type is another than it was sent as', async () => {
    await assert.rejects(put(await world(), image, { mediaType: mediaTypes.ociIndex }), {
      code: 'MANIFEST_INVALID',
    });
  });

  test('when nobody could tell its type from its bytes later', async () => {
    const bytes = imageManifest({ digest: digestOf(config) }, [], { mediaType: undefined });
    await assert.rejects(put(await world(), bytes, { mediaType: mediaTypes.dockerManifest }), {
      code: 'MANIFEST_INVALID',
      message: /must say so in its mediaType/,
    });
  });

  test('when its digest is another', async () => {
    for (const digest of [nowhere, digestOf(config, 'sha512')]) {
      await assert.rejects(put(await world(), image, { digest }), { code: 'DIGEST_INVALID' });
    }
  });

  test('with one item for each config and layer that the repository does not have', async () => {
    const stores = await world();
    const unknown = digestOf(bytesOf(1, 'unknown'));
    const foreign = await pushBlob(stores, other, bytesOf(10, 'foreign'));
    const bytes = imageManifest({ digest: unknown }, [
      { digest: digestOf(layer) },
      { digest: foreign },
      { digest: foreign },
    ]);
    await assert.rejects(put(stores, bytes, { tags: [latest] }), missing(unknown, foreign));
    assert.equal(await stores.tags.resolve(app, latest), undefined);
    assert.equal(await stores.manifests.get(app, digestOf(bytes)), undefined);
  });

  test('when a blob has its link and not its data', async () => {
    const stores = await world();
    await stores.driver.delete(blobDataPath(digestOf(layer)));
    await assert.rejects(put(stores, image), missing(digestOf(layer)));
  });

  test('for an index without one of its children', async () => {
    const stores = await world();
    const child = await put(stores, image);
    await assert.rejects(put(stores, imageIndex([child, { digest: nowhere }])), missing(nowhere));
    // A blob of that digest is no manifest.
    await assert.rejects(put(stores, imageIndex([{ digest: digestOf(config) }])), missing(digestOf(config)));
  });
});

describe('pushing a manifest works', () => {
  test('for an index whose children are there, and it says its type', async () => {
    const stores = await world();
    const child = await put(stores, image);
    const { digest } = await put(stores, imageIndex([child]), { tags: [latest] });
    assert.equal((await stores.manifests.get(app, latest))?.mediaType, mediaTypes.ociIndex);
    assert.equal((await stores.manifests.get(app, digest))?.size, imageIndex([child]).length);
  });

  test('for an index that lists a blob', async () => {
    const stores = await world();
    await put(stores, imageIndex([{ digest: digestOf(layer), mediaType: 'application/x-anything' }]));
  });

  test('for an index whose missing children the rules let off', async () => {
    const wanted = { os: 'linux', architecture: 'amd64' };
    const rules = {
      assertAllowed: () => {},
      mustExist: ({ platform }: Descriptor) => platform?.architecture === wanted.architecture,
    };
    const stores = await world({ rules });
    const arm = { digest: nowhere, platform: { os: 'linux', architecture: 'arm64' } };
    await put(stores, imageIndex([arm]));
    const bytes = imageIndex([{ ...arm, platform: wanted }]);
    await assert.rejects(put(stores, bytes), { code: 'MANIFEST_BLOB_UNKNOWN' });
  });

  test('without layers that clients fetch elsewhere', async () => {
    const stores = await world();
    const foreign = {
      digest: nowhere,
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      urls: ['https://example.com/layer'],
    };
    await put(stores, imageManifest({ digest: digestOf(config) }, [foreign]));
  });

  test('with its layers looked at together, as a bucket takes its time for each', async () => {
    const driver = new MemoryDriver(() => 0);
    const stores = createStores(driver);
    await pushBlob(stores, app, config);
    const layers = Array.from({ length: 40 }, (_, index) => bytesOf(10, `layer ${index}`));
    for (const bytes of layers) await pushBlob(stores, app, bytes);
    let [running, most] = [0, 0];
    driver.before = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    await put(
      stores,
      imageManifest(
        { digest: digestOf(config) },
        layers.map((bytes) => ({ digest: digestOf(bytes) })),
      ),
    );
    assert.equal(most, 16);
  });

  test('with a subject that is not there, which the answer names', async () => {
    const stores = await world();
    const subject = { mediaType: mediaTypes.ociManifest, digest: nowhere, size: 1 };
    assert.equal(
      (await put(stores, imageManifest({ digest: digestOf(config) }, [], { subject }))).subject,
      nowhere,
    );
  });

  test('when what it needs comes out of the trash', async () => {
    const stores = await world();
    await moveToTrash(stores.driver, { path: layerLinkPath(app, digestOf(layer)) }, 'run');
    await moveToTrash(stores.driver, { path: blobDataPath(digestOf(layer)) }, 'run');
    await put(stores, image);
    assert.ok(await stores.blobs.stat(app, digestOf(layer)));
  });
});

describe('a collector during a push of a manifest', () => {
  /** A permit whose n-th validation does what `outcomes` says. */
  function permit(...outcomes: readonly (() => Promise<'unchanged' | 'verify'>)[]): WritePermit {
    let calls = 0;
    return { ...openPermit, validate: async () => (await outcomes[calls++]?.()) ?? 'unchanged' };
  }

  const refuse = async (): Promise<never> => Promise.reject(new Error('marking'));

  test('that marks has the manifest refused before its tag is written', async () => {
    const stores = await world();
    await assert.rejects(put(stores, image, { tags: [latest] }, permit(refuse)), { message: 'marking' });
    assert.equal(await stores.tags.resolve(app, latest), undefined);
  });

  test('that marks after the tag was written has the tag put back', async () => {
    const stores = await world();
    const previous = await put(stores, imageManifest({ digest: digestOf(config) }), { tags: [latest] });
    const second = permit(async () => 'unchanged', refuse);
    await assert.rejects(put(stores, image, { tags: [latest] }, second), { message: 'marking' });
    assert.equal(await stores.tags.resolve(app, latest), previous.digest);
  });

  test('that marks after a new tag was written has the tag removed', async () => {
    const stores = await world();
    const second = permit(async () => 'unchanged', refuse);
    await assert.rejects(put(stores, image, { tags: [latest] }, second), { message: 'marking' });
    await assert.rejects(stores.driver.stat(tagFolder(app, latest)), { name: 'PathNotFoundError' });
  });

  test('leaves a tag alone that somebody else has moved since', async () => {
    const stores = await world();
    const theirs = await put(stores, imageManifest({ digest: digestOf(config) }));
    const second = permit(
      async () => 'unchanged',
      async () => {
        await stores.tags.set(app, latest, theirs.digest, openPermit);
        return refuse();
      },
    );
    await assert.rejects(put(stores, image, { tags: [latest] }, second), { message: 'marking' });
    assert.equal(await stores.tags.resolve(app, latest), theirs.digest);
  });

  test('leaves a tag alone that somebody else has set to the same since', async () => {
    let ticks = 0;
    const stores = await world({ now: () => ++ticks });
    const second = permit(
      async () => 'unchanged',
      async () => {
        // Acknowledged, for its own validation found nothing.
        await put(stores, image, { tags: [latest] });
        return refuse();
      },
    );
    await assert.rejects(put(stores, image, { tags: [latest] }, second), { message: 'marking' });
    assert.equal(await stores.tags.resolve(app, latest), digestOf(image));
  });

  for (const [when, before] of [
    ['before the tag', []],
    ['after the tag', [async () => 'unchanged' as const]],
  ] as const) {
    test(`that came and went ${when} and took something has it put back from the trash`, async () => {
      const stores = await world();
      const taken = permit(...before, async () => {
        for (const path of [
          layerLinkPath(app, digestOf(layer)),
          blobDataPath(digestOf(layer)),
          blobDataPath(digestOf(image)),
          revisionLinkPath(app, digestOf(image)),
        ]) {
          await moveToTrash(stores.driver, { path }, 'run');
        }
        return 'verify';
      });
      await put(stores, image, { tags: [latest] }, taken);
      const fresh = createStores(stores.driver);
      assert.ok((await fresh.manifests.get(app, latest))?.bytes.equals(image));
      assert.ok(await fresh.blobs.stat(app, digestOf(layer)));
    });

    test(`that came and went ${when} and destroyed a blob has the push refused`, async () => {
      const stores = await world();
      const destroyed = permit(...before, async () => {
        await moveToTrash(stores.driver, { path: blobDataPath(digestOf(layer)) }, 'run');
        for await (const { trashPath } of listTrash(stores.driver, 'run'))
          await purge(stores.driver, trashPath);
        return 'verify';
      });
      await assert.rejects(put(stores, image, { tags: [latest] }, destroyed), {
        code: 'MANIFEST_BLOB_UNKNOWN',
      });
      assert.equal(await stores.tags.resolve(app, latest), undefined);
    });

    test(`that came and went ${when} and destroyed the manifest has the push refused`, async () => {
      const stores = await world();
      const destroyed = permit(...before, async () => {
        await stores.driver.delete(blobDataPath(digestOf(image)));
        return 'verify';
      });
      await assert.rejects(put(stores, image, { tags: [latest] }, destroyed), { code: 'UNAVAILABLE' });
      assert.equal(await stores.tags.resolve(app, latest), undefined);
    });
  }

  test('that came and went and destroyed the tag, which had led to nothing before, has the push refused', async () => {
    const stores = await world();
    const destroyed = permit(
      async () => 'unchanged',
      async () => {
        await stores.driver.delete(tagCurrentLinkPath(app, latest));
        return 'verify';
      },
    );
    await assert.rejects(put(stores, image, { tags: [latest] }, destroyed), { code: 'UNAVAILABLE' });
  });

  test('that came too late and took the new tag in place of an old one has it come back', async () => {
    const stores = await world();
    const { digest } = await put(stores, image, { tags: [latest] });
    const path = tagCurrentLinkPath(app, latest);
    await moveToTrash(stores.driver, { path, seenAt: 1 }, 'run');
    assert.equal(await stores.tags.resolve(app, latest), digest);
    const { modifiedAt } = await stores.driver.stat(path);
    await moveToTrash(stores.driver, { path, seenAt: modifiedAt }, 'run');
    assert.equal(await stores.tags.resolve(app, latest), undefined, 'one that was meant stays away');
  });

  test('that holds the permission has nothing become visible', async () => {
    const stores = await world();
    const held = { ...openPermit, check: async () => Promise.reject(new Error('held')) };
    await assert.rejects(put(stores, image, { tags: [latest] }, held), { message: 'held' });
    assert.equal(await stores.manifests.get(app, digestOf(image)), undefined);
  });
});

describe('deleting a manifest', () => {
  test('removes it and every tag that points at it, and no other', async () => {
    const stores = await world();
    const kept = await put(stores, imageManifest({ digest: digestOf(config) }), { tags: [tagName('kept')] });
    const { digest } = await put(stores, image, { tags: [latest, tagName('v1')] });
    await stores.manifests.delete(app, digest, openPermit);
    assert.deepEqual(await stores.tags.list(app), ['kept']);
    assert.equal(await stores.manifests.get(app, digest), undefined);
    assert.ok(await stores.manifests.get(app, kept.digest));
  });

  test('by either of its digests removes both, and tags of both', async () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const stores = await world();
      await put(stores, image, { digest: digestOf(image, 'sha512'), tags: [latest] });
      await put(stores, image, { tags: [tagName('v1')] });
      await stores.manifests.delete(app, digestOf(image, algorithm), openPermit);
      assert.deepEqual(await stores.tags.list(app), []);
      for (const digest of [digestOf(image), digestOf(image, 'sha512')]) {
        assert.equal(await stores.manifests.get(app, digest), undefined);
      }
    }
  });

  test('that is not there is MANIFEST_UNKNOWN, also the second time', async () => {
    const stores = await world();
    const { digest } = await put(stores, image);
    await stores.manifests.delete(app, digest, openPermit);
    for (const unknown of [digest, nowhere]) {
      await assert.rejects(stores.manifests.delete(app, unknown, openPermit), { code: 'MANIFEST_UNKNOWN' });
    }
  });

  test('removes what a collector kept of it as well, so that it does not come back', async () => {
    const stores = await world();
    const { digest } = await put(stores, image);
    await moveToTrash(stores.driver, { path: revisionLinkPath(app, digest) }, 'run');
    await put(stores, image, { tags: [latest] });
    await stores.manifests.delete(app, digest, openPermit);
    assert.equal(await stores.manifests.get(app, digest), undefined);
    await assert.rejects(stores.manifests.delete(app, digest, openPermit), { code: 'MANIFEST_UNKNOWN' });
  });

  test('works when its bytes are lost', async () => {
    const stores = await world();
    const { digest } = await put(stores, image, { tags: [latest] });
    await stores.driver.delete(blobDataPath(digest));
    await createStores(stores.driver).manifests.delete(app, digest, openPermit);
    assert.deepEqual(await stores.tags.list(app), []);
  });
});

describe('referrers', () => {
  const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length };
  const signature = imageManifest({ digest: digestOf(config) }, [], {
    subject,
    artifactType: 'application/x-signature',
    annotations: { by: 'somebody' },
  });

  test('of what nobody knows are none', async () => {
    const stores = await world();
    assert.deepEqual(await stores.manifests.referrers(repositoryName('nowhere'), nowhere), []);
    assert.deepEqual(await stores.manifests.referrers(app, nowhere), []);
  });

  test('are described as the specification asks', async () => {
    const stores = await world();
    await put(stores, signature);
    assert.deepEqual(await stores.manifests.referrers(app, subject.digest), [
      {
        mediaType: mediaTypes.ociManifest,
        digest: digestOf(signature),
        size: signature.length,
        artifactType: 'application/x-signature',
        annotations: { by: 'somebody' },
      },
    ]);
  });

  test('take the type of the config when they name none, and an index has no other', async () => {
    const stores = await world();
    const plain = imageManifest({ digest: digestOf(config), mediaType: 'application/x-config' }, [], {
      subject,
    });
    const index = imageIndex([], { subject });
    for (const bytes of [plain, index]) await put(stores, bytes);
    const found = await stores.manifests.referrers(app, subject.digest);
    const types = new Map(found.map(({ digest, artifactType }) => [digest, artifactType]));
    assert.equal(types.get(digestOf(plain)), 'application/x-config');
    assert.equal(types.get(digestOf(index)), undefined);
  });

  test('come and go with their manifests, remembered or not', async () => {
    const stores = await world();
    const digests = async (): Promise<readonly Digest[]> =>
      (await stores.manifests.referrers(app, subject.digest)).map(({ digest }) => digest);
    assert.deepEqual(await digests(), []);
    await put(stores, signature);
    assert.deepEqual(await digests(), [digestOf(signature)]);
    await stores.manifests.delete(app, digestOf(signature), openPermit);
    assert.deepEqual(await digests(), []);
    assert.deepEqual(await stores.manifests.referrers(other, subject.digest), []);
  });

  test('include those that a client listed under the fallback tag, each once', async () => {
    const stores = await world();
    await put(stores, signature);
    const sbom = imageManifest({ digest: digestOf(config) }, [], { annotations: { kind: 'sbom' } });
    await put(stores, sbom);
    const listed = imageIndex([
      { digest: digestOf(sbom), size: sbom.length },
      { digest: digestOf(signature), size: signature.length },
    ]);
    await put(stores, listed, { tags: [tagName(subject.digest.replace(':', '-'))] });
    const found = await stores.manifests.referrers(app, subject.digest);
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [digestOf(sbom), digestOf(signature)].toSorted(),
    );
    await stores.manifests.delete(app, digestOf(sbom), openPermit);
    assert.equal((await stores.manifests.referrers(app, subject.digest)).length, 1);
  });
});
