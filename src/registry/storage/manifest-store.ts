import { digestAlgorithm, digestOf, type Digest } from '../../oci/digest.ts';
import {
  LARGEST_MANIFEST_BYTES,
  ManifestError,
  parseManifest,
  type Descriptor,
  type Manifest,
} from '../../oci/manifest.ts';
import { isManifestMediaType } from '../../oci/media-type.ts';
import { isNonDistributable } from '../../oci/non-distributable.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { KeyedLock, type Lock } from '../../process/keyed-lock.ts';
import type { Logger } from '../../process/logger.ts';
import { RegistryError, type ErrorItem } from '../errors.ts';
import type { WritePermit } from '../lease/write-gate.ts';
import { afterWriteStep, beginWrite, type WriteOutcome, type WriteStep } from '../lease/write-steps.ts';
import { findBlobData } from './blob-data.ts';
import type { BlobStore } from './blob-store.ts';
import { PathNotFoundError, type PublishedFile, type StorageDriver } from './driver.ts';
import { FallbackTags } from './fallback-tags.ts';
import { findLink, linkContent } from './links.ts';
import { ManifestContents } from './manifest-content.ts';
import type { ManifestRules } from './manifest-rules.ts';
import { blobDataPath, revisionLinkPath } from './paths.ts';
import { Referrers } from './referrers.ts';
import type { TagStore } from './tag-store.ts';
import { forgetTrash } from './trash.ts';

/** References of a manifest that are looked at together: a bucket takes its time for each. */
const LOOKS_AT_ONCE = 16;

export interface StoredManifest {
  /** The digest that was asked for, or the one that the tag was pushed with. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly size: number;
}

export interface NewManifest {
  readonly bytes: Buffer;
  /** Without parameters. */
  readonly mediaType: string | undefined;
  /** What the client says that it is; sha512 allowed. */
  readonly digest?: Digest;
  readonly tags: readonly Tag[];
  /** Throws for a digest that the tags must not point at now. Other processes may move a tag while it is looked at. */
  readonly condition?: (current: Digest | undefined) => void;
}

/**
 * Manifests of repositories. Bytes lie under their sha256 digest. One that was pushed by its sha512 digest has two
 * revision links that both say the sha256 digest: its own, and that of the sha256 digest, because distribution finds
 * manifests by what it reads in a link. A tag says the digest that it was pushed with, and answers with it.
 */
export class ManifestStore {
  readonly #driver: StorageDriver;
  readonly #blobs: BlobStore;
  readonly #tags: TagStore;
  readonly #rules: ManifestRules;
  readonly #contents: ManifestContents;
  readonly #referrers: Referrers;
  readonly #fallbackTags: FallbackTags | undefined;
  readonly #tagWrites: Lock;

  constructor(deps: {
    readonly driver: StorageDriver;
    readonly blobs: BlobStore;
    readonly tags: TagStore;
    readonly rules: ManifestRules;
    readonly log: Logger;
    /** Lists referrers under fallback tags too, for docker distribution. */
    readonly fallbackTags?: boolean;
    /** For writes of a tag; without it one of this process. */
    readonly tagLock?: Lock;
    /** Bytes of manifests that are kept in memory. */
    readonly cacheBytes?: number;
  }) {
    this.#driver = deps.driver;
    this.#blobs = deps.blobs;
    this.#tags = deps.tags;
    this.#rules = deps.rules;
    this.#tagWrites = deps.tagLock ?? new KeyedLock();
    this.#contents = new ManifestContents(deps);
    this.#referrers = new Referrers({ driver: deps.driver, contents: this.#contents, tags: deps.tags });
    this.#fallbackTags = deps.fallbackTags
      ? new FallbackTags({
          referrers: this.#referrers,
          tags: deps.tags,
          put: (repository, index, permit) => this.put(repository, index, permit),
          log: deps.log,
        })
      : undefined;
  }

  /** The exact bytes that were pushed. The link is looked at each time, content comes from memory. */
  async get(repository: RepositoryName, reference: Digest | Tag): Promise<StoredManifest | undefined> {
    const digest = isDigest(reference) ? reference : await this.#tags.resolve(repository, reference);
    if (digest === undefined) return undefined;
    const link = await findLink(this.#driver, revisionLinkPath(repository, digest), digest);
    const content = link && (await this.#contents.load(link.canonical));
    return content && { digest, ...content, size: content.bytes.length };
  }

  /**
   * Stores a manifest and points tags at it. Everything it refers to has to be in the repository, but for the subject,
   * for layers that clients fetch elsewhere, and for manifests of an index that the rules let off. What is acknowledged
   * was checked after it had become visible, so that no collector can have missed it
   * (docs/decisions/0003-read-only-lease.md).
   * @throws RegistryError MANIFEST_INVALID, MANIFEST_TOO_LARGE, DIGEST_INVALID, MANIFEST_BLOB_UNKNOWN, DENIED, UNAVAILABLE
   */
  async put(
    repository: RepositoryName,
    content: NewManifest,
    permit: WritePermit,
  ): Promise<{ digest: Digest; mediaType: string; subject?: Digest }> {
    const manifest = parse(content);
    this.#rules.assertAllowed(manifest);
    const canonical = digestOf(content.bytes);
    const digest = content.digest ?? canonical;
    assertDigest(content.bytes, digest);
    const { bytes, tags, condition } = content;
    const write: NewWrite = { repository, manifest, bytes, tags, condition, canonical, digest, permit };

    await this.#makeVisible(write);
    this.#contents.keep(canonical, content.bytes);
    if (manifest.subject) await this.#fallbackTags?.update(repository, manifest.subject.digest, permit);
    return {
      digest,
      mediaType: manifest.mediaType,
      ...(manifest.subject && { subject: manifest.subject.digest }),
    };
  }

  /**
   * Removes a manifest and every tag that points at it; tags first, so that none ever leads to nothing. The bytes stay
   * for a collector. @returns the tags. @throws RegistryError MANIFEST_UNKNOWN
   */
  async delete(repository: RepositoryName, digest: Digest, permit: WritePermit): Promise<readonly Tag[]> {
    const link = await findLink(this.#driver, revisionLinkPath(repository, digest), digest);
    if (link === undefined) throw new RegistryError({ code: 'MANIFEST_UNKNOWN', detail: { digest } });
    const bytes = await this.#contents.read(link.canonical);
    const names = new Set([digest, link.canonical, ...(bytes ? [digestOf(bytes, 'sha512')] : [])]);
    const subject = bytes && this.#fallbackTags && subjectOf(bytes);
    if (subject) await this.#fallbackTags?.update(repository, subject, permit, link.canonical);
    const tags = await this.#tags.pointingAt(repository, names);
    for (const tag of tags) {
      await ignoreUnknown(() => this.#tags.remove(repository, tag, permit));
    }
    for (const name of names) {
      const path = revisionLinkPath(repository, name);
      if (name !== digest && (await findLink(this.#driver, path, name)) === undefined) continue;
      await permit.check();
      await forgetTrash(this.#driver, path);
      await ignoreUnknown(() => this.#driver.delete(path));
    }
    // Somebody may have listed it again meanwhile.
    if (subject) await this.#fallbackTags?.update(repository, subject, permit);
    return tags;
  }

  /** Empty for a repository or subject that nobody knows. */
  async referrers(repository: RepositoryName, subject: Digest): Promise<Descriptor[]> {
    return this.#referrers.of(repository, subject);
  }

  /** Brings the list of a subject's referrers up to date, where fallback tags are written at all. */
  async updateFallbackTag(repository: RepositoryName, subject: Digest, permit: WritePermit): Promise<void> {
    await this.#fallbackTags?.update(repository, subject, permit);
  }

  /** Goes through the steps of `write-steps.ts`. @throws what the step threw that refused the write. */
  async #makeVisible(write: NewWrite): Promise<void> {
    let refusal: unknown;
    let state = beginWrite(write.tags.length);
    let tag: WrittenTag | undefined;
    const perform: Readonly<Partial<Record<WriteStep, () => Promise<WriteOutcome | void>>>> = {
      verify: () => this.#verifyReferences(write),
      write: async () => {
        const name = write.tags[state.part - 1];
        if (name === undefined) await this.#writeManifest(write);
        else tag = await this.#writeTag(write, name);
      },
      look: async () => ((await write.permit.validate()) === 'unchanged' ? 'done' : 'changed'),
      'verify-again': () => this.#verifyAll(write, tag?.tag),
      'put-back': () => this.#putBack(write, tag),
    };
    for (let action = perform[state.step]; action !== undefined; action = perform[state.step]) {
      let outcome: WriteOutcome;
      try {
        outcome = (await action()) ?? 'done';
      } catch (error) {
        refusal ??= error;
        outcome = 'refused';
      }
      state = afterWriteStep(state, outcome);
    }
    if (state.step === 'refused') throw refusal;
  }

  async #writeManifest({ repository, canonical, digest, bytes, permit }: NewWrite): Promise<void> {
    const links = [...new Set([canonical, digest])].map((name): PublishedFile => ({
      path: revisionLinkPath(repository, name),
      content: linkContent(canonical),
    }));
    const data = { path: blobDataPath(canonical), content: bytes, keepExisting: true };
    await this.#driver.publish([data, ...links], () => permit.check());
  }

  /** One after the other, so that of two writes with the same condition the second sees what the first has done. */
  async #writeTag(write: NewWrite, tag: Tag): Promise<WrittenTag> {
    const { repository, digest, condition, permit } = write;
    return this.#tagWrites.run(`${repository}:${tag}`, async () => {
      const previous = await this.#tags.resolve(repository, tag);
      condition?.(previous);
      return { tag, previous, stamp: await this.#tags.set(repository, tag, digest, permit) };
    });
  }

  async #putBack({ repository, digest }: NewWrite, written: WrittenTag | undefined): Promise<void> {
    if (written) await this.#tags.putBack(repository, written.tag, { ...written, own: digest });
  }

  /**
   * A collector that came and went may have taken what was there before, the manifest itself included, and a tag that led
   * to nothing when it looked.
   */
  async #verifyAll(write: NewWrite, tag: Tag | undefined): Promise<void> {
    await this.#verifyReferences(write);
    const { repository } = write;
    const digests = [...new Set([write.canonical, write.digest])];
    const found = await Promise.all(digests.map((digest) => this.#exists(repository, digest)));
    const tagged = tag === undefined || (await this.#tags.resolve(repository, tag)) !== undefined;
    if (tagged && found.every(Boolean)) return;
    throw new RegistryError({
      code: 'UNAVAILABLE',
      message: 'a garbage collection got in the way; push again',
    });
  }

  /** Also puts back what a collector took away. @throws RegistryError MANIFEST_BLOB_UNKNOWN, one item for each. */
  async #verifyReferences({ repository, manifest }: NewWrite): Promise<void> {
    const missing = new Set<Digest>();
    await forEachAtOnce(manifest.blobs, LOOKS_AT_ONCE, async (blob) => {
      if (isNonDistributable(blob)) return;
      if ((await this.#blobs.stat(repository, blob.digest)) === undefined) missing.add(blob.digest);
    });
    await forEachAtOnce(manifest.manifests, LOOKS_AT_ONCE, async (child) => {
      // Looked at in any case: what a collector took away comes back by that.
      const exists = await this.#childExists(repository, child);
      if (!exists && this.#rules.mustExist(child)) missing.add(child.digest);
    });
    const named = new Set([...manifest.blobs, ...manifest.manifests].map(({ digest }) => digest));
    const [first, ...others] = [...named]
      .filter((digest) => missing.has(digest))
      .map((digest): ErrorItem => ({ code: 'MANIFEST_BLOB_UNKNOWN', detail: digest }));
    if (first) throw new RegistryError([first, ...others]);
  }

  /** An index may list content that is no manifest; that is kept as a blob. OCI image-spec, image-index.md. */
  async #childExists(repository: RepositoryName, child: Descriptor): Promise<boolean> {
    if (await this.#exists(repository, child.digest)) return true;
    if (isManifestMediaType(child.mediaType)) return false;
    return (await this.#blobs.stat(repository, child.digest)) !== undefined;
  }

  /** Asks the store alone: what is in memory may be gone. */
  async #exists(repository: RepositoryName, digest: Digest): Promise<boolean> {
    const link = await findLink(this.#driver, revisionLinkPath(repository, digest), digest);
    return link !== undefined && (await findBlobData(this.#driver, link.canonical)) !== undefined;
  }
}

interface NewWrite {
  readonly condition: NewManifest['condition'];
  readonly repository: RepositoryName;
  readonly manifest: Manifest;
  readonly bytes: Buffer;
  readonly tags: readonly Tag[];
  readonly canonical: Digest;
  readonly digest: Digest;
  readonly permit: WritePermit;
}

/** A tag that was set, and what it said before. */
interface WrittenTag {
  readonly tag: Tag;
  readonly previous: Digest | undefined;
  readonly stamp: number | undefined;
}

function parse({ bytes, mediaType }: NewManifest): Manifest {
  if (bytes.length > LARGEST_MANIFEST_BYTES) throw new RegistryError({ code: 'MANIFEST_TOO_LARGE' });
  try {
    const manifest = parseManifest(bytes, mediaType);
    // The Content-Type is not stored, so the document alone has to say what it is.
    if (parseManifest(bytes, undefined).mediaType !== manifest.mediaType) {
      throw new ManifestError(`a document of type ${manifest.mediaType} must say so in its mediaType`);
    }
    return manifest;
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new RegistryError({ code: 'MANIFEST_INVALID', message: error.message }, { cause: error });
  }
}

/** The manifest may be of a kind that is taken no more. */
function subjectOf(bytes: Buffer): Digest | undefined {
  try {
    return parseManifest(bytes, undefined).subject?.digest;
  } catch (error) {
    if (error instanceof ManifestError) return undefined;
    throw error;
  }
}

function assertDigest(bytes: Buffer, digest: Digest): void {
  const actual = digestOf(bytes, digestAlgorithm(digest));
  if (actual !== digest)
    throw new RegistryError({ code: 'DIGEST_INVALID', detail: { expected: digest, actual } });
}

function isDigest(reference: Digest | Tag): reference is Digest {
  return parseTag(reference) === undefined;
}

/** For removing what somebody else may have removed meanwhile. */
async function ignoreUnknown(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    const gone =
      error instanceof PathNotFoundError ||
      (error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN');
    if (!gone) throw error;
  }
}
