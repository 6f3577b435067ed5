import { digestAlgorithm, parseDigest, type Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { RetentionRule } from '../../contract/retention-rules.ts';
import type { LastPulls } from '../pulls/last-pulls.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { walkRepositories } from '../storage/catalog.ts';
import type { FileStat, StorageDriver } from '../storage/driver.ts';
import { listIfThere, statIfThere } from '../storage/if-there.ts';
import {
  BLOBS_ROOT,
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
} from '../storage/paths.ts';
import type { TrashEntry } from '../storage/trash.ts';
import { DataList } from './data-list.ts';
import { DigestList } from './digest-list.ts';
import { assertNoForeignUpload } from './foreign-upload.ts';
import { manifestsToKeep } from './keep.ts';
import { PathSet } from './path-set.ts';
import type { ReferenceCache } from './reference-cache.ts';
import { allStay, judgeRepository, type JudgedTags } from './judged-tags.ts';
import { ruleFor, type TagTimes, type TagVerdict } from './retention.ts';
import {
  LOOKS_AT_ONCE,
  canonicalBlobDigest,
  scanRepository,
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
  /**
   * Told how much was looked at now and then, with the share of all blobs that this is once they are looked at, above 0.
   */
  readonly progress?: (scanned: Scanned, shareOfBlobs: number | undefined) => void;
  /** Without rules all tags stay. */
  readonly retention?: Retention;
}

export interface Retention {
  readonly rules: readonly RetentionRule[];
  readonly pulls: LastPulls;
  /** Told of each tag of a manifest. */
  readonly judged?: (verdict: TagVerdict) => void;
}

/** What a mark found: what must stay, and what may go. */
export interface Mark {
  readonly scanned: Scanned;
  /** Paths that what stays needs, `data` files and links: nothing of these is purged, and what is in the trash comes back. */
  readonly needed: PathSet;
  /** Of repositories that have some. */
  readonly garbage: readonly RepositoryGarbage[];
  /** Repositories in which nothing is left when their garbage is gone. */
  readonly emptied: readonly RepositoryName[];
  /** Data that nothing needs, by sha256 digest. */
  readonly unreferenced: DataList;
}

/** How much was looked at. */
export interface Scanned {
  readonly repositories: number;
  readonly manifests: number;
  readonly blobs: number;
}

/** What may go from one repository, in this order. */
export interface RepositoryGarbage {
  readonly repository: RepositoryName;
  /** Untagged manifests, each with the entries of tags that once pointed at it. */
  readonly manifests: DigestList;
  /** Links to manifests that are gone. */
  readonly deadManifests: DigestList;
  /** Tags that lead to nothing or that no rule keeps, with all that they once said. */
  readonly tags: readonly DeadTag[];
  /** Links to blobs that no manifest of the repository needs. */
  readonly layers: DigestList;
}

export interface DeadTag {
  readonly tag: Tag;
  /**
   * When its link was written, by the store's clock: by the time it goes it may say something else. Undefined when there
   * is no link any more.
   */
  readonly seenAt: number | undefined;
}

/** Repositories that are read at once: what a bucket is asked takes its time to travel. */
const REPOSITORIES_AT_ONCE = 4;

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
  const marking = new Marking(driver, options, cache);
  await forEachAtOnce(walkRepositories(driver), REPOSITORIES_AT_ONCE, async (repository) => {
    signal.throwIfAborted();
    await marking.repository(repository);
  });
  await marking.unreferencedBlobs(signal);
  return marking.result();
}

/** Whether what lies in the trash is old enough and unneeded, so that it may be destroyed. */
export function isExpired(
  entry: TrashEntry,
  marked: Mark,
  options: { readonly trashGrace: number; readonly now: number },
): boolean {
  return options.now - entry.trashedAt >= options.trashGrace && !marked.needed.has(entry.path);
}

class Marking {
  readonly #driver: StorageDriver;
  readonly #options: MarkOptions;
  readonly #cache: ReferenceCache;
  readonly #needed = new PathSet();
  readonly #garbage: RepositoryGarbage[] = [];
  readonly #emptied: RepositoryName[] = [];
  readonly #unreferenced = new DataList();
  #repositories = 0;
  #manifests = 0;
  #blobs = 0;

  constructor(driver: StorageDriver, options: MarkOptions, cache: ReferenceCache) {
    this.#driver = driver;
    this.#options = options;
    this.#cache = cache;
  }

  async repository(repository: RepositoryName): Promise<void> {
    const { deleteUntagged, refuseForeignUploads, now } = this.#options;
    if (refuseForeignUploads) await assertNoForeignUpload(this.#driver, repository, now);
    const scan = await scanRepository(this.#driver, repository, this.#cache);
    this.#repositories++;
    this.#manifests += scan.revisions.size;
    this.#options.progress?.(this.#scanned(), undefined);
    const tags = await this.#judgeTags(scan);
    const keep = manifestsToKeep(
      { revisions: scan.revisions, tags: tags.roots },
      { deleteUntagged, isYoung: ({ linkedAt }) => !this.#isOld(linkedAt), followers: tags.followers },
    );
    await forEachAtOnce(keep, LOOKS_AT_ONCE, (digest) => this.#keepManifest(scan, digest));
    const manifests = new DigestList();
    for (const digest of scan.revisions.keys()) if (!keep.has(digest)) manifests.push(digest);
    const deadManifests = new DigestList();
    for (const digest of scan.dead) {
      if (await this.#isDead(revisionLinkPath(repository, digest))) deadManifests.push(digest);
    }
    const dead = [...(await this.#deadTags(scan)), ...tags.goingWith(keep)];
    const layers = new DigestList();
    const links = Map.groupBy(scan.layers, ([digest]) => digestAlgorithm(digest));
    // A young link by sha512 keeps the one by sha256, so it is looked at first.
    for (const algorithm of ['sha512', 'sha256'] as const) {
      await forEachAtOnce(links.get(algorithm) ?? [], LOOKS_AT_ONCE, async ([digest, stat]) => {
        if (await this.#isGarbage(repository, digest, stat)) layers.push(digest);
      });
    }
    const left =
      keep.size +
      (scan.dead.length - deadManifests.length) +
      (scan.tags.size + scan.silentTags.length - dead.length) +
      (scan.layers.size - layers.length);
    if (left === 0) this.#emptied.push(repository);
    if (manifests.length + deadManifests.length + dead.length + layers.length === 0) return;
    this.#garbage.push({ repository, manifests, deadManifests, tags: dead, layers });
  }

  async unreferencedBlobs(signal: AbortSignal): Promise<void> {
    const root = `${BLOBS_ROOT}/sha256`;
    if (this.#driver.walk) {
      for await (const { path, ...stat } of this.#driver.walk(root)) {
        signal.throwIfAborted();
        const [, prefix = '', hex, name] = path.slice(root.length).split('/');
        if (name !== 'data' || hex === undefined) continue;
        await this.#blob(hex, stat);
        this.#options.progress?.(this.#scanned(), (Number.parseInt(prefix, 16) + 1) / 256);
      }
      return;
    }
    const prefixes = await listIfThere(this.#driver, root);
    for (const [index, prefix] of prefixes.entries()) {
      signal.throwIfAborted();
      const names = await listIfThere(this.#driver, `${root}/${prefix}`);
      await forEachAtOnce(names, LOOKS_AT_ONCE, (hex) => this.#blob(hex));
      this.#options.progress?.(this.#scanned(), (index + 1) / prefixes.length);
    }
  }

  async #blob(hex: string, known?: Pick<FileStat, 'size' | 'modifiedAt'>): Promise<void> {
    const digest = parseDigest(`sha256:${hex}`);
    if (digest === undefined) return;
    this.#blobs++;
    const path = blobDataPath(digest);
    if (this.#needed.has(path)) return;
    const stat = known ?? (await statIfThere(this.#driver, path));
    if (stat === undefined || !this.#isOld(stat.modifiedAt)) return;
    this.#unreferenced.push({ digest, size: stat.size });
  }

  #scanned(): Scanned {
    return { repositories: this.#repositories, manifests: this.#manifests, blobs: this.#blobs };
  }

  result(): Mark {
    return {
      scanned: this.#scanned(),
      needed: this.#needed,
      garbage: this.#garbage,
      emptied: this.#emptied,
      unreferenced: this.#unreferenced,
    };
  }

  async #keepManifest({ repository, revisions }: RepositoryScan, digest: Digest): Promise<void> {
    const revision = revisions.get(digest);
    if (revision === undefined) return;
    this.#needed.add(revisionLinkPath(repository, digest));
    this.#needed.add(blobDataPath(revision.canonical));
    for (const blob of revision.references.blobs) {
      this.#needed.add(layerLinkPath(repository, blob));
      await this.#keepBlob(repository, blob);
    }
  }

  /** What a link leads to. Docker distribution goes on from one by sha512 by the link that is by sha256. */
  async #keepBlob(repository: RepositoryName, digest: Digest): Promise<void> {
    const canonical = await canonicalBlobDigest(this.#driver, repository, digest);
    if (canonical === undefined) return;
    if (canonical !== digest) this.#needed.add(layerLinkPath(repository, canonical));
    this.#needed.add(blobDataPath(canonical));
  }

  /** What the rules say of the tags of a repository. */
  async #judgeTags(scan: RepositoryScan): Promise<JudgedTags> {
    const { retention, now, minimumAge } = this.#options;
    const rule = retention && ruleFor(retention.rules, scan.repository);
    if (retention === undefined || rule === undefined) return allStay(scan, retention?.judged);
    const times = new Map<Tag, TagTimes>();
    await forEachAtOnce(scan.tags, LOOKS_AT_ONCE, async ([tag, digest]) => {
      if (!scan.revisions.has(digest)) return;
      const stat = await statIfThere(this.#driver, tagCurrentLinkPath(scan.repository, tag));
      if (stat === undefined) return;
      const pulledAt = retention.pulls.of(scan.repository, tag, digest);
      times.set(tag, { tag, pushedAt: stat.modifiedAt, pulledAt });
    });
    return judgeRepository(scan, rule, times, { ...retention, now, minimumAge });
  }

  /** Tags whose manifest is gone, as a refused push may leave one, or that say nothing: nobody can pull them. */
  async #deadTags({ repository, revisions, tags, silentTags }: RepositoryScan): Promise<readonly DeadTag[]> {
    const dead: DeadTag[] = [];
    const dangling = [...tags].filter(([, digest]) => !revisions.has(digest)).map(([tag]) => tag);
    for (const tag of [...dangling, ...silentTags]) {
      const seenAt = (await statIfThere(this.#driver, tagCurrentLinkPath(repository, tag)))?.modifiedAt;
      if (seenAt === undefined || this.#isOld(seenAt)) dead.push({ tag, seenAt });
    }
    return dead;
  }

  /** A young link that nothing needs yet may be of a push in progress: it keeps what it leads to. */
  async #isGarbage(
    repository: RepositoryName,
    digest: Digest,
    known: FileStat | undefined,
  ): Promise<boolean> {
    const path = layerLinkPath(repository, digest);
    if (this.#needed.has(path)) return false;
    if (await this.#isDead(path, known)) return true;
    await this.#keepBlob(repository, digest);
    return false;
  }

  async #isDead(path: string, known?: FileStat): Promise<boolean> {
    const stat = known ?? (await statIfThere(this.#driver, path));
    return stat !== undefined && this.#isOld(stat.modifiedAt);
  }

  #isOld(modifiedAt: number): boolean {
    return this.#options.now - modifiedAt >= this.#options.minimumAge;
  }
}
