import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { digestOf } from '../../../../src/oci/digest.ts';
import type { StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import { uploadsFolder } from '../../../../src/registry/storage/paths.ts';
import { UploadStore, type Upload } from '../../../../src/registry/storage/upload-store.ts';
import { logSink } from '../../../support/log-sink.ts';
import { openGate, openPermit } from '../../../support/open-gate.ts';
import { bodyOf, bytesOf, createStores, readBlob, repositoryName } from '../../../support/store-fixture.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('team/app');
const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' };

function bucket(): StorageDriver {
  return createObjectDriver(new InMemoryStore(() => 1), { rootDirectory: '' });
}

/** The uploads of one of several servers on a store. */
function server(driver: StorageDriver): UploadStore {
  const { log } = logSink();
  return new UploadStore({ driver, clock: new TestClock(), log, activity: openGate, isShared: true });
}

async function post(uploads: UploadStore): Promise<Upload> {
  const upload = await uploads.open(app, {}, openPermit);
  await upload.share();
  return upload;
}

async function patch(uploads: UploadStore, id: string, bytes: Buffer): Promise<void> {
  const upload = await uploads.find(app, id);
  await upload.append(bodyOf(bytes), {}, openPermit);
  await upload.share();
}

async function put(uploads: UploadStore, id: string, whole: Buffer, rest?: Buffer): Promise<void> {
  const upload = await uploads.find(app, id);
  if (rest) await upload.append(bodyOf(rest), {}, openPermit);
  await upload.commit(digestOf(whole), openPermit);
}

describe('servers that share a store', () => {
  test('know an upload that another one began', async () => {
    const driver = bucket();
    const [one, other] = [server(driver), server(driver)];
    const { id } = await post(one);
    assert.equal((await other.find(app, id)).size, 0);
    await put(other, id, bytesOf(100, 'blob'), bytesOf(100, 'blob'));
    await assert.rejects(one.find(app, id), unknown);
    await assert.rejects(driver.list(uploadsFolder(app)));
  });

  test('forget an upload that another one cancelled', async () => {
    const driver = bucket();
    const [one, other] = [server(driver), server(driver)];
    const { id } = await post(one);
    await patch(one, id, bytesOf(100, 'blob'));
    await (await other.find(app, id)).cancel();
    await assert.rejects(one.find(app, id), unknown);
  });

  test('write nothing for a blob that comes with the request which begins its upload', async () => {
    const driver = bucket();
    const upload = await server(driver).open(app, {}, openPermit);
    await upload.append(bodyOf(bytesOf(100, 'blob')), {}, openPermit);
    await assert.rejects(driver.list(uploadsFolder(app)));
    await upload.commit(digestOf(bytesOf(100, 'blob')), openPermit);
  });

  test('can each take any request of an upload, whatever the sizes of its chunks', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(100), fc.nat(70_000), fc.nat(200_000)), { maxLength: 6 });
    const requests = fc.tuple(sizes, fc.infiniteStream(fc.nat(2)), fc.boolean());
    await fc.assert(
      fc.asyncProperty(requests, async ([chunks, choices, lastWithPut]) => {
        const driver = bucket();
        const servers = [server(driver), server(driver), server(driver)];
        const any = (): UploadStore => servers[choices.next().value ?? 0] ?? server(driver);
        const bytes = chunks.map((size, index) => bytesOf(size, `chunk ${index}`));
        const whole = Buffer.concat(bytes);
        const last = lastWithPut ? bytes.pop() : undefined;
        const { id } = await post(any());
        let sent = 0;
        for (const chunk of bytes) {
          await patch(any(), id, chunk);
          sent += chunk.length;
          assert.equal((await any().find(app, id)).size, sent);
        }
        await put(any(), id, whole, last);
        assert.deepEqual(await readBlob(createStores(driver), app, digestOf(whole)), whole);
        await assert.rejects(driver.list(uploadsFolder(app)));
      }),
      { numRuns: 60 },
    );
  });
});
