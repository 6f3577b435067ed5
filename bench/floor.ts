import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from './content.ts';

const SYNC_EVERY = 16 * 1024 * 1024;
const IN_FLIGHT = 2;
const SMALL_WRITES = 50;

export interface Floor {
  /** Bytes a second. */
  readonly bytesPerSecond: number;
  /** Seconds for appending 4 KiB to a file and having it on the disk, on average. */
  readonly smallSyncedWrite: number;
}

/** What hashing the bytes of a blob and writing them durably to a file takes with no HTTP and no registry. */
export async function measureFloor(folder: string, blob: Blob): Promise<Floor> {
  const began = performance.now();
  await hashAndWrite(join(folder, 'floor'), blob);
  const seconds = (performance.now() - began) / 1000;
  return {
    bytesPerSecond: blob.size / seconds,
    smallSyncedWrite: await measureSmallWrites(join(folder, 'small')),
  };
}

async function hashAndWrite(path: string, blob: Blob): Promise<void> {
  await using file = await open(path, 'wx');
  const sum = createHash('sha256');
  const writes: Promise<unknown>[] = [];
  let position = 0;
  let unsynced = 0;
  let syncing: Promise<void> | undefined;
  for (const part of blob.parts) {
    sum.update(part);
    if (writes.length >= IN_FLIGHT) await writes.shift();
    writes.push(file.write(part, 0, part.length, position));
    position += part.length;
    unsynced += part.length;
    if (unsynced < SYNC_EVERY || syncing !== undefined) continue;
    unsynced = 0;
    syncing = file.datasync().then(() => {
      syncing = undefined;
    });
  }
  await Promise.all([...writes, syncing]);
  await file.datasync();
  if (`sha256:${sum.digest('hex')}` !== blob.digest) throw new Error('the blob changed');
}

async function measureSmallWrites(path: string): Promise<number> {
  await using file = await open(path, 'wx');
  const bytes = Buffer.alloc(4096);
  const began = performance.now();
  for (let index = 0; index < SMALL_WRITES; index += 1) {
    await file.write(bytes, 0, bytes.length, index * bytes.length);
    await file.datasync();
  }
  return (performance.now() - began) / 1000 / SMALL_WRITES;
}
