import type { Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../oci/manifest.ts';
import { isIndexMediaType, isManifestMediaType } from '../oci/media-type.ts';
import { isNonDistributable } from '../oci/non-distributable.ts';
import type { FetchedManifest } from '../oci-client/registry-client.ts';
import type { Semaphore } from '../process/semaphore.ts';
import { choosePlatform, type Platform } from './platform.ts';
import type { BlobOutcome, ImageDestination, ImageSource } from './sides.ts';

export interface CopyProgress {
  /** Bytes are on their way. */
  sent(bytes: number): void;
  blob(outcome: BlobOutcome): void;
}

export interface ImageCopyOptions {
  readonly source: ImageSource;
  readonly destination: ImageDestination;
  /** One image of an index instead of all. */
  readonly platform: Platform | undefined;
  /** What is taken of an index where there is room for one image alone. */
  readonly ownPlatform: Platform;
  /** Signatures, SBOMs and whatever else has the image as its subject, and what has those. */
  readonly referrers: boolean;
  /** Shared by all images: how many blobs are on their way at once. */
  readonly blobs: Semaphore;
  readonly progress: CopyProgress;
}

export interface CopiedImage {
  readonly digest: Digest;
  /** False when the destination had it under this name already. */
  readonly changed: boolean;
}

/**
 * Copies an image and everything that it refers to; what the destination has is left as it is. Children come before their
 * index, blobs before their manifest, so that whatever is there is whole, also when this is broken off.
 * @param reference what to copy: a tag, a name or a digest. @param tag what to call it there; undefined: by digest.
 * @throws Error that says what is missing or refused.
 */
export async function copyImage(
  reference: string,
  tag: string | undefined,
  options: ImageCopyOptions,
): Promise<CopiedImage> {
  return new ImageCopy(options).copy(reference, tag);
}

class ImageCopy {
  readonly #options: ImageCopyOptions;
  /** Subjects whose referrers were looked at. */
  readonly #visited = new Set<Digest>();

  constructor(options: ImageCopyOptions) {
    this.#options = options;
  }

  async copy(reference: string, tag: string | undefined): Promise<CopiedImage> {
    const { destination, referrers } = this.#options;
    const manifest = await this.#chosen(await this.#fetch(reference));
    const changed = (await destination.resolve(tag ?? manifest.digest)) !== manifest.digest;
    if (changed) await this.#putTree(manifest, tag);
    if (referrers) await this.#putReferrers(manifest);
    return { digest: manifest.digest, changed };
  }

  async #fetch(reference: string): Promise<FetchedManifest> {
    const { source } = this.#options;
    const manifest = await source.manifest(reference);
    if (manifest === undefined) throw new Error(`${source.title} has no ${reference || 'image'}`);
    return manifest;
  }

  /** An index, or the one image of it that is wanted. */
  async #chosen(manifest: FetchedManifest): Promise<FetchedManifest> {
    const { platform, ownPlatform, destination, source } = this.#options;
    if (platform === undefined && destination.takesIndexes) return manifest;
    if (!isIndexMediaType(parseManifest(manifest.bytes, manifest.mediaType).mediaType)) return manifest;
    return this.#fetch(choosePlatform(manifest.bytes, platform ?? ownPlatform, source.title));
  }

  async #putTree(manifest: FetchedManifest, tag: string | undefined): Promise<void> {
    const { destination } = this.#options;
    // What is there is whole, so only the tag is missing.
    const there = tag !== undefined && (await destination.resolve(manifest.digest)) === manifest.digest;
    if (!there) await this.#putContent(parseManifest(manifest.bytes, manifest.mediaType));
    await destination.putManifest(manifest, tag);
  }

  async #putContent({ manifests, blobs }: Manifest): Promise<void> {
    const children = manifests.filter(({ mediaType }) => isManifestMediaType(mediaType));
    const others = [...blobs, ...manifests].filter(
      (descriptor) => !isManifestMediaType(descriptor.mediaType) && !isNonDistributable(descriptor),
    );
    await all([
      ...children.map((child) => this.#putChild(child.digest)),
      ...unique(others).map((blob) => this.#putBlob(blob)),
    ]);
  }

  async #putChild(digest: Digest): Promise<void> {
    const { destination } = this.#options;
    if ((await destination.resolve(digest)) === digest) return;
    await this.#putTree(await this.#fetch(digest), undefined);
  }

  async #putBlob({ digest, size }: Descriptor): Promise<void> {
    const { source, destination, blobs, progress } = this.#options;
    const open = (start: number) => atMost(size - start, source.blob(digest, start), digest);
    const content = { digest, size, open };
    const outcome = await blobs.run(() =>
      destination.putBlob(content, source, (bytes) => progress.sent(bytes)),
    );
    progress.blob(outcome);
  }

  async #putReferrers({ digest, bytes, mediaType }: FetchedManifest): Promise<void> {
    const { source } = this.#options;
    const children = parseManifest(bytes, mediaType).manifests.map((child) => child.digest);
    for (const subject of [digest, ...children]) {
      if (this.#visited.has(subject)) continue;
      this.#visited.add(subject);
      for (const referrer of await source.referrers(subject)) {
        const manifest = await this.#fetch(referrer.digest);
        await this.#putChild(manifest.digest);
        await this.#putReferrers(manifest);
      }
    }
  }
}

/** Passes bytes on. @throws Error instead of those past `most`, of which a source could have any number */
async function* atMost(
  most: number,
  content: AsyncIterable<Uint8Array>,
  digest: Digest,
): AsyncIterable<Uint8Array> {
  let left = most;
  for await (const chunk of content) {
    left -= chunk.length;
    if (left < 0) throw new Error(`blob ${digest} is longer than its manifest says`);
    yield chunk;
  }
}

function unique(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}

/** Waits for all, so that nothing goes on behind a failure. @throws what the first that failed met */
async function all(actions: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(actions);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason as Error; // thrown by us
}
