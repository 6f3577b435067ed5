import type { Digest } from '../../oci/digest.ts';
import { parseTag } from '../../oci/tag.ts';
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
import type { DataList } from './data-list.ts';
import { removeEmptyFolders } from './empty-folders.ts';
import type { Mark, RepositoryGarbage } from './mark.ts';
import { tagHistory } from './tag-history.ts';
import { digestOfLink } from './repository-scan.ts';
import type { Going, Take } from './take.ts';

/** What was taken away. */
export interface Removed {
  manifests: number;
  tags: number;
  links: number;
  blobs: number;
  /** Of the blobs' data. */
  bytes: number;
}

/**
 * Takes away what a mark found, links first, then data: at no moment does a link lead to data that is not there. Of links
 * the history of a manifest goes before its own, and what a tag says before its history: what is left when a run ends in
 * between is found by the next.
 * @param taken is told of each as it goes.
 */
export async function sweep(
  { garbage, unreferenced }: Mark,
  driver: StorageDriver,
  take: Take,
  taken: (item: Going) => void,
): Promise<void> {
  for (const links of [
    historiesOfManifests(garbage, driver),
    tags(garbage),
    historiesOfTags(garbage, driver),
  ]) {
    await take(links, taken);
  }
  for (const { repository, tags } of garbage) {
    for (const { tag } of tags) await removeEmptyFolders(driver, tagFolder(repository, tag));
  }
  for (const links of [manifests(garbage), layers(garbage)]) await take(links, taken);
  await take(data(unreferenced), taken);
}

type Garbage = readonly RepositoryGarbage[];

/** A manifest may have been under a thousand tags. */
async function* historiesOfManifests(garbage: Garbage, driver: StorageDriver): AsyncGenerator<Going> {
  for (const { repository, manifests } of garbage) {
    if (manifests.length === 0) continue;
    const going = new Set<Digest>(manifests);
    if (driver.walk) {
      for await (const { path } of driver.walk(tagsFolder(repository))) {
        const digest = path.includes('/index/') ? digestOfLink(path) : undefined;
        if (digest && going.has(digest)) yield { path };
      }
      continue;
    }
    for (const name of await listIfThere(driver, tagsFolder(repository))) {
      const tag = parseTag(name);
      if (tag === undefined) continue;
      for await (const path of tagHistory(driver, repository, tag, going)) yield { path };
    }
  }
}

function* tags(garbage: Garbage): Generator<Going> {
  for (const { repository, tags } of garbage) {
    for (const { tag, seenAt } of tags) {
      if (seenAt !== undefined) yield { path: tagCurrentLinkPath(repository, tag), seenAt, kind: 'tags' };
    }
  }
}

async function* historiesOfTags(garbage: Garbage, driver: StorageDriver): AsyncGenerator<Going> {
  for (const { repository, tags } of garbage) {
    for (const { tag } of tags) {
      for await (const path of tagHistory(driver, repository, tag)) yield { path };
    }
  }
}

function* manifests(garbage: Garbage): Generator<Going> {
  for (const { repository, manifests, deadManifests } of garbage) {
    for (const digest of manifests) yield { path: revisionLinkPath(repository, digest), kind: 'manifests' };
    for (const digest of deadManifests) yield { path: revisionLinkPath(repository, digest), kind: 'links' };
  }
}

function* layers(garbage: Garbage): Generator<Going> {
  for (const { repository, layers } of garbage) {
    for (const digest of layers) yield { path: layerLinkPath(repository, digest), kind: 'links' };
  }
}

function* data(unreferenced: DataList): Generator<Going> {
  for (const { digest, size } of unreferenced) yield { path: blobDataPath(digest), size, kind: 'blobs' };
}
