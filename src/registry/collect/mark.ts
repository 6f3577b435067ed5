import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag } from '../../oci/tag.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { walkRepositories } from '../storage/catalog.ts';
import { listIfThere, statIfThere } from '../storage/if-there.ts';
import {
  BLOBS_ROOT,
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
  tagsFolder,
} from '../storage/paths.ts';
import type { TrashEntry } from '../storage/trash.ts';
import { assertNoForeignUpload } from './foreign-upload.ts';
import { manifestsToKeep } from './keep.ts';
import {
  canonicalBlobDigest,
  scanRepository,
  type ReferenceCache,
  type RepositoryScan,
} from './repository-scan.ts';

export interface MarkOptions {
  readonly deleteUntagged: boolean;
  /** Milliseconds since the last reference; younger content stays. */
  readonly minimumAge: number;
  /** The store's clock, milliseconds. */
  readonly now: number;
  /** False when nothing else writes to the storage: then uploads of other servers do not matter. */
  readonly refuseForeignUploads: boolean;
}

/** What a mark found: what must stay, and what may go, in the order in which it may go. */
export interface Mark {
  readonly repositories: number;
  readonly manifests: number;
  readonly blobs: number;
  /** Paths that what stays needs, `data` files and links: nothing of these is purged, and what is in the trash comes back. */
  readonly needed: ReadonlySet<string>;
  /** Untagged manifests, each with its link and the entries of tags that once pointed at it. */
  readonly manifestLinks: readonly (readonly string[])[];
  /** Links to blobs that no manifest of their repository needs, and to manifests that are gone. */
  readonly links: readonly string[];
  /** Tags that lead to nothing. */
  readonly tags: readonly DeadTag[];
  readonly unreferenced: readonly { readonly path: string; readonly size: number }[];
}

/** The link of a tag, and when it was written by the store's clock: by then it may say something else. */
export interface DeadTag {
  readonly path: string;
  readonly seenAt: number;
}

/**
 * Reads every root and follows configs, layers, index children and referrers.
 * @throws whatever cannot be read: what is not understood is never taken for not referenced.
 */
export async function mark(
  driver: StorageDriver,
  options: MarkOptions,
  cache: ReferenceCache,
  signal: AbortSignal,
): Promise<Mark> {
  const marking = new Marking(driver, options);
  for await (const repository of walkRepositories(driver)) {
    signal.throwIfAborted();
    if (options.refuseForeignUploads) await assertNoForeignUpload(driver, repository, options.now);
    await marking.repository(await scanRepository(driver, repository, cache));
  }
  await marking.unreferencedBlobs(signal);
  return marking.result();
}

/** Whether what lies in the trash is old enough and unneeded, so that it may be destroyed. */
export function isExpired(
  entry: TrashEntry,
  marked: Mark,
  options: { readonly trashGrace: number; readonly now: number },
): boolean {
  return !marked.needed.has(entry.path) && options.now - entry.trashedAt >= options.trashGrace;
}

class Marking {
  readonly #driver: StorageDriver;
  readonly #options: MarkOptions;
  readonly #needed = new Set<string>();
  readonly #manifestLinks: string[][] = [];
  readonly #links: string[] = [];
  readonly #tags: DeadTag[] = [];
  readonly #unreferenced: { path: string; size: number }[] = [];
  /** By canonical digest: links that lead to it, for the age of what they lead to. */
  readonly #linksTo = new Map<Digest, string[]>();
  #repositories = 0;
  #manifests = 0;
  #blobs = 0;

  constructor(driver: StorageDriver, options: MarkOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  async repository(scan: RepositoryScan): Promise<void> {
    this.#repositories++;
    this.#manifests += scan.revisions.size;
    const young = await this.#youngRevisions(scan);
    const keep = manifestsToKeep(scan, {
      deleteUntagged: this.#options.deleteUntagged,
      isYoung: (digest) => young.has(digest),
    });
    for (const digest of keep) await this.#keepManifest(scan, digest);
    for (const digest of scan.revisions.keys()) {
      if (!keep.has(digest)) this.#manifestLinks.push(await this.#linksOfManifest(scan.repository, digest));
    }
    await this.#danglingTags(scan);
    for (const digest of scan.dead) await this.#deadLink(revisionLinkPath(scan.repository, digest));
    for (const digest of scan.layers) await this.#layer(scan.repository, digest);
  }

  async unreferencedBlobs(signal: AbortSignal): Promise<void> {
    const root = `${BLOBS_ROOT}/sha256`;
    for (const prefix of await listIfThere(this.#driver, root)) {
      signal.throwIfAborted();
      for (const hex of await listIfThere(this.#driver, `${root}/${prefix}`)) {
        this.#blobs++;
        const path = `${root}/${prefix}/${hex}/data`;
        if (this.#needed.has(path)) continue;
        const stat = await statIfThere(this.#driver, path);
        if (stat === undefined) continue;
        // The canonical digest of the path; only its links' dates are asked for.
        const links = this.#linksTo.get(`sha256:${hex}` as Digest) ?? [];
        const dates = await Promise.all(
          links.map(async (link) => (await statIfThere(this.#driver, link))?.modifiedAt ?? 0),
        );
        if (this.#isOld(Math.max(stat.modifiedAt, ...dates)))
          this.#unreferenced.push({ path, size: stat.size });
      }
    }
  }

  result(): Mark {
    return {
      repositories: this.#repositories,
      manifests: this.#manifests,
      blobs: this.#blobs,
      needed: this.#needed,
      manifestLinks: this.#manifestLinks,
      links: this.#links,
      tags: this.#tags,
      unreferenced: this.#unreferenced,
    };
  }

  async #keepManifest({ repository, revisions }: RepositoryScan, digest: Digest): Promise<void> {
    const revision = revisions.get(digest);
    if (revision === undefined) return;
    this.#needed.add(revisionLinkPath(repository, digest));
    this.#needed.add(blobDataPath(revision.canonical));
    for (const blob of revision.references.blobs) {
      const canonical = await canonicalBlobDigest(this.#driver, repository, blob);
      this.#needed.add(layerLinkPath(repository, blob));
      if (canonical) this.#needed.add(blobDataPath(canonical));
    }
  }

  async #youngRevisions({ repository, revisions }: RepositoryScan): Promise<ReadonlySet<Digest>> {
    const young = new Set<Digest>();
    if (!this.#options.deleteUntagged) return young;
    for (const digest of revisions.keys()) {
      const stat = await statIfThere(this.#driver, revisionLinkPath(repository, digest));
      if (stat === undefined || !this.#isOld(stat.modifiedAt)) young.add(digest);
    }
    return young;
  }

  /** Its own link last: until that is gone the manifest is whole. */
  async #linksOfManifest(repository: RepositoryName, digest: Digest): Promise<string[]> {
    const links: string[] = [];
    for (const name of await listIfThere(this.#driver, tagsFolder(repository))) {
      const tag = parseTag(name);
      if (tag === undefined) continue;
      const link = tagIndexLinkPath(repository, tag, digest);
      if (await statIfThere(this.#driver, link)) links.push(link);
    }
    return [...links, revisionLinkPath(repository, digest)];
  }

  /** A tag whose manifest is gone, as a refused push may leave it: nobody can pull it. */
  async #danglingTags({ repository, revisions, tags }: RepositoryScan): Promise<void> {
    for (const [tag, digest] of tags) {
      if (revisions.has(digest)) continue;
      const path = tagCurrentLinkPath(repository, tag);
      const stat = await statIfThere(this.#driver, path);
      if (stat && this.#isOld(stat.modifiedAt)) this.#tags.push({ path, seenAt: stat.modifiedAt });
    }
  }

  async #deadLink(path: string): Promise<void> {
    const stat = await statIfThere(this.#driver, path);
    if (stat && this.#isOld(stat.modifiedAt)) this.#links.push(path);
  }

  async #layer(repository: RepositoryName, digest: Digest): Promise<void> {
    const path = layerLinkPath(repository, digest);
    const canonical = await canonicalBlobDigest(this.#driver, repository, digest);
    if (canonical) this.#linksTo.set(canonical, [...(this.#linksTo.get(canonical) ?? []), path]);
    if (this.#needed.has(path)) return;
    const stat = await statIfThere(this.#driver, path);
    if (stat && this.#isOld(stat.modifiedAt)) this.#links.push(path);
  }

  #isOld(modifiedAt: number): boolean {
    return this.#options.now - modifiedAt >= this.#options.minimumAge;
  }
}
