import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDigest, type Digest } from '../../../../src/oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../../../src/oci/repository-name.ts';
import { parseTag, type Tag } from '../../../../src/oci/tag.ts';
import { systemClock, type Clock } from '../../../../src/process/clock.ts';
import type { FileWriter, StorageDriver } from '../../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../../src/registry/storage/filesystem/filesystem-driver.ts';
import {
  MirrorCache,
  type BlobSource,
  type CachedBlob,
  type CacheLimits,
} from '../../../../src/mirror/cache/mirror-cache.ts';
import { UpstreamError, type UpstreamManifest } from '../../../../src/mirror/upstream.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { logSink } from '../../../support/log-sink.ts';

export const MIB = 1024 * 1024;

export const never = new AbortController().signal;

export function repository(name: string): RepositoryName {
  const parsed = parseRepositoryName(name);
  if (parsed === undefined) throw new Error(`${name} is no repository`);
  return parsed;
}

export function tag(name: string): Tag {
  const parsed = parseTag(name);
  if (parsed === undefined) throw new Error(`${name} is no tag`);
  return parsed;
}

export interface Content {
  readonly bytes: Buffer;
  readonly digest: Digest;
}

/** Bytes that differ with `seed`, and at every place. */
export function content(size: number, seed = 1): Content {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0, state = seed; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return { bytes, digest: sha256(bytes) };
}

export function sha256(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === undefined) throw new Error('no digest');
  return digest;
}

export function image(blobs: readonly Content[], name = ''): UpstreamManifest {
  const [config, ...layers] = blobs.map(({ digest, bytes }) => ({
    mediaType: 'application/octet-stream',
    digest,
    size: bytes.length,
  }));
  return manifest({
    mediaType: mediaTypes.ociManifest,
    config,
    layers,
    annotations: { name },
  });
}

export function index(children: readonly UpstreamManifest[]): UpstreamManifest {
  const manifests = children.map(({ mediaType, digest, bytes }) => ({
    mediaType,
    digest,
    size: bytes.length,
  }));
  return manifest({ mediaType: mediaTypes.ociIndex, manifests });
}

function manifest(
  document: Readonly<Record<string, unknown>> & { readonly mediaType: string },
): UpstreamManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }));
  return { bytes, mediaType: document.mediaType, digest: sha256(bytes) };
}

/** What an upstream does with one request; the last of a list goes for all that follow. */
export interface Answer {
  /** Breaks off after so many bytes of this answer. */
  readonly breakAfter?: number;
  /** Ends the body there as if that were all. */
  readonly endAfter?: number;
  readonly fails?: UpstreamError;
  /** Sends the whole whatever was asked for. */
  readonly ignoresRange?: boolean;
  readonly size?: number;
  readonly bytes?: Buffer;
  /** Awaited before each chunk, with the bytes of this answer that were sent. */
  readonly before?: (sent: number) => Promise<void> | void;
}

export interface TestUpstream {
  readonly source: BlobSource;
  /** The byte that each request began at. */
  readonly requests: number[];
  /** Bodies that are not ended. */
  open: number;
}

/** An upstream that answers as told, in chunks of 64 KiB, each in memory of its own. */
export function upstream(whole: Content, answers: readonly Answer[] = [{}]): TestUpstream {
  const result: TestUpstream = {
    requests: [],
    open: 0,
    source: async (start, signal) => {
      signal.throwIfAborted();
      const answer = answers[Math.min(result.requests.length, answers.length - 1)] ?? {};
      result.requests.push(start);
      if (answer.fails) throw answer.fails;
      const bytes = answer.bytes ?? whole.bytes;
      const from = answer.ignoresRange ? 0 : start;
      return {
        size: answer.size ?? bytes.length,
        start: from,
        body: send(bytes.subarray(from), answer, signal),
      };
    },
  };
  async function* send(bytes: Buffer, answer: Answer, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    result.open++;
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    signal.addEventListener('abort', () => aborted.reject(signal.reason));
    try {
      const end = Math.min(answer.breakAfter ?? bytes.length, answer.endAfter ?? bytes.length, bytes.length);
      for (let at = 0; at < end; at += 64 * 1024) {
        await Promise.race([answer.before?.(at), aborted.promise]);
        signal.throwIfAborted();
        // A turn of the event loop, as the network takes.
        await new Promise((resolve) => setImmediate(resolve));
        yield Uint8Array.from(bytes.subarray(at, Math.min(at + 64 * 1024, end)));
      }
      if (answer.breakAfter !== undefined) throw new UpstreamError('unavailable', 'the connection broke');
    } finally {
      result.open--;
    }
  }
  return result;
}

/** The whole of what is read. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  // A chunk is valid until the next one.
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

export async function pull(blob: Promise<CachedBlob>): Promise<Buffer> {
  await using opened = await blob;
  const bytes = await collect(await opened.read());
  return bytes;
}

export interface TestCache extends AsyncDisposable {
  readonly cache: MirrorCache;
  readonly driver: StorageDriver;
  readonly records: ReturnType<typeof logSink>['records'];
}

export async function openCache(
  folder: string,
  options: {
    readonly limits?: Partial<CacheLimits>;
    readonly clock?: Clock;
    readonly wrap?: (driver: StorageDriver) => StorageDriver;
  } = {},
): Promise<TestCache> {
  const { log, records } = logSink();
  const plain = createFilesystemDriver({ root: folder, log });
  const driver = options.wrap?.(plain) ?? plain;
  const limits = { highWatermark: 90, lowWatermark: 80, ...options.limits };
  const cache = await MirrorCache.open({ driver, log, limits, clock: options.clock ?? systemClock });
  return { cache, driver, records, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
}

/** Bytes of all blobs and manifests that lie on the disk. */
export function bytesOnDisk(folder: string): number {
  const root = join(folder, 'docker/registry/v2/blobs');
  return filesBelow(root)
    .filter((name) => name.endsWith('/data'))
    .reduce((sum, name) => sum + statSync(name).size, 0);
}

/** Files that fetches in progress have. */
export function fillFiles(folder: string): string[] {
  return filesBelow(join(folder, 'docker/registry/stevedore/mirror/fills'));
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

/** A disk on which so many bytes of one unfinished file find room. */
export function fullAfter(driver: StorageDriver, bytes: number): StorageDriver {
  return new Proxy(driver, {
    get(target, name): unknown {
      if (name === 'writer') {
        return async (...args: Parameters<StorageDriver['writer']>) =>
          new FullWriter(await driver.writer(...args), bytes);
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

class FullWriter implements FileWriter {
  readonly #writer: FileWriter;
  readonly #room: number;

  constructor(writer: FileWriter, room: number) {
    this.#writer = writer;
    this.#room = room;
  }

  get size(): number {
    return this.#writer.size;
  }

  get written(): number {
    return this.#writer.written ?? 0;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.size + chunk.length > this.#room) {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }
    return this.#writer.write(chunk);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
