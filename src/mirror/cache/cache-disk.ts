import type { Digest } from '../../oci/digest.ts';
import type { Logger } from '../../process/logger.ts';
import type { PublishedFile, StorageDriver } from '../../registry/storage/driver.ts';
import { deleteIfThere } from '../../registry/storage/if-there.ts';
import { blobDataPath, layerLinkPath, revisionLinkPath, tagFolder } from '../../registry/storage/paths.ts';
import { isFull } from '../../registry/storage/reserve.ts';
import type { CacheIndex, Removal } from './cache-index.ts';

/** Changes the disk together with the index, so that what the index says is what a scan of the disk would find. */
export class CacheDisk {
  readonly index: CacheIndex;
  readonly driver: StorageDriver;
  readonly #log: Logger;
  /** The removals that were asked for: whoever writes waits for them, since they may name what is written anew. */
  #removing: Promise<void> = Promise.resolve();
  #evicted = { images: 0, bytes: 0 };

  constructor(deps: { readonly index: CacheIndex; readonly driver: StorageDriver; readonly log: Logger }) {
    this.index = deps.index;
    this.driver = deps.driver;
    this.#log = deps.log;
  }

  /** Since the cache was opened. */
  get evicted(): { readonly images: number; readonly bytes: number } {
    return this.#evicted;
  }

  /** Sets room aside and waits until it is there. @returns false when there is none, and nothing was set aside. */
  async makeRoom(size: number): Promise<boolean> {
    const { fits, removals } = this.index.reserve(size);
    await this.evict(removals);
    return fits;
  }

  /**
   * Makes files visible and durable, and then known. What they hold is not evicted meanwhile.
   * @param canonical of the data among them
   */
  async publish(canonical: Digest, files: readonly PublishedFile[], add: () => void): Promise<void> {
    this.index.pin(canonical);
    try {
      await this.#removing;
      await this.driver.publish(files);
      add();
    } finally {
      this.index.unpin(canonical);
    }
  }

  /** When nothing is being removed any more. */
  settled(): Promise<void> {
    return this.#removing;
  }

  /** The disk has less room than the cache may take: what was used longest ago makes room for the next. */
  async noteFailure(error: unknown, size: number): Promise<void> {
    this.#log.error({ error }, 'what was fetched cannot be kept');
    if (isFull(error)) await this.evict(this.index.shrinkBy(size));
  }

  /** Takes what the index has given up off the disk. Never rejects: what stays is found at the next start. */
  evict(removals: readonly Removal[]): Promise<void> {
    if (removals.length === 0) return Promise.resolve();
    for (const { bytes } of removals) {
      this.#evicted = { images: this.#evicted.images + 1, bytes: this.#evicted.bytes + bytes };
    }
    this.#removing = this.#removing.then(async () => {
      for (const removal of removals) {
        await this.#remove(removal);
        // Removing waits for nothing, and requests want their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    return this.#removing;
  }

  async #remove(removal: Removal): Promise<void> {
    const { repository, manifests, bytes } = removal;
    try {
      // A power cut may bring some of it back: links without data are passed over, data without links goes at the start.
      for (const path of pathsOf(removal)) await deleteIfThere(this.driver, path, { durable: false });
      this.#log.debug({ repository, manifests, bytes }, 'evicted an image');
    } catch (error) {
      this.#log.error({ error, repository, manifests, bytes }, 'an image cannot be removed');
    }
  }
}

/** In the order in which they go: nothing is ever named that leads nowhere. */
function pathsOf({ repository, tags, manifests, layers, data }: Removal): string[] {
  return [
    ...tags.map((tag) => tagFolder(repository, tag)),
    ...manifests.map((digest) => folderOf(revisionLinkPath(repository, digest))),
    ...layers.map((digest) => folderOf(layerLinkPath(repository, digest))),
    ...data.map((digest) => folderOf(blobDataPath(digest))),
  ];
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
