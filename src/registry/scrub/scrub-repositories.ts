import { digestOf, type Digest } from '../../oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../../oci/manifest.ts';
import { isManifestMediaType } from '../../oci/media-type.ts';
import { isNonDistributable } from '../../oci/non-distributable.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { PathSet } from '../collect/path-set.ts';
import { listDigests } from '../collect/repository-scan.ts';
import { walkRepositories } from '../storage/catalog.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere, readIfThere, statIfThere } from '../storage/if-there.ts';
import { readLink } from '../storage/links.ts';
import {
  blobDataPath,
  layerLinkPath,
  layersFolder,
  revisionLinkPath,
  revisionsFolder,
  tagCurrentLinkPath,
  tagsFolder,
} from '../storage/paths.ts';
import type { ManifestRules } from '../storage/manifest-rules.ts';
import { isInTrash } from '../storage/trash.ts';
import type { Finding } from './finding.ts';
import type { ScrubDependencies } from './scrub-blobs.ts';

export interface ScrubbedRepositories {
  readonly repositories: number;
  readonly manifests: number;
}

export interface RepositoryDependencies extends ScrubDependencies {
  /** Say whether a manifest that an index lists has to be there. */
  readonly rules: Pick<ManifestRules, 'mustExist'>;
  /** Told of the subjects of each repository's manifests. */
  readonly subjects?: (repository: RepositoryName, subjects: ReadonlySet<Digest>) => Promise<void>;
}

/**
 * Follows the links of all repositories: from tags to manifests, from manifests to what they need, from links to data.
 * Changes nothing. Servers may write meanwhile: what is not there is looked at twice, the link that leads there included,
 * and what lies in the trash is there, since a server that needs it puts it back.
 * @throws what the store throws when it cannot list
 */
export async function scrubRepositories(deps: RepositoryDependencies): Promise<ScrubbedRepositories> {
  let [repositories, manifests] = [0, 0];
  await forEachAtOnce(walkRepositories(deps.driver), deps.atOnce, async (repository) => {
    deps.signal.throwIfAborted();
    const scrub = new RepositoryScrub(deps, repository);
    await scrub.layers();
    manifests += await scrub.manifests();
    await scrub.tags();
    await deps.subjects?.(repository, scrub.subjects);
    repositories++;
  });
  return { repositories, manifests };
}

/** Layers first: manifests share them, and what was seen to be there is not asked for again. */
class RepositoryScrub {
  readonly #deps: RepositoryDependencies;
  readonly #driver: StorageDriver;
  readonly #repository: RepositoryName;
  readonly #seen = new PathSet();
  readonly subjects = new Set<Digest>();

  constructor(deps: RepositoryDependencies, repository: RepositoryName) {
    this.#deps = deps;
    this.#driver = deps.driver;
    this.#repository = repository;
  }

  async layers(): Promise<void> {
    for (const digest of await listDigests(this.#driver, layersFolder(this.#repository))) {
      const link = layerLinkPath(this.#repository, digest);
      const title = `the blob ${this.#name(digest)}`;
      const canonical = await this.#linked(link, title);
      if (canonical) await this.#needsData(link, canonical, title);
    }
  }

  /** @returns how many there are */
  async manifests(): Promise<number> {
    const digests = await listDigests(this.#driver, revisionsFolder(this.#repository));
    const links = new Map<Digest, Digest>();
    for (const digest of digests) {
      const canonical = await this.#linked(revisionLinkPath(this.#repository, digest), this.#title(digest));
      if (canonical) links.set(digest, canonical);
    }
    for (const [digest, canonical] of links) await this.#manifest(digest, canonical);
    return digests.length;
  }

  async tags(): Promise<void> {
    for (const name of await listIfThere(this.#driver, tagsFolder(this.#repository))) {
      const tag = parseTag(name);
      if (tag === undefined) continue;
      const path = tagCurrentLinkPath(this.#repository, tag);
      const digest = await readLink(this.#driver, path);
      const title = `the tag ${this.#repository}:${tag}`;
      if (digest === undefined) {
        await this.#report({ kind: 'dangling', path, problem: `${title} says nothing` }, path);
      } else if (!(await this.#isThere(revisionLinkPath(this.#repository, digest)))) {
        await this.#report(
          { kind: 'dangling', path, problem: `${title} leads to ${digest}, which is not there` },
          path,
        );
      }
    }
  }

  async #manifest(digest: Digest, canonical: Digest): Promise<void> {
    const bytes = await readIfThere(this.#driver, blobDataPath(canonical));
    if (bytes === undefined) {
      const link = revisionLinkPath(this.#repository, digest);
      return this.#needsData(link, canonical, this.#title(digest));
    }
    // What is damaged is told by who reads the data; what it needs is unknown.
    const manifest = digestOf(bytes) === canonical ? tryParse(bytes) : undefined;
    if (manifest === undefined) return;
    if (manifest.subject) this.subjects.add(manifest.subject.digest);
    for (const child of manifest.manifests) await this.#child(digest, child);
    for (const blob of manifest.blobs) {
      if (!isNonDistributable(blob))
        await this.#needs(digest, layerLinkPath(this.#repository, blob.digest), blob.digest);
    }
  }

  async #child(parent: Digest, child: Descriptor): Promise<void> {
    if (
      !isManifestMediaType(child.mediaType) &&
      (await this.#isThere(layerLinkPath(this.#repository, child.digest)))
    )
      return;
    if (this.#deps.rules.mustExist(child)) {
      await this.#needs(parent, revisionLinkPath(this.#repository, child.digest), child.digest);
    }
  }

  /** Data that a link leads to is looked at where the link is. */
  async #needs(manifest: Digest, path: string, needed: Digest): Promise<void> {
    if (await this.#isThere(path)) return;
    const neededBy = revisionLinkPath(this.#repository, manifest);
    const problem = `${this.#title(manifest)} needs ${needed}, which is not in the repository`;
    await this.#report({ kind: 'missing', path, problem, neededBy }, neededBy);
  }

  /** @returns the digest under which the data lies that a link leads to */
  async #linked(link: string, title: string): Promise<Digest | undefined> {
    const canonical = await readLink(this.#driver, link);
    if (canonical === undefined) {
      // A folder without a link is what a delete leaves.
      const problem = `the link of ${title} says nothing`;
      await this.#report({ kind: 'dangling', path: link, problem, neededBy: link }, link);
      return undefined;
    }
    this.#seen.add(link);
    return canonical;
  }

  async #needsData(link: string, canonical: Digest, title: string): Promise<void> {
    const path = blobDataPath(canonical);
    if (await this.#isThere(path)) return;
    const problem = `${title} has a link, but its data is not there`;
    await this.#report({ kind: 'dangling', path, problem, neededBy: link }, link);
  }

  /** @param reason the link without which there would be no problem: it may be gone by now, or what it needs be there */
  async #report(finding: Finding, reason: string): Promise<void> {
    if (!(await statIfThere(this.#driver, reason))) return;
    if (finding.path !== reason && (await this.#isThere(finding.path))) return;
    this.#deps.found(finding);
  }

  async #isThere(path: string): Promise<boolean> {
    const isThere =
      this.#seen.has(path) ||
      (await statIfThere(this.#driver, path)) !== undefined ||
      (await isInTrash(this.#driver, path));
    if (isThere) this.#seen.add(path);
    return isThere;
  }

  #title(digest: Digest): string {
    return `the manifest ${this.#name(digest)}`;
  }

  #name(digest: Digest): string {
    return `${this.#repository}@${digest}`;
  }
}

function tryParse(bytes: Buffer): Manifest | undefined {
  try {
    return parseManifest(bytes, undefined);
  } catch {
    return undefined;
  }
}
