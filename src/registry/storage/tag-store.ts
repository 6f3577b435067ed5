import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { RegistryError } from '../errors.ts';
import type { WritePermit } from '../lease/write-gate.ts';
import { repositoryExists } from './catalog.ts';
import type { StorageDriver } from './driver.ts';
import { deleteIfThere, listIfThere, statIfThere } from './if-there.ts';
import { linkContent, readTagLink } from './links.ts';
import { tagCurrentLinkPath, tagFolder, tagIndexLinkPath, tagsFolder } from './paths.ts';
import { forgetTrash } from './trash.ts';

/**
 * Tags. A link that a collector removed led to nothing or was meant to go, and stays in the trash; but for one that was
 * written after the collector had looked.
 */
export class TagStore {
  readonly #driver: StorageDriver;
  readonly #lookups: number;

  /** @param deps.lookups tags of a repository that are looked at together. */
  constructor(deps: { readonly driver: StorageDriver; readonly lookups: number }) {
    this.#driver = deps.driver;
    this.#lookups = deps.lookups;
  }

  /** One read of a link; an empty one is absent. */
  async resolve(repository: RepositoryName, tag: Tag): Promise<Digest | undefined> {
    return readTagLink(this.#driver, tagCurrentLinkPath(repository, tag));
  }

  /** Sorted bytewise. @throws RegistryError NAME_UNKNOWN */
  async list(repository: RepositoryName): Promise<Tag[]> {
    const tags = await this.#filter(repository, async (tag) => {
      // A folder without the link is what a crash in the middle of a delete leaves.
      const link = await statIfThere(this.#driver, tagCurrentLinkPath(repository, tag));
      return link !== undefined && link.size > 0;
    });
    if (tags.length === 0 && !(await repositoryExists(this.#driver, repository))) {
      throw new RegistryError({ code: 'NAME_UNKNOWN', detail: { name: repository } });
    }
    return tags.sort((a, b) => (a < b ? -1 : 1));
  }

  /** Tags that point at one of `digests`, unsorted. Reads each tag of the repository. */
  async pointingAt(repository: RepositoryName, digests: ReadonlySet<Digest>): Promise<Tag[]> {
    return this.#filter(repository, async (tag) => {
      const digest = await this.resolve(repository, tag);
      return digest !== undefined && digests.has(digest);
    });
  }

  /**
   * Points a tag at a manifest. The index entry comes first, as distribution writes it.
   * @returns the stamp of the link, by which `putBack` knows it.
   */
  async set(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest,
    permit: WritePermit,
  ): Promise<number | undefined> {
    const content = linkContent(digest);
    await this.#driver.publish(
      [
        { path: tagIndexLinkPath(repository, tag, digest), content },
        { path: tagCurrentLinkPath(repository, tag), content },
      ],
      () => permit.check(),
    );
    return this.#stamp(repository, tag);
  }

  /**
   * Takes back a `set` that was refused: the tag points at `previous` again, or is gone. Leaves alone a tag that somebody
   * else has set by now, be it to the same: that may have been acknowledged.
   * @param change.stamp what `set` returned.
   */
  async putBack(
    repository: RepositoryName,
    tag: Tag,
    change: {
      readonly previous: Digest | undefined;
      readonly own: Digest;
      readonly stamp: number | undefined;
    },
  ): Promise<void> {
    if (change.previous === change.own || (await this.#stamp(repository, tag)) !== change.stamp) return;
    if ((await this.resolve(repository, tag)) !== change.own) return;
    if (change.previous === undefined) await deleteIfThere(this.#driver, tagFolder(repository, tag));
    else await this.#driver.putContent(tagCurrentLinkPath(repository, tag), linkContent(change.previous));
  }

  /** Removes a tag; the manifest stays. @throws RegistryError MANIFEST_UNKNOWN */
  async remove(repository: RepositoryName, tag: Tag, permit: WritePermit): Promise<void> {
    if ((await this.resolve(repository, tag)) === undefined) {
      throw new RegistryError({ code: 'MANIFEST_UNKNOWN', detail: { tag } });
    }
    await permit.check();
    await forgetTrash(this.#driver, tagCurrentLinkPath(repository, tag));
    await deleteIfThere(this.#driver, tagFolder(repository, tag));
  }

  async #stamp(repository: RepositoryName, tag: Tag): Promise<number | undefined> {
    return (await statIfThere(this.#driver, tagCurrentLinkPath(repository, tag)))?.modifiedAt;
  }

  /** Tags of which `holds` is true, a few looked at at once: a bucket takes its time for each. */
  async #filter(repository: RepositoryName, holds: (tag: Tag) => Promise<boolean>): Promise<Tag[]> {
    const names = await listIfThere(this.#driver, tagsFolder(repository));
    const tags = names.flatMap((name) => parseTag(name) ?? []);
    const found: Tag[] = [];
    await forEachAtOnce(tags, this.#lookups, async (tag) => {
      if (await holds(tag)) found.push(tag);
    });
    return found;
  }
}
