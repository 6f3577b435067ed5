import { digestOf, parseDigest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import type { Logger } from '../../process/logger.ts';
import { listDigests } from '../../registry/collect/repository-scan.ts';
import { walkRepositories } from '../../registry/storage/catalog.ts';
import type { StorageDriver } from '../../registry/storage/driver.ts';
import { deleteIfThere, listIfThere, readIfThere, statIfThere } from '../../registry/storage/if-there.ts';
import { lookAtLink, readLink } from '../../registry/storage/links.ts';
import {
  BLOBS_ROOT,
  blobDataPath,
  layerLinkPath,
  layersFolder,
  revisionLinkPath,
  revisionsFolder,
  tagCurrentLinkPath,
  tagsFolder,
  uploadsFolder,
} from '../../registry/storage/paths.ts';
import type { CacheIndex } from './cache-index.ts';
import { needsOf } from './needs.ts';
import type { Uses } from './uses.ts';

const LOOKS_AT_ONCE = 16;

/**
 * Puts into the index what is on the disk. Links that lead to nothing are passed over, as are manifests whose bytes are
 * damaged: they are fetched again when somebody asks for them. What nothing leads to is removed, since nobody can have it:
 * a process that died left it.
 * @throws what the store throws, and when there is content under a name that no repository can have.
 */
export async function scanDisk(
  index: CacheIndex,
  deps: { readonly driver: StorageDriver; readonly log: Logger; readonly uses: Uses },
): Promise<void> {
  for await (const repository of walkRepositories(deps.driver)) {
    await scanManifests(index, repository, deps);
    await scanLayers(index, repository, deps);
    await scanTags(index, repository, deps);
    // A mirror takes none: another program that filled the volume left them.
    await deleteIfThere(deps.driver, uploadsFolder(repository));
  }
  await removeUnlinked(index, deps);
}

async function scanManifests(
  index: CacheIndex,
  repository: RepositoryName,
  { driver, log, uses }: Parameters<typeof scanDisk>[1],
): Promise<void> {
  const digests = await listDigests(driver, revisionsFolder(repository));
  await forEachAtOnce(digests, LOOKS_AT_ONCE, async (digest) => {
    const link = await lookAtLink(driver, revisionLinkPath(repository, digest), digest);
    const bytes = link && (await readIfThere(driver, blobDataPath(link.canonical)));
    if (link === undefined || bytes === undefined) return;
    if (digestOf(bytes) !== link.canonical) {
      log.error({ digest: link.canonical, size: bytes.length }, 'a stored manifest is damaged');
      return;
    }
    index.addManifest(repository, {
      digest,
      canonical: link.canonical,
      size: bytes.length,
      ...needsOf(bytes),
      usedAt: uses.manifest(repository, digest) ?? link.linkedAt,
    });
  });
}

async function scanLayers(
  index: CacheIndex,
  repository: RepositoryName,
  { driver, uses }: Parameters<typeof scanDisk>[1],
): Promise<void> {
  await forEachAtOnce(await listDigests(driver, layersFolder(repository)), LOOKS_AT_ONCE, async (digest) => {
    const link = await lookAtLink(driver, layerLinkPath(repository, digest), digest);
    const data = link && (await statIfThere(driver, blobDataPath(link.canonical)));
    if (link === undefined || data === undefined) return;
    const usedAt = uses.layer(repository, digest) ?? link.linkedAt;
    index.addLayer(repository, { digest, canonical: link.canonical, size: data.size, usedAt });
  });
}

async function scanTags(
  index: CacheIndex,
  repository: RepositoryName,
  { driver, uses }: Parameters<typeof scanDisk>[1],
): Promise<void> {
  await forEachAtOnce(await listIfThere(driver, tagsFolder(repository)), LOOKS_AT_ONCE, async (name) => {
    const tag = parseTag(name);
    if (tag === undefined) return;
    const path = tagCurrentLinkPath(repository, tag);
    const digest = await readLink(driver, path);
    if (digest === undefined) return;
    const checkedAt = uses.tag(repository, tag) ?? (await statIfThere(driver, path))?.modifiedAt ?? 0;
    index.setTag(repository, tag, { digest, checkedAt });
  });
}

async function removeUnlinked(
  index: CacheIndex,
  { driver, log }: Parameters<typeof scanDisk>[1],
): Promise<void> {
  const root = `${BLOBS_ROOT}/sha256`;
  for (const prefix of await listIfThere(driver, root)) {
    await forEachAtOnce(await listIfThere(driver, `${root}/${prefix}`), LOOKS_AT_ONCE, async (hex) => {
      const digest = parseDigest(`sha256:${hex}`);
      if (digest === undefined || index.dataSize(digest) !== undefined) return;
      await deleteIfThere(driver, `${root}/${prefix}/${hex}`);
      log.info({ digest }, 'removed content that nothing led to');
    });
  }
}
