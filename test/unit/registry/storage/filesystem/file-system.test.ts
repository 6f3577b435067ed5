import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createFilesystemDriver } from '../../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { realFileSystem } from '../../../../../src/registry/storage/filesystem/file-system.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { bytesOf } from '../../../../support/store-fixture.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

/** What goes past the page cache goes in whole blocks, from memory on pages. The rest goes as usual. */
describe('writing large files', () => {
  for (const sizes of [[3_000_000], [5_000, 2_500_001, 4_096, 1], [1_048_576, 1_048_576], [1, 1_048_575]]) {
    test(`leaves what was given, whatever its length: ${sizes.join(', ')} bytes, one writer each`, () =>
      withTemporaryFolder(async (root) => {
        const driver = createFilesystemDriver({ root, log: logSink().log });
        const parts = sizes.map((size) => bytesOf(size, `part ${size}`));
        for (const part of parts) {
          const writer = await driver.writer('/file', { append: true });
          for (let start = 0; start < part.length; start += 65_000) {
            await writer.write(Buffer.from(part.subarray(start, start + 65_000)));
          }
          await writer.close();
        }
        assert.ok((await readFile(join(root, 'file'))).equals(Buffer.concat(parts)));
      }));
  }

  test('works with memory that is on no pages of its own', () =>
    withTemporaryFolder(async (folder) => {
      const bytes = bytesOf(1_048_576 + 8, 'bytes').subarray(8);
      const file = realFileSystem.open(join(folder, 'file'), 'create');
      await file.write(bytes, 0);
      await file.write(bytes, bytes.length);
      file.close();
      assert.ok((await readFile(join(folder, 'file'))).equals(Buffer.concat([bytes, bytes])));
    }));
});
