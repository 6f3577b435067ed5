import { Readable } from 'node:stream';
import { digestOf, type Digest, type DigestAlgorithm } from '../../src/oci/digest.ts';
import type { Platform } from '../../src/oci/manifest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { parseRepositoryName, type RepositoryName } from '../../src/oci/repository-name.ts';
import { parseTag, type Tag } from '../../src/oci/tag.ts';
import type { Clock } from '../../src/process/clock.ts';
import type { WritePermit } from '../../src/registry/lease/write-gate.ts';
import { BlobStore } from '../../src/registry/storage/blob-store.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import type { ManifestRules } from '../../src/registry/storage/manifest-rules.ts';
import { ManifestStore } from '../../src/registry/storage/manifest-store.ts';
import { TagStore } from '../../src/registry/storage/tag-store.ts';
import { UploadStore } from '../../src/registry/storage/upload-store.ts';
import { logSink, type LogRecord } from './log-sink.ts';
import { openGate, openPermit } from './open-gate.ts';
import { TestClock } from './test-clock.ts';

/** The stores on one driver, as `serve` puts them together. */
export interface Stores {
  readonly driver: StorageDriver;
  readonly blobs: BlobStore;
  readonly uploads: UploadStore;
  readonly tags: TagStore;
  readonly manifests: ManifestStore;
  readonly records: readonly LogRecord[];
}

/** Takes every manifest whose references are there. */
const everything: ManifestRules = { assertAllowed: () => {}, mustExist: () => true };

export function createStores(
  driver: StorageDriver,
  clock: Clock = new TestClock(),
  rules: ManifestRules = everything,
): Stores {
  const { log, records } = logSink();
  const blobs = new BlobStore({ driver, clock, log });
  const tags = new TagStore({ driver, lookups: 2 });
  const uploads = new UploadStore({ driver, clock, log, activity: openGate });
  const manifests = new ManifestStore({ driver, blobs, tags, rules, log });
  return { driver, blobs, uploads, tags, manifests, records };
}

export function repositoryName(text: string): RepositoryName {
  return parsed(parseRepositoryName(text), text);
}

export function tagName(text: string): Tag {
  return parsed(parseTag(text), text);
}

function parsed<T>(value: T | undefined, text: string): T {
  if (value === undefined) throw new Error(`${text} does not parse`);
  return value;
}

/** Pushes a blob in one piece. */
export async function pushBlob(
  stores: Stores,
  repository: RepositoryName,
  bytes: Buffer,
  options: { readonly algorithm?: DigestAlgorithm; readonly permit?: WritePermit } = {},
): Promise<Digest> {
  const permit = options.permit ?? openPermit;
  const digest = digestOf(bytes, options.algorithm);
  const upload = await stores.uploads.open(repository, {}, permit);
  await upload.append(bodyOf(bytes), { length: bytes.length }, permit);
  await upload.commit(digest, permit);
  return digest;
}

/** A request body that arrives in chunks, each in memory of its own as from a socket: the store keeps it. */
export function bodyOf(bytes: Buffer, chunkBytes = 64 * 1024): Readable {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    chunks.push(Buffer.from(bytes.subarray(start, start + chunkBytes)));
  }
  return Readable.from(chunks, { objectMode: false });
}

/** All bytes of a blob of this repository; undefined when it has none. */
export async function readBlob(
  stores: Stores,
  repository: RepositoryName,
  digest: Digest,
): Promise<Buffer | undefined> {
  const stat = await stores.blobs.stat(repository, digest);
  return stat && readAll(await stores.blobs.read(stat.digest));
}

export async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const chunk of chunks) copies.push(Buffer.from(chunk));
  return Buffer.concat(copies);
}

export interface Named {
  readonly digest: Digest;
  readonly size?: number;
  readonly mediaType?: string;
  readonly platform?: Platform;
  readonly urls?: readonly string[];
}

/** An image manifest that says `config` and `layers`, with changes. */
export function imageManifest(config: Named, layers: readonly Named[] = [], changes: object = {}): Buffer {
  const descriptor = (blob: Named, mediaType: string): object => ({ mediaType, size: 1, ...blob });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => descriptor(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')),
      ...changes,
    }),
  );
}

export function imageIndex(manifests: readonly Named[], changes: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: manifests.map((manifest) => ({ mediaType: mediaTypes.ociManifest, size: 1, ...manifest })),
      ...changes,
    }),
  );
}

/** Bytes that no other call with another seed makes. */
export function bytesOf(size: number, seed: string): Buffer {
  return Buffer.alloc(size, `${seed}.`);
}
