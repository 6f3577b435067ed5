import { digestOf, type Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StorageDriver } from '../../registry/storage/driver.ts';
import { deleteIfThere, readIfThere } from '../../registry/storage/if-there.ts';
import { linkContent } from '../../registry/storage/links.ts';
import { ManifestContents, storedMediaType } from '../../registry/storage/manifest-content.ts';
import {
  blobDataPath,
  MIRROR_FILLS_ROOT,
  MIRROR_USES_PATH,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagFolder,
} from '../../registry/storage/paths.ts';
import type { UpstreamManifest } from '../upstream.ts';
import { BlobCache, type CachedBlob } from './blob-cache.ts';
import { claimStore } from './claim.ts';
import { CacheDisk } from './cache-disk.ts';
import { CacheIndex } from './cache-index.ts';
import { needsOf } from './needs.ts';
import type { BlobSource } from './resumed-body.ts';
import { scanDisk } from './scan.ts';
import { decodeUses, encodeUses } from './uses.ts';

export type { CachedBlob } from './blob-cache.ts';
export type { BlobSource } from './resumed-body.ts';

/** What was used is written down this often, and what nobody used goes; milliseconds. */
const EVERY = 60_000;

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
  /** As repositories have them: what two have counts twice. */
  readonly manifests: number;
  readonly blobs: number;
  /** Fetches in progress, and who reads along with them. */
  readonly fills: number;
  readonly followers: number;
  /** Images, and blobs that no manifest needed. */
  readonly evictedImages: number;
  readonly evictedBytes: number;
}

/**
 * What a mirror keeps: blobs, manifests and tags of its upstreams, in the tree that a registry has, under the names that
 * repositories have on the disk. docs/decisions/0021-mirror-cache.md.
 */
export class MirrorCache implements AsyncDisposable {
  readonly #deps: MirrorCacheDependencies;
  readonly #disk: CacheDisk;
  readonly #index: CacheIndex;
  readonly #blobs: BlobCache;
  readonly #contents: ManifestContents;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Whether something was used that is not written down. */
  #isUsed = false;

  /** Reads what is on the disk, and removes what a process that died had begun to fetch. @throws as `claimStore`, and what the store throws */
  static async open(deps: MirrorCacheDependencies): Promise<MirrorCache> {
    const { driver, log, limits } = deps;
    await claimStore(driver);
    await deleteIfThere(driver, MIRROR_FILLS_ROOT, { durable: false });
    const uses = decodeUses(await readIfThere(driver, MIRROR_USES_PATH));
    const size = limits.size ?? Number.POSITIVE_INFINITY;
    const index = new CacheIndex({
      high: size * (limits.highWatermark / 100),
      low: size * (limits.lowWatermark / 100),
    });
    await scanDisk(index, { driver, log, uses });
    log.info({ ...index.counts, bytes: index.bytes }, 'opened the cache');
    const disk = new CacheDisk({ index, driver, log });
    await disk.evict(index.shrinkToWatermark());
    return new MirrorCache(deps, disk);
  }

  private constructor(deps: MirrorCacheDependencies, disk: CacheDisk) {
    this.#deps = deps;
    this.#disk = disk;
    this.#index = disk.index;
    this.#blobs = new BlobCache(disk, deps);
    this.#contents = new ManifestContents(deps);
    this.#running = this.#repeat();
  }

  /**
   * The blob from the disk, or from the fetch in progress, or from a new one: one request to the upstream for as many
   * readers as there are. A fetch goes on when its readers have left. Resolves when the size is known and the first bytes
   * are there. Counts as a use.
   * @param source for this repository. Asked also for a blob that only other repositories have been seen to have.
   * @param signal ends the wait, not the fetch.
   * @throws UpstreamError, or the signal's reason
   */
  async openBlob(
    repository: RepositoryName,
    digest: Digest,
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<CachedBlob> {
    this.#isUsed = true;
    return this.#blobs.open(repository, digest, source, signal);
  }

  /**
   * Bytes of a blob as far as that is known without asking the upstream: because it is here, on its way, or described by a
   * manifest of the repository. For HEAD.
   */
  blobSize(repository: RepositoryName, digest: Digest): number | undefined {
    return this.#blobs.sizeOf(repository, digest);
  }

  /** Counts as a use of the image. @throws what the store throws */
  async getManifest(repository: RepositoryName, digest: Digest): Promise<UpstreamManifest | undefined> {
    const entry = this.#index.manifest(repository, digest);
    if (entry === undefined) return undefined;
    this.#isUsed = true;
    this.#index.useManifest(repository, digest, this.#deps.clock.now());
    const content = await this.#contents.load(entry.canonical);
    // Somebody else has removed or damaged it.
    if (content === undefined) this.#index.forget(entry.canonical);
    return content && { digest, ...content };
  }

  /**
   * Keeps a manifest, if there is room; what goes wrong with that is logged. One whose type its own bytes do not tell is
   * not kept: the tree has no other place for it.
   * @param manifest verified against its digest.
   */
  async putManifest(repository: RepositoryName, manifest: UpstreamManifest): Promise<void> {
    const { digest, mediaType, bytes } = manifest;
    const known = this.#index.manifest(repository, digest) !== undefined;
    if (known || storedMediaType(bytes) !== mediaType) return;
    const size = bytes.length;
    if (!(await this.#disk.makeRoom(size))) return;
    const canonical = digestOf(bytes);
    try {
      await this.#disk.publish(
        canonical,
        [
          { path: blobDataPath(canonical), content: bytes, keepExisting: true },
          { path: revisionLinkPath(repository, digest), content: linkContent(canonical) },
        ],
        () => {
          const usedAt = this.#deps.clock.now();
          this.#index.addManifest(repository, { digest, canonical, size, ...needsOf(bytes), usedAt });
          this.#index.useManifest(repository, digest, usedAt);
        },
      );
      this.#contents.keep(canonical, bytes);
    } catch (error) {
      await this.#disk.noteFailure(error, size);
    } finally {
      this.#index.release(size);
      this.#isUsed = true;
    }
  }

  /** Never leads to a manifest that is not here. */
  getTag(repository: RepositoryName, tag: Tag): CachedTag | undefined {
    return this.#index.tag(repository, tag);
  }

  /**
   * Keeps what the upstream said just now of a tag; what goes wrong with that is logged. Costs nothing where it says the
   * same as before.
   * @returns whether it is kept: only where its manifest is.
   */
  async putTag(repository: RepositoryName, tag: Tag, digest: Digest): Promise<boolean> {
    const manifest = this.#index.manifest(repository, digest);
    if (manifest === undefined) return false;
    this.#isUsed = true;
    const entry = { digest, checkedAt: this.#deps.clock.now() };
    if (this.#index.tag(repository, tag)?.digest === digest)
      return this.#index.setTag(repository, tag, entry);
    const link = { path: tagCurrentLinkPath(repository, tag), content: linkContent(digest) };
    let isSet = false;
    try {
      await this.#disk.publish(manifest.canonical, [link], () => {
        isSet = this.#index.setTag(repository, tag, entry);
      });
    } catch (error) {
      await this.#disk.noteFailure(error, link.content.length);
    }
    return isSet;
  }

  /** The upstream has no such tag any more. The manifest stays until nobody has used it for long. */
  async removeTag(repository: RepositoryName, tag: Tag): Promise<void> {
    if (this.#index.removeTag(repository, tag)) {
      await deleteIfThere(this.#deps.driver, tagFolder(repository, tag));
    }
  }

  /** Of a repository, sorted bytewise. */
  tags(repository: RepositoryName): readonly Tag[] {
    return this.#index.tags(repository);
  }

  get facts(): CacheFacts {
    return {
      bytes: this.#index.bytes + this.#index.reserved,
      limit: this.#deps.limits.size,
      ...this.#index.counts,
      ...this.#blobs.facts,
      evictedImages: this.#disk.evicted.images,
      evictedBytes: this.#disk.evicted.bytes,
    };
  }

  /** Ends fetches, and writes down what was used when. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the mirror stops'));
    await this.#running;
    await this.#blobs.close();
    await this.#disk.settled();
    await this.#writeUses();
  }

  async #repeat(): Promise<void> {
    const { clock, limits } = this.#deps;
    for (;;) {
      try {
        await clock.sleep(EVERY, this.#stop.signal);
      } catch {
        return;
      }
      if (limits.ttl !== undefined) await this.#disk.evict(this.#index.expire(clock.now() - limits.ttl));
      await this.#writeUses();
    }
  }

  async #writeUses(): Promise<void> {
    if (!this.#isUsed) return;
    this.#isUsed = false;
    try {
      await this.#deps.driver.putContent(MIRROR_USES_PATH, encodeUses(this.#index));
    } catch (error) {
      this.#isUsed = true;
      this.#deps.log.warn({ error }, 'what was used cannot be written down; trying again later');
    }
  }
}
