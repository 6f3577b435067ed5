import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import { RegistryError } from '../../../../src/registry/errors.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { UploadStore, type HandOver } from '../../../../src/registry/storage/upload-store.ts';
import { UploadOwners, uploadIdOfWorker } from '../../../../src/registry/workers/upload-owners.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openGate, openPermit } from '../../../support/open-gate.ts';
import { bodyOf, bytesOf, repositoryName } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const repository = repositoryName('library/app');

/** Stores of several workers, as if each were in a process of its own. */
function workers(count: number): {
  readonly stores: readonly UploadStore[];
  readonly files: MemoryFileSystem;
} {
  const files = new MemoryFileSystem();
  const { log } = logSink();
  const stores: UploadStore[] = [];
  const owners = new UploadOwners(
    async (worker, folder): Promise<HandOver> =>
      (await stores[worker - 1]?.handOver(folder)) ?? { outcome: 'free' },
  );
  for (let number = 1; number <= count; number++) {
    stores.push(
      new UploadStore({
        driver: createFilesystemDriver({ root: '/data', files, log }),
        clock: new TestClock(),
        log,
        activity: openGate,
        peers: {
          ask: (folder, id) => owners.claim({ folder, id }, number),
          leave: (folder) => owners.leave(folder, number),
          mark: (id) => uploadIdOfWorker(id, number),
        },
      }),
    );
  }
  return { stores, files };
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  assert.ok(item);
  return item;
}

describe('an upload whose requests go to several workers', () => {
  for (const size of [0, 10, 60_000, 200_000]) {
    test(`is whole at the end: two chunks of ${size} bytes`, async () => {
      const { stores } = workers(4);
      const [first, second] = [bytesOf(size, 'first'), bytesOf(size, 'second')];
      const { id } = await at(stores, 0).open(repository, {}, openPermit);
      await (await at(stores, 1).find(repository, id)).append(bodyOf(first), { start: 0 }, openPermit);
      await (await at(stores, 2).find(repository, id)).append(bodyOf(second), { start: size }, openPermit);
      assert.equal((await at(stores, 3).find(repository, id)).size, 2 * size);
      const upload = await at(stores, 0).find(repository, id);
      await upload.commit(digestOf(Buffer.concat([first, second])), openPermit);
      for (const store of stores) {
        await assert.rejects(store.find(repository, id), { code: 'BLOB_UPLOAD_UNKNOWN' });
      }
    });
  }

  test('stays in memory while it is small', async () => {
    const { stores, files } = workers(2);
    const { id } = await at(stores, 0).open(repository, {}, openPermit);
    await (await at(stores, 1).find(repository, id)).append(bodyOf(bytesOf(500, 'x')), {}, openPermit);
    await at(stores, 0).find(repository, id);
    assert.deepEqual(
      files.operations.filter(({ kind }) => kind === 'create'),
      [],
    );
  });

  test('is not copied when it is in a file, since one at a time writes to it', async () => {
    const { stores, files } = workers(2);
    const { id } = await at(stores, 0).open(repository, {}, openPermit);
    const bytes = bytesOf(200_000, 'x');
    await (await at(stores, 1).find(repository, id)).append(bodyOf(bytes), {}, openPermit);
    await (await at(stores, 0).find(repository, id)).commit(digestOf(bytes), openPermit);
    const written = files.operations
      .filter((operation) => operation.kind === 'write')
      .reduce((sum, operation) => sum + operation.bytes.length, 0);
    assert.ok(written < 201_000, `${written} bytes`);
  });

  test('is refused to a second while a request is in progress', async () => {
    const { stores } = workers(2);
    const { id } = await at(stores, 0).open(repository, {}, openPermit);
    const upload = await at(stores, 1).find(repository, id);
    const body = bodyOf(bytesOf(200_000, 'x'));
    const appending = upload.append(body, {}, openPermit);
    const error = await at(stores, 0)
      .find(repository, id)
      .then(
        () => undefined,
        (refusal: unknown) => refusal,
      );
    assert.ok(error instanceof RegistryError && error.code === 'UNAVAILABLE', String(error));
    await appending;
    assert.equal((await at(stores, 0).find(repository, id)).size, 200_000);
  });

  test('goes to one of those who ask at the same time, and then to the others', async () => {
    const { stores } = workers(3);
    const { id } = await at(stores, 0).open(repository, {}, openPermit);
    const found = await Promise.all(stores.map((store) => store.find(repository, id)));
    const usable: string[] = [];
    for (const [index, upload] of found.entries()) {
      await upload.append(bodyOf(Buffer.from('x')), {}, openPermit).then(
        () => usable.push(String(index)),
        () => {},
      );
    }
    assert.equal(usable.length, 1, 'one process has it in hand');
  });

  test('is lost with the worker that had it in memory, and found where it lies in the store', async () => {
    const { stores } = workers(2);
    const small = await at(stores, 1).open(repository, {}, openPermit);
    const large = await at(stores, 1).open(repository, {}, openPermit);
    await (
      await at(stores, 1).find(repository, large.id)
    ).append(bodyOf(bytesOf(100_000, 'x')), {}, openPermit);
    (stores as UploadStore[]).pop(); // the list is the test's own
    await assert.rejects(at(stores, 0).find(repository, small.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
    assert.equal((await at(stores, 0).find(repository, large.id)).size, 100_000);
  });
});
