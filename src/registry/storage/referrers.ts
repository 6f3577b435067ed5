import { LRUCache } from 'lru-cache';
import { digestAlgorithm, digestHex, parseDigest, type Digest } from '../../oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../../oci/manifest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import type { StorageDriver } from './driver.ts';
import { listIfThere } from './if-there.ts';
import { findLink, type FoundLink } from './links.ts';
import type { ManifestContents } from './manifest-content.ts';
import { revisionLinkPath, revisionsFolder } from './paths.ts';
import type { TagStore } from './tag-store.ts';

/** Manifests of which it is remembered what they refer to; about 10 MB when all are referrers. */
const REMEMBERED = 20_000;

/** Manifests that are read together: a bucket takes its time for each. */
const AT_ONCE = 16;

/** A manifest with a subject. */
interface Referrer {
  readonly subject: Digest;
  readonly descriptor: Descriptor;
}

/**
 * Which manifests refer to another. Derived from the revisions of a repository, so that it is right whoever wrote them,
 * distribution included; what is remembered follows from content, which never changes under its digest.
 */
export class Referrers {
  readonly #driver: StorageDriver;
  readonly #contents: ManifestContents;
  readonly #tags: TagStore;
  readonly #known = new LRUCache<Digest, Referrer | 'none'>({
    maxSize: REMEMBERED,
    sizeCalculation: () => 1,
  });

  constructor(deps: {
    readonly driver: StorageDriver;
    readonly contents: ManifestContents;
    readonly tags: TagStore;
  }) {
    this.#driver = deps.driver;
    this.#contents = deps.contents;
    this.#tags = deps.tags;
  }

  /**
   * Descriptors of all that refers to `subject`, sorted by digest, those that a client listed under the fallback tag
   * included. OCI distribution-spec, "Listing Referrers" and "Enabling the Referrers API".
   */
  async of(repository: RepositoryName, subject: Digest): Promise<Descriptor[]> {
    const found = new Map<Digest, Descriptor>();
    for (const descriptor of await this.#underFallbackTag(repository, subject)) {
      found.set(descriptor.digest, descriptor);
    }
    await forEachAtOnce(await this.#revisions(repository), AT_ONCE, async (digest) => {
      const referrer = await this.#referrer(digest);
      if (referrer?.subject !== subject) return;
      if (await this.#link(repository, digest)) found.set(digest, referrer.descriptor);
    });
    return [...found.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  /** Revisions by sha256; one that was pushed by another digest has a link there as well. */
  async #revisions(repository: RepositoryName): Promise<Digest[]> {
    const names = await listIfThere(this.#driver, `${revisionsFolder(repository)}/sha256`);
    return names.flatMap((hex) => parseDigest(`sha256:${hex}`) ?? []);
  }

  async #referrer(digest: Digest): Promise<Referrer | undefined> {
    const known = this.#known.get(digest);
    if (known !== undefined) return known === 'none' ? undefined : known;
    const bytes = await this.#contents.read(digest);
    if (bytes === undefined) return undefined;
    const referrer = referrerIn(bytes, digest);
    this.#known.set(digest, referrer ?? 'none');
    return referrer;
  }

  async #link(repository: RepositoryName, digest: Digest): Promise<FoundLink | undefined> {
    return findLink(this.#driver, revisionLinkPath(repository, digest), digest);
  }

  async #underFallbackTag(repository: RepositoryName, subject: Digest): Promise<Descriptor[]> {
    const tag = fallbackTag(subject);
    const digest = tag && (await this.#tags.resolve(repository, tag));
    const link = digest && (await this.#link(repository, digest));
    const bytes = link && (await this.#contents.load(link.canonical))?.bytes;
    const listed = bytes ? (tryParse(bytes)?.manifests ?? []) : [];
    const present: Descriptor[] = [];
    for (const descriptor of listed) {
      // Clients do not keep the tag up to date when a referrer is deleted.
      if (await this.#link(repository, descriptor.digest)) present.push(descriptor);
    }
    return present;
  }
}

/** The tag under which clients list referrers where there is no API. OCI distribution-spec, "Referrers Tag Schema". */
export function fallbackTag(subject: Digest): Tag | undefined {
  return parseTag(`${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`);
}

function referrerIn(bytes: Buffer, digest: Digest): Referrer | undefined {
  if (!bytes.includes('"subject"')) return undefined;
  const manifest = tryParse(bytes);
  if (manifest?.subject === undefined) return undefined;
  const { mediaType, artifactType, annotations } = manifest;
  const descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
  };
  return { subject: manifest.subject.digest, descriptor };
}

function tryParse(bytes: Buffer): Manifest | undefined {
  try {
    return parseManifest(bytes, undefined);
  } catch {
    return undefined;
  }
}
