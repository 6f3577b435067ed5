import assert from 'node:assert/strict';
import { PassThrough, type Readable } from 'node:stream';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { digestOf } from '../../../../src/oci/digest.ts';
import type { UploadActivity } from '../../../../src/registry/lease/write-gate.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { blobDataPath, uploadFolder, uploadsFolder } from '../../../../src/registry/storage/paths.ts';
import { UploadStore, type Upload } from '../../../../src/registry/storage/upload-store.ts';
import { diskError } from '../../../support/disk-model.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryFileSystem } from '../../../support/memory-file-system.ts';
import { openPermit } from '../../../support/open-gate.ts';
import {
  bodyOf,
  bytesOf,
  createStores,
  readBlob,
  repositoryName,
  type Stores,
} from '../../../support/store-fixture.ts';
import { settle, TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('team/app');
const small = bytesOf(5_000, 'small');
const large = bytesOf(200_000, 'large');

function startOn(files: MemoryFileSystem, clock = new TestClock()): Stores {
  return createStores(createFilesystemDriver({ root: '/data', files, log: logSink().log }), clock);
}

const open = (stores: Stores): Promise<Upload> => stores.uploads.open(app, {}, openPermit);

const append = (
  upload: Upload,
  bytes: Buffer,
  expect: { start?: number; length?: number } = {},
): Promise<void> => upload.append(bodyOf(bytes), expect, openPermit);

async function uploadFolders(stores: Stores): Promise<readonly string[]> {
  return stores.driver.list(uploadsFolder(app)).catch(() => []);
}

/** A body whose client goes away after `bytes`. */
function cutOff(bytes: Buffer): Readable {
  const body = new PassThrough();
  body.write(Buffer.from(bytes), () => body.destroy());
  return body;
}

describe('an upload', () => {
  for (const [title, bytes] of [
    ['of nothing', Buffer.alloc(0)],
    ['of a few bytes', small],
    ['of exactly what fits into memory', bytesOf(65_536, 'limit')],
    ['of one byte more', bytesOf(65_537, 'limit')],
    ['of many chunks', bytesOf(3_000_000, 'many')],
  ] as const) {
    test(`${title} becomes a blob, and nothing of it stays behind`, async () => {
      const files = new MemoryFileSystem();
      const stores = startOn(files);
      const upload = await open(stores);
      await append(upload, bytes, { length: bytes.length });
      assert.equal(upload.size, bytes.length);
      assert.deepEqual(await upload.commit(digestOf(bytes), openPermit), { size: bytes.length });
      assert.ok((await readBlob(stores, app, digestOf(bytes)))?.equals(bytes));
      assert.deepEqual(await uploadFolders(stores), []);
      assert.equal(files.openFiles, 0);
      await assert.rejects(stores.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
    });
  }

  test('has an id of version 8, by which collectors know it as ours', async () => {
    const { id } = await open(startOn(new MemoryFileSystem()));
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('of a few bytes touches no file before its commit', async () => {
    const files = new MemoryFileSystem();
    const stores = startOn(files);
    const before = files.operations.length;
    await append(await open(stores), small);
    assert.equal(files.operations.length, before);
  });

  test('in a file says when it began, as distribution expects', async () => {
    const clock = new TestClock(Date.UTC(2026, 1, 3, 4, 5, 6));
    const stores = startOn(new MemoryFileSystem(), clock);
    const upload = await open(stores);
    await append(upload, large);
    const started = await stores.driver.getContent(`${uploadFolder(app, upload.id)}/startedat`);
    assert.equal(started.toString(), '2026-02-03T04:05:06.000Z');
    assert.equal((await stores.driver.stat(`${uploadFolder(app, upload.id)}/data`)).size, large.length);
  });

  test('goes on where it is', async () => {
    const stores = startOn(new MemoryFileSystem());
    const upload = await open(stores);
    for (let start = 0; start < large.length; start += 30_000) {
      const chunk = large.subarray(start, start + 30_000);
      await append(upload, chunk, { start, length: chunk.length });
    }
    await upload.commit(digestOf(large), openPermit);
    assert.ok((await readBlob(stores, app, digestOf(large)))?.equals(large));
  });

  test('refuses a chunk that starts elsewhere and stays as it was', async () => {
    const upload = await open(startOn(new MemoryFileSystem()));
    await append(upload, small);
    for (const start of [0, small.length - 1, small.length + 1]) {
      await assert.rejects(append(upload, small, { start }), { code: 'RANGE_INVALID' });
    }
    assert.equal(upload.size, small.length);
  });

  test('says that the length of a chunk was another one', async () => {
    const upload = await open(startOn(new MemoryFileSystem()));
    await assert.rejects(append(upload, small, { length: small.length + 1 }), { code: 'SIZE_INVALID' });
  });

  test('with another digest than promised is over, and nothing is published', async () => {
    for (const bytes of [small, large]) {
      const stores = startOn(new MemoryFileSystem());
      const upload = await open(stores);
      await append(upload, bytes);
      await assert.rejects(upload.commit(digestOf(bytesOf(10, 'other')), openPermit), {
        code: 'DIGEST_INVALID',
      });
      await assert.rejects(stores.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
      await assert.rejects(stores.driver.stat(blobDataPath(digestOf(bytes))), { name: 'PathNotFoundError' });
      assert.deepEqual(await uploadFolders(stores), []);
    }
  });

  test('may be verified by sha512, announced or not', async () => {
    for (const options of [{}, { algorithm: 'sha512' }] as const) {
      for (const bytes of [small, large]) {
        const stores = startOn(new MemoryFileSystem());
        const upload = await stores.uploads.open(app, options, openPermit);
        await append(upload, bytes);
        await upload.commit(digestOf(bytes, 'sha512'), openPermit);
        assert.ok((await readBlob(stores, app, digestOf(bytes, 'sha512')))?.equals(bytes));
        assert.ok((await readBlob(stores, app, digestOf(bytes)))?.equals(bytes));
      }
    }
  });

  test('of a blob that is there leaves the bytes and renews the link', async () => {
    const clock = new TestClock();
    const files = new MemoryFileSystem({ now: () => clock.now() });
    const stores = startOn(files, clock);
    for (const minute of [0, 1]) {
      if (minute) await clock.advance(60_000);
      const upload = await open(stores);
      await append(upload, large);
      await upload.commit(digestOf(large), openPermit);
    }
    const data = await stores.driver.stat(blobDataPath(digestOf(large)));
    assert.equal(clock.now() - data.modifiedAt, 60_000);
    assert.equal((await stores.blobs.stat(app, digestOf(large)))?.linkedAt, clock.now());
    assert.deepEqual(await uploadFolders(stores), []);
  });

  test('that is cancelled is forgotten with its files', async () => {
    for (const bytes of [small, large]) {
      const stores = startOn(new MemoryFileSystem());
      const upload = await open(stores);
      await append(upload, bytes);
      await upload.cancel();
      await assert.rejects(stores.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
      assert.deepEqual(await uploadFolders(stores), []);
    }
  });

  test('belongs to its repository', async () => {
    const stores = startOn(new MemoryFileSystem());
    const upload = await open(stores);
    await assert.rejects(stores.uploads.find(repositoryName('team/other'), upload.id), {
      code: 'BLOB_UPLOAD_UNKNOWN',
    });
    assert.equal(await stores.uploads.find(app, upload.id), upload);
  });

  test('with an id that is none is unknown', async () => {
    const stores = startOn(new MemoryFileSystem());
    for (const id of ['', '..', '../../x', 'not-a-uuid', '00000000-0000-8000-8000-000000000000']) {
      await assert.rejects(stores.uploads.find(app, id), { code: 'BLOB_UPLOAD_UNKNOWN' });
    }
  });
});

describe('a commit that is refused by the lease', () => {
  for (const [title, bytes] of [
    ['in memory', small],
    ['in a file', large],
  ] as const) {
    test(`leaves the upload ${title} as it was, to be tried again`, async () => {
      const stores = startOn(new MemoryFileSystem());
      const upload = await open(stores);
      await append(upload, bytes);
      const held = { ...openPermit, check: async () => Promise.reject(new Error('held')) };
      await assert.rejects(upload.commit(digestOf(bytes), held), { message: 'held' });
      assert.equal(await stores.blobs.stat(app, digestOf(bytes)), undefined);
      await upload.commit(digestOf(bytes), openPermit);
      assert.ok((await readBlob(stores, app, digestOf(bytes)))?.equals(bytes));
    });
  }
});

describe('a client that goes away', () => {
  for (const sent of [small, large]) {
    test(`finds the ${sent.length} bytes that it sent and can go on`, async () => {
      const files = new MemoryFileSystem();
      const stores = startOn(files);
      const upload = await open(stores);
      await assert.rejects(upload.append(cutOff(sent), {}, openPermit), { name: 'BodyCutOffError' });
      const found = await stores.uploads.find(app, upload.id);
      assert.equal(found.size, sent.length);
      await append(found, small, { start: sent.length });
      const whole = Buffer.concat([sent, small]);
      await found.commit(digestOf(whole), openPermit);
      assert.ok((await readBlob(stores, app, digestOf(whole)))?.equals(whole));
      assert.equal(files.openFiles, 0);
    });
  }

  test('before it sent anything has lost nothing', async () => {
    const upload = await open(startOn(new MemoryFileSystem()));
    const body = new PassThrough();
    body.destroy();
    await assert.rejects(upload.append(body, {}, openPermit), { name: 'BodyCutOffError' });
    assert.equal(upload.size, 0);
  });
});

describe('two requests for one upload at once', () => {
  test('are not mixed: the second is asked to come back', async () => {
    const stores = startOn(new MemoryFileSystem());
    const upload = await open(stores);
    const body = new PassThrough();
    const first = upload.append(body, {}, openPermit);
    for (const second of [
      () => append(upload, small),
      () => upload.commit(digestOf(small), openPermit),
      () => upload.cancel(),
    ]) {
      await assert.rejects(second, { code: 'UNAVAILABLE', headers: { 'Retry-After': '1' } });
    }
    body.end(small);
    await first;
    await upload.commit(digestOf(small), openPermit);
    assert.ok(await stores.blobs.stat(app, digestOf(small)));
  });
});

describe('a request that found an upload which another one ends', () => {
  for (const [how, end] of [
    ['commits', (upload: Upload, bytes: Buffer) => upload.commit(digestOf(bytes), openPermit)],
    ['loses', (upload: Upload) => assert.rejects(upload.commit(digestOf(bytesOf(1, 'x')), openPermit))],
    ['cancels', (upload: Upload) => upload.cancel()],
  ] as const) {
    for (const [where, bytes] of [
      ['in memory', small],
      ['in a file', Buffer.concat([small, large])],
    ] as const) {
      test(`learns that it is over when that one ${how} it ${where}`, async () => {
        const stores = startOn(new MemoryFileSystem());
        const upload = await open(stores);
        await append(upload, bytes);
        // Found before, and held by the gate in the meantime.
        const late = await stores.uploads.find(app, upload.id);
        await end(upload, bytes);
        await assert.rejects(append(late, bytesOf(10, 'late')), { code: 'BLOB_UPLOAD_UNKNOWN' });
        const whole = digestOf(Buffer.concat([bytes, bytesOf(10, 'late')]));
        await assert.rejects(late.commit(whole, openPermit), { code: 'BLOB_UPLOAD_UNKNOWN' });
        await assert.rejects(stores.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
        assert.equal(await stores.blobs.stat(app, whole), undefined);
        assert.deepEqual(await uploadFolders(stores), []);
      });
    }
  }
});

describe('after a restart', () => {
  test('an upload in a file goes on, and is read again for its digest', async () => {
    const files = new MemoryFileSystem();
    const before = startOn(files);
    const { id } = await open(before).then(async (upload) => {
      await append(upload, large);
      return upload;
    });
    const stores = startOn(files);
    const upload = await stores.uploads.find(app, id);
    assert.equal(upload.size, large.length);
    await append(upload, small, { start: large.length });
    const whole = Buffer.concat([large, small]);
    await upload.commit(digestOf(whole), openPermit);
    assert.ok((await readBlob(stores, app, digestOf(whole)))?.equals(whole));
  });

  test('an upload of distribution goes on', async () => {
    const stores = startOn(new MemoryFileSystem());
    const folder = uploadFolder(app, '4c1b2e0a-4d6f-4c3e-9d3f-0123456789ab');
    await stores.driver.putContent(`${folder}/startedat`, Buffer.from('2026-01-01T00:00:00Z'));
    await stores.driver.putContent(`${folder}/data`, small);
    await stores.driver.putContent(`${folder}/hashstates/sha256/5000`, Buffer.from('opaque'));
    const upload = await stores.uploads.find(app, '4c1b2e0a-4d6f-4c3e-9d3f-0123456789ab');
    await append(upload, large, { start: small.length });
    await upload.commit(digestOf(Buffer.concat([small, large])), openPermit);
    assert.deepEqual(await uploadFolders(stores), []);
  });
});

describe('another process', () => {
  test('may continue an upload, and this one notices', async () => {
    const files = new MemoryFileSystem();
    const one = startOn(files);
    const two = startOn(files);
    const upload = await open(one);
    await append(upload, large);
    await append(await two.uploads.find(app, upload.id), small);
    const found = await one.uploads.find(app, upload.id);
    assert.equal(found.size, large.length + small.length);
    await found.commit(digestOf(Buffer.concat([large, small])), openPermit);
    await assert.rejects(two.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
  });
});

describe('of two processes that have nothing to do with each other', () => {
  async function world() {
    const files = new MemoryFileSystem();
    const [one, two] = [startOn(files), startOn(files)];
    const upload = await open(one);
    await append(upload, large);
    return { files, one, two, upload };
  }

  test('one notices that the other ended an upload which it was about to go on with', async () => {
    const { one, two, upload } = await world();
    const late = await one.uploads.find(app, upload.id);
    await (await two.uploads.find(app, upload.id)).cancel();
    await assert.rejects(append(late, small), { code: 'BLOB_UPLOAD_UNKNOWN' });
    await assert.rejects(one.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
  });

  test('what the one publishes is not what the other still writes', async () => {
    const { files, one, two, upload } = await world();
    const whole = Buffer.concat([large, bytesOf(70_000, 'the rest')]);
    const hanging = new PassThrough();
    const request = upload.append(hanging, {}, openPermit);
    hanging.write(Buffer.from(bytesOf(70_000, 'the rest').subarray(0, 100)));
    await settle();
    const found = await two.uploads.find(app, upload.id);
    assert.equal(found.size, large.length);
    await append(found, whole.subarray(large.length));
    await found.commit(digestOf(whole), openPermit);
    hanging.end(bytesOf(200_000, 'something else'));
    await request;
    assert.ok((await readBlob(two, app, digestOf(whole)))?.equals(whole));
    await assert.rejects(one.uploads.find(app, upload.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
    assert.equal(files.openFiles, 0);
    assert.deepEqual(await uploadFolders(two), []);
  });

  test('one does not publish what the other has written over', async () => {
    const { one, two, upload } = await world();
    const late = await one.uploads.find(app, upload.id);
    const found = await two.uploads.find(app, upload.id);
    const hanging = new PassThrough();
    const request = found.append(hanging, {}, openPermit);
    await settle();
    await assert.rejects(late.commit(digestOf(large), openPermit), { code: 'BLOB_UPLOAD_UNKNOWN' });
    hanging.end(small);
    await request;
    assert.equal(await one.blobs.stat(app, digestOf(large)), undefined);
    await found.commit(digestOf(Buffer.concat([large, small])), openPermit);
  });

  test('each may take any request of an upload that is in a file', async () => {
    const { files, one, two, upload } = await world();
    let whole = large;
    for (const [index, stores] of [two, one, one, two, two, one].entries()) {
      const bytes = bytesOf(30_000, `chunk ${index}`);
      const found = await stores.uploads.find(app, upload.id);
      assert.equal(found.size, whole.length);
      await append(found, bytes, { start: whole.length });
      whole = Buffer.concat([whole, bytes]);
    }
    await (await two.uploads.find(app, upload.id)).commit(digestOf(whole), openPermit);
    assert.ok((await readBlob(one, app, digestOf(whole)))?.equals(whole));
    assert.equal(files.openFiles, 0);
    assert.deepEqual(await uploadFolders(one), []);
  });
});

describe('a disk that fills up', () => {
  test('costs the bytes that did not fit, and the client can go on when there is room', async () => {
    let full = false;
    const files = new MemoryFileSystem({
      before: (operation, path) => {
        if (full && operation === 'write') throw diskError('ENOSPC', path);
      },
    });
    const stores = startOn(files);
    const upload = await open(stores);
    await append(upload, large);
    full = true;
    await assert.rejects(append(upload, large), { code: 'UNAVAILABLE', message: /full/ });
    full = false;
    const found = await stores.uploads.find(app, upload.id);
    assert.equal(found.size, large.length);
    await append(found, small, { start: large.length });
    await found.commit(digestOf(Buffer.concat([large, small])), openPermit);
    assert.equal(files.openFiles, 0);
  });

  test('while an upload moves from memory to a file keeps what was in memory', async () => {
    let full = true;
    const files = new MemoryFileSystem({
      before: (operation, path) => {
        if (full && operation === 'makeDirectory' && path.includes('_uploads'))
          throw diskError('ENOSPC', path);
      },
    });
    const stores = startOn(files);
    const upload = await open(stores);
    await append(upload, small);
    await assert.rejects(append(upload, large), { code: 'UNAVAILABLE' });
    full = false;
    assert.equal(upload.size, small.length);
    await append(upload, large, { start: small.length });
    await upload.commit(digestOf(Buffer.concat([small, large])), openPermit);
  });
});

describe('what uploads hold in memory', () => {
  test('is let go after an hour without a request', async () => {
    const clock = new TestClock();
    const stores = startOn(new MemoryFileSystem(), clock);
    const inMemory = await open(stores);
    await append(inMemory, small);
    const inFile = await open(stores);
    await append(inFile, large);
    await clock.advance(3_600_001);
    await open(stores);
    await assert.rejects(stores.uploads.find(app, inMemory.id), { code: 'BLOB_UPLOAD_UNKNOWN' });
    assert.equal((await stores.uploads.find(app, inFile.id)).size, large.length);
  });

  test('has a limit for all together; what is beyond it goes to files', async () => {
    const stores = startOn(new MemoryFileSystem());
    const uploads: Upload[] = [];
    for (let count = 0; count < 520; count++) {
      const upload = await open(stores);
      await append(upload, bytesOf(65_536, String(count)));
      uploads.push(upload);
    }
    assert.equal((await uploadFolders(stores)).length, 520 - 512);
    for (const [count, upload] of uploads.entries()) {
      await upload.commit(digestOf(bytesOf(65_536, String(count))), openPermit);
    }
    await append(await open(stores), bytesOf(65_536, 'again'));
    assert.deepEqual(await uploadFolders(stores), []);
  });
});

describe('the activity of uploads', () => {
  test('counts requests and ends with the upload', async () => {
    const events: string[] = [];
    const activity: UploadActivity = {
      enter: () => {
        events.push('enter');
        return { [Symbol.dispose]: () => void events.push('exit') };
      },
      leave: () => void events.push('leave'),
    };
    const { driver } = startOn(new MemoryFileSystem());
    const uploads = new UploadStore({ driver, clock: new TestClock(), log: logSink().log, activity });
    const upload = await uploads.open(app, {}, openPermit);
    const body = new PassThrough();
    const appending = upload.append(body, {}, openPermit);
    await settle();
    assert.deepEqual(events.splice(0), ['enter', 'exit', 'enter']);
    body.end(small);
    await appending;
    await upload.commit(digestOf(small), openPermit);
    assert.deepEqual(events, ['exit', 'enter', 'leave', 'exit']);
  });
});

/** What may happen to an upload between its begin and its end. */
type Step =
  | { readonly kind: 'append' | 'cut off'; readonly bytes: number }
  | { readonly kind: 'find' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'power cut' };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.nat(100_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut off' as const), bytes: fc.nat(100_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('find' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('power cut' as const) }) },
);

test('whatever happens to an upload, its blob is what the client sent or it is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 8 }), async (steps) => {
      let files = new MemoryFileSystem();
      let stores = startOn(files);
      let { id } = await open(stores);
      let sent = Buffer.alloc(0);
      /** As a client does: asks how far the upload is, and begins anew when it is unknown. */
      const resume = async (): Promise<Upload> => {
        try {
          const upload = await stores.uploads.find(app, id);
          // A client cannot know what a server lost beyond its size.
          sent = sent.subarray(0, upload.size);
          return upload;
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error && error.code === 'BLOB_UPLOAD_UNKNOWN');
          const upload = await open(stores);
          id = upload.id;
          sent = Buffer.alloc(0);
          return upload;
        }
      };
      for (const [index, step] of steps.entries()) {
        if (step.kind === 'restart') stores = startOn(files);
        if (step.kind === 'power cut') {
          files = new MemoryFileSystem({ disk: files.disk.afterPowerCut('names-and-zeros') });
          stores = startOn(files);
        }
        const upload = await resume();
        if (step.kind !== 'append' && step.kind !== 'cut off') continue;
        const bytes = bytesOf(step.bytes, `step ${index}`);
        sent = Buffer.concat([sent, bytes]);
        if (step.kind === 'append') await append(upload, bytes, { start: sent.length - bytes.length });
        else await upload.append(cutOff(bytes), {}, openPermit).catch(() => {});
        assert.equal(upload.size, sent.length);
      }
      const upload = await resume();
      const digest = digestOf(sent);
      try {
        await upload.commit(digest, openPermit);
      } catch (error) {
        // After a power cut the file may be full of zeros; then it must not become a blob.
        assert.ok(error instanceof Error && 'code' in error && error.code === 'DIGEST_INVALID');
        assert.ok(steps.some(({ kind }) => kind === 'power cut'));
        assert.equal(await stores.blobs.stat(app, digest), undefined);
        return;
      }
      assert.ok((await readBlob(stores, app, digest))?.equals(sent));
      assert.equal(files.openFiles, 0);
      assert.deepEqual(await uploadFolders(stores), []);
    }),
    { numRuns: 150 },
  );
});
