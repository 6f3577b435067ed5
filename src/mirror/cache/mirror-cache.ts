import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { ByteRange, StorageDriver } from '../../registry/storage/driver.ts';
import type { UpstreamBlob, UpstreamManifest } from '../upstream.ts';

/** Asks the upstream for a blob from byte `start` on. @throws UpstreamError, or the signal's reason */
export type BlobSource = (start: number, signal: AbortSignal) => Promise<UpstreamBlob>;

/**
 * Where a blob came from: the disk, a fetch that somebody else had begun, one that began with this request, or past the
 * cache.
 */
export type BlobOutcome = 'hit' | 'join' | 'miss' | 'bypass';

/** A blob that somebody reads. It is not evicted before it was disposed of. */
export interface CachedBlob extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** Of what was read so far: a range that the fetch in progress does not reach soon turns `join` and `miss` into `bypass`. */
  readonly outcome: BlobOutcome;
  /**
   * The bytes of `range`, default all. Resolves when the first of them are there. A chunk is valid until the next one is
   * asked for, as with `StorageDriver.read`. The last bytes of a blob come after it was verified: an iteration that throws
   * has given less than the whole, and the connection of the client must be cut.
   * @throws UpstreamError
   */
  read(range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
}

/** How much is kept, and for how long. */
export interface CacheLimits {
  /** Bytes of content; undefined: as much as comes. */
  readonly size?: number;
  /** Percent of `size`: what would go beyond makes room first, down to the low watermark. */
  readonly highWatermark: number;
  readonly lowWatermark: number;
  /** Milliseconds after its last use that an image is kept; undefined: for ever. */
  readonly ttl?: number;
}

export interface MirrorCacheDependencies {
  /** On a disk: what is fetched is read while it grows. */
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: CacheLimits;
}

/** A tag as it was when the upstream was asked last. */
export interface CachedTag {
  readonly digest: Digest;
  /** When the upstream was asked; milliseconds since the epoch. */
  readonly checkedAt: number;
}

/** What the cache holds and has done since it was opened. */
export interface CacheFacts {
  /** Bytes of content on the disk, and of what is being fetched. */
  readonly bytes: number;
  /** Bytes; undefined: none. */
  readonly limit: number | undefined;
  readonly manifests: number;
  readonly blobs: number;
  /** Fetches in progress, and who reads along with them. */
  readonly fills: number;
  readonly followers: number;
  readonly evictedImages: number;
  readonly evictedBytes: number;
}

/**
 * What a mirror keeps: blobs, manifests and tags of its upstreams, in the tree that a registry has, under the names that
 * repositories have on the disk. docs/decisions/0019-mirror.md.
 */
export class MirrorCache implements AsyncDisposable {
  /** Reads what is on the disk, and removes what a process that died had begun to fetch. @throws what the store throws */
  static async open(deps: MirrorCacheDependencies): Promise<MirrorCache> {
    return new MirrorCache(deps);
  }

  private constructor(_deps: MirrorCacheDependencies) {}

  /**
   * The blob from the disk, or from the fetch in progress, or from a new one: one request to the upstream for as many
   * readers as there are. A fetch goes on when its readers have left. Resolves when the size is known and the first bytes
   * are there. Counts as a use.
   * @param source for this repository. Asked also for a blob that only other repositories have been seen to have.
   * @param signal ends the wait, not the fetch.
   * @throws UpstreamError, or the signal's reason
   */
  openBlob(
    _repository: RepositoryName,
    _digest: Digest,
    _source: BlobSource,
    _signal: AbortSignal,
  ): Promise<CachedBlob> {
    throw new Error('not built yet');
  }

  /**
   * Bytes of a blob as far as that is known without asking the upstream: because it is here, on its way, or described by a
   * manifest of the repository. For HEAD.
   */
  blobSize(_repository: RepositoryName, _digest: Digest): number | undefined {
    throw new Error('not built yet');
  }

  /** Counts as a use of the image. */
  getManifest(_repository: RepositoryName, _digest: Digest): Promise<UpstreamManifest | undefined> {
    throw new Error('not built yet');
  }

  /**
   * Keeps a manifest, if there is room; what goes wrong with that is logged. One whose type its own bytes do not tell is
   * not kept: the tree has no other place for it.
   * @param manifest verified against its digest.
   */
  putManifest(_repository: RepositoryName, _manifest: UpstreamManifest): Promise<void> {
    throw new Error('not built yet');
  }

  /** Never leads to a manifest that is not here. */
  getTag(_repository: RepositoryName, _tag: Tag): CachedTag | undefined {
    throw new Error('not built yet');
  }

  /**
   * Keeps what the upstream said just now of a tag. Costs nothing where it says the same as before.
   * @returns whether it is kept: only where its manifest is.
   */
  putTag(_repository: RepositoryName, _tag: Tag, _digest: Digest): Promise<boolean> {
    throw new Error('not built yet');
  }

  /** The upstream has no such tag any more. The manifest stays until nobody has used it for long. */
  removeTag(_repository: RepositoryName, _tag: Tag): Promise<void> {
    throw new Error('not built yet');
  }

  /** Of a repository, sorted bytewise. */
  tags(_repository: RepositoryName): readonly Tag[] {
    throw new Error('not built yet');
  }

  get facts(): CacheFacts {
    throw new Error('not built yet');
  }

  /** Ends fetches, and writes down what was used when. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
