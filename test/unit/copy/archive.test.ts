import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { ArchiveDestination } from '../../../src/copy/archive-side.ts';
import { ImageLayout } from '../../../src/copy/layout-side.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

test('an image whose layers lie elsewhere does not become an archive without them', () =>
  withTemporaryFolder(async (folder) => {
    const archive = await ArchiveDestination.create(join(folder, 'image.tar'), undefined);
    const [config, layer] = [Buffer.from('{}'), Buffer.from('elsewhere')];
    const content = { digest: digestOf(config), size: config.length, open: () => Readable.from([config]) };
    await archive.putBlob(content, await ImageLayout.create(folder), () => undefined);
    const bytes = imageManifest({ digest: digestOf(config) }, [{ digest: digestOf(layer) }]);
    const manifest = { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
    const message = `layer ${digestOf(layer)} is not distributed with the image`;
    await assert.rejects(archive.putManifest(manifest), { message });
    await archive.abandon();
  }));
