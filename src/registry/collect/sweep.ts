import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere } from '../storage/if-there.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagFolder,
  tagsFolder,
} from '../storage/paths.ts';
import { tagTrashName } from '../storage/trash.ts';
import type { DataList } from './data-list.ts';
import type { DigestList } from './digest-list.ts';
import { removeEmptyFolders } from './empty-folders.ts';
import type { DeadTag, Mark, RepositoryGarbage } from './mark.ts';
import type { Remove } from './remove.ts';
import type { RoomMaker } from './room-maker.ts';
import { tagHistory } from './tag-history.ts';

/** What was taken away. */
export interface Removed {
  manifests: number;
  tags: number;
  links: number;
  blobs: number;
  /** Of the blobs' data. */
  bytes: number;
}

export interface SweepDependencies {
  readonly driver: StorageDriver;
  readonly remove: Remove;
  readonly run: string;
  readonly signal: AbortSignal;
  /** How many operations are under way at once. Each checks the lease for itself. */
  readonly atOnce: number;
  /** To move something takes room: for the folders of the trash. */
  readonly room: RoomMaker;
  /** Told of each path that was taken. */
  readonly taken: (path: string, trashName: string) => void;
}

/**
 * Takes away what a mark found, links first, then data: at no moment does a link lead to data that is not there.
 * @param removed is added to as it goes, so that it is right when the sweep ends early.
 */
export async function sweep(marked: Mark, deps: SweepDependencies, removed: Removed): Promise<void> {
  const sweeping = new Sweeping(deps, removed);
  for (const garbage of marked.garbage) await sweeping.repository(garbage);
  await sweeping.blobs(marked.unreferenced);
}

class Sweeping {
  readonly #deps: SweepDependencies;
  readonly #removed: Removed;

  constructor(deps: SweepDependencies, removed: Removed) {
    this.#deps = deps;
    this.#removed = removed;
  }

  async repository({ repository, manifests, deadManifests, tags, layers }: RepositoryGarbage): Promise<void> {
    // A step of its own for each link: a manifest may have been under a thousand tags. Its own link goes last.
    await this.#each(this.#historyOf(repository, manifests), async (path) => void (await this.#take(path)));
    for (const dead of tags) await this.#tag(repository, dead);
    await this.#each(manifests, async (digest) => {
      if (await this.#take(revisionLinkPath(repository, digest))) this.#removed.manifests++;
    });
    await this.#each(deadManifests, async (digest) => {
      if (await this.#take(revisionLinkPath(repository, digest))) this.#removed.links++;
    });
    await this.#each(layers, async (digest) => {
      if (await this.#take(layerLinkPath(repository, digest))) this.#removed.links++;
    });
  }

  /** What the tag says goes first: from then on nobody sees it. */
  async #tag(repository: RepositoryName, { tag, seenAt }: DeadTag): Promise<void> {
    const { driver, run } = this.#deps;
    if (seenAt !== undefined) {
      const path = tagCurrentLinkPath(repository, tag);
      if (await this.#take(path, tagTrashName(run, seenAt))) this.#removed.tags++;
    }
    await this.#each(tagHistory(driver, repository, tag), async (path) => void (await this.#take(path)));
    await removeEmptyFolders(driver, tagFolder(repository, tag));
  }

  async blobs(unreferenced: DataList): Promise<void> {
    await this.#each(unreferenced, async ({ digest, size }) => {
      if (!(await this.#take(blobDataPath(digest)))) return;
      this.#removed.blobs++;
      this.#removed.bytes += size;
    });
  }

  /** The entries of these manifests in the histories of tags. */
  async *#historyOf(repository: RepositoryName, manifests: DigestList): AsyncIterable<string> {
    if (manifests.length === 0) return;
    const going = new Set<Digest>(manifests);
    for (const name of await listIfThere(this.#deps.driver, tagsFolder(repository))) {
      const tag = parseTag(name);
      if (tag !== undefined) yield* tagHistory(this.#deps.driver, repository, tag, going);
    }
  }

  async #take(path: string, trashName: string = this.#deps.run): Promise<boolean> {
    const taken = await this.#deps.room.withRoom(() => this.#deps.remove(path, trashName));
    if (taken) this.#deps.taken(path, trashName);
    return taken;
  }

  async #each<T>(items: Iterable<T> | AsyncIterable<T>, action: (item: T) => Promise<void>): Promise<void> {
    await forEachAtOnce(items, this.#deps.atOnce, async (item) => {
      this.#deps.signal.throwIfAborted();
      await action(item);
    });
  }
}
