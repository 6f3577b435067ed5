import type { Digest } from '../../oci/digest.ts';
import { digestAlgorithm, digestOf, parseDigest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { readBlobData } from '../storage/blob-data.ts';
import type { FileStat, StorageDriver } from '../storage/driver.ts';
import { listIfThere, statIfThere } from '../storage/if-there.ts';
import { findLink, lookAtLink, readLink, readTagLink } from '../storage/links.ts';
import {
  layerLinkPath,
  layersFolder,
  revisionLinkPath,
  revisionsFolder,
  tagCurrentLinkPath,
  tagsFolder,
} from '../storage/paths.ts';
import { restoreFromTrash } from '../storage/trash.ts';
import type { ReferenceCache } from './reference-cache.ts';
import { referencesOf, type References } from './references.ts';
import { tagHistory } from './tag-history.ts';

/** A manifest of a repository. */
export interface Revision {
  readonly digest: Digest;
  /** The sha256 digest under which its bytes lie. */
  readonly canonical: Digest;
  /** When its link was last written, by the store's clock; milliseconds. */
  readonly linkedAt: number;
  readonly references: References;
}

/** What one repository holds, as far as a collection needs to know. */
export interface RepositoryScan {
  readonly repository: RepositoryName;
  readonly revisions: ReadonlyMap<Digest, Revision>;
  readonly tags: ReadonlyMap<Tag, Digest>;
  /** Tags that say nothing any more, as a crash leaves them: their link is damaged, or it is gone and their history is not. */
  readonly silentTags: readonly Tag[];
  /**
   * Manifests whose link leads to no bytes and that no tag or index names: nobody can have them. A power cut in a push that
   * was not acknowledged may leave such a link.
   */
  readonly dead: readonly Digest[];
  /** Digests with a `_layers` link, and what is known of that. */
  readonly layers: ListedLinks;
}

/** What is looked at within a repository at once. */
export const LOOKS_AT_ONCE = 16;

/** A manifest that is linked but cannot be read, or is not what its digest says: its references are unknown, so nothing may be deleted. */
class UnreadableManifestError extends Error {
  override readonly name = 'UnreadableManifestError';
  /** Its bytes are nowhere, rather than there and wrong. */
  readonly missing: boolean;

  constructor(repository: RepositoryName, canonical: Digest, state: 'missing' | 'damaged') {
    super(
      `the bytes of manifest ${repository}@${canonical} are ${state}, so what it needs is unknown and nothing was ` +
        `deleted. Push the image again, or delete the manifest by its digest`,
    );
    this.missing = state === 'missing';
  }
}

/**
 * Reads a repository's manifests, tags and layer links.
 * @throws UnreadableManifestError, and whatever the store throws: a collection that cannot see everything must not go on.
 */
export async function scanRepository(
  driver: StorageDriver,
  repository: RepositoryName,
  cache: ReferenceCache,
): Promise<RepositoryScan> {
  const { tags, silentTags } = await readTags(driver, repository);
  const revisions = new Map<Digest, Revision>();
  const withoutBytes = new Map<Digest, UnreadableManifestError>();
  await forEachAtOnce(
    await listLinks(driver, revisionsFolder(repository)),
    LOOKS_AT_ONCE,
    async ([digest, stat]) => {
      // An empty link is what a crash of an old server left: absent, for every server.
      const link = await lookAtLink(driver, revisionLinkPath(repository, digest), digest, stat);
      if (link === undefined) return;
      try {
        revisions.set(digest, await readRevision(driver, repository, { digest, ...link }, cache));
      } catch (error) {
        if (!(error instanceof UnreadableManifestError) || !error.missing) throw error;
        withoutBytes.set(digest, error);
      }
    },
  );
  for (const digest of tags.values()) {
    if (revisions.has(digest)) continue;
    const revision = await findTagged(driver, repository, digest, cache);
    if (revision) revisions.set(digest, revision);
  }
  for (const { references } of revisions.values()) {
    for (const child of references.manifests) {
      const error = withoutBytes.get(child);
      if (error) throw error;
    }
  }
  const layers = await listLinks(driver, layersFolder(repository));
  return { repository, revisions, tags, silentTags, dead: [...withoutBytes.keys()], layers };
}

/** The digest under which a blob's bytes lie: its own for sha256, what its link says otherwise. */
export async function canonicalBlobDigest(
  driver: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<Digest | undefined> {
  if (digestAlgorithm(digest) === 'sha256') return digest;
  const path = layerLinkPath(repository, digest);
  const linked = await readLink(driver, path);
  if (linked !== undefined || !(await restoreFromTrash(driver, path))) return linked;
  return readLink(driver, path);
}

/**
 * The manifest of a tag that has no readable link. An earlier run may have taken the link away; the tag makes it a root
 * again. One that is empty or damaged serves nobody, but pushing the image again mends it, so its content stays.
 */
async function findTagged(
  driver: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
  cache: ReferenceCache,
): Promise<Revision | undefined> {
  const path = revisionLinkPath(repository, digest);
  let link = await findLink(driver, path, digest);
  if (link === undefined && digestAlgorithm(digest) === 'sha256') {
    const damaged = await statIfThere(driver, path);
    link = damaged && { canonical: digest, linkedAt: damaged.modifiedAt };
  }
  return link && readRevision(driver, repository, { digest, ...link }, cache);
}

async function readRevision(
  driver: StorageDriver,
  repository: RepositoryName,
  link: Omit<Revision, 'references'>,
  cache: ReferenceCache,
): Promise<Revision> {
  const known = cache.get(link.canonical);
  if (known) return { ...link, references: known };
  const references = referencesOf(await readManifest(driver, repository, link.canonical));
  cache.set(link.canonical, references);
  return { ...link, references };
}

async function readManifest(
  driver: StorageDriver,
  repository: RepositoryName,
  canonical: Digest,
): Promise<Uint8Array> {
  const bytes = await readBlobData(driver, canonical);
  if (bytes !== undefined && digestOf(bytes) === canonical) return bytes;
  throw new UnreadableManifestError(repository, canonical, bytes === undefined ? 'missing' : 'damaged');
}

async function readTags(
  driver: StorageDriver,
  repository: RepositoryName,
): Promise<Pick<RepositoryScan, 'tags' | 'silentTags'>> {
  const tags = new Map<Tag, Digest>();
  const silentTags: Tag[] = [];
  await forEachAtOnce(await listIfThere(driver, tagsFolder(repository)), LOOKS_AT_ONCE, async (name) => {
    const tag = parseTag(name);
    if (tag === undefined) return;
    const digest = await readTagLink(driver, tagCurrentLinkPath(repository, tag));
    if (digest) tags.set(tag, digest);
    else if (await isSilent(driver, repository, tag)) silentTags.push(tag);
  });
  return { tags, silentTags };
}

async function isSilent(driver: StorageDriver, repository: RepositoryName, tag: Tag): Promise<boolean> {
  if (await statIfThere(driver, tagCurrentLinkPath(repository, tag))) return true;
  for await (const _entry of tagHistory(driver, repository, tag)) return true;
  return false;
}

/** Links by digest, with what a bucket says of them when it lists them. */
type ListedLinks = ReadonlyMap<Digest, FileStat | undefined>;

/** Digests that have a folder or a file `<algorithm>/<hex>/link` below `folder`. */
async function listLinks(driver: StorageDriver, folder: string): Promise<ListedLinks> {
  if (!driver.walk) return new Map((await listDigests(driver, folder)).map((digest) => [digest, undefined]));
  const links = new Map<Digest, FileStat>();
  for await (const { path, size, modifiedAt } of driver.walk(folder)) {
    const digest = digestOfLink(path.slice(folder.length));
    if (digest) links.set(digest, { isDirectory: false, size, modifiedAt });
  }
  return links;
}

/** @param path what it ends in: `/<algorithm>/<hex>/link` */
export function digestOfLink(path: string): Digest | undefined {
  const [, algorithm, hex] = /\/([a-z0-9]+)\/([0-9a-f]+)\/link$/.exec(path) ?? [];
  return parseDigest(`${algorithm}:${hex}`);
}

/** Digests that have a folder `<algorithm>/<hex>` below `folder`. */
export async function listDigests(driver: StorageDriver, folder: string): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (const algorithm of await listIfThere(driver, folder)) {
    for (const hex of await listIfThere(driver, `${folder}/${algorithm}`)) {
      const digest = parseDigest(`${algorithm}:${hex}`);
      if (digest) digests.push(digest);
    }
  }
  return digests;
}
