import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  digestAlgorithm,
  digestHex,
  digestOf,
  finishDigest,
  parseDigest,
  type Digest,
} from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-type.ts';
import type { BlobContent } from '../oci-client/push-blob.ts';
import type { FetchedManifest, ReferrerEntry } from '../oci-client/registry-client.ts';
import { KeyedLock } from '../process/keyed-lock.ts';
import type { BlobOutcome, ImageDestination, ImageSource } from './sides.ts';

const NAME = 'org.opencontainers.image.ref.name';

/** An entry of `index.json`. What else it holds is kept as it is. */
interface Entry extends ReferrerEntry {
  readonly [field: string]: unknown;
}

/** An OCI image layout: a folder with blobs by digest and an index of what has a name. OCI image-spec, image-layout.md. */
export class ImageLayout implements ImageSource, ImageDestination {
  readonly title: string;
  readonly takesIndexes = true;
  readonly #folder: string;
  /** By digest, and the index: images that are copied at once share blobs. */
  readonly #writing = new KeyedLock();
  #entries: readonly Entry[];
  /** Of manifests that were read; a digest always has the same. */
  readonly #subjects = new Map<Digest, Digest | undefined>();

  private constructor(folder: string, entries: readonly Entry[]) {
    this.title = `oci:${folder}`;
    this.#folder = folder;
    this.#entries = entries;
  }

  /** @throws Error when the folder holds no image layout. */
  static async open(folder: string): Promise<ImageLayout> {
    const entries = await readIndex(folder);
    if (entries === undefined) throw new Error(`${folder} is not an OCI image layout: it has no index.json`);
    return new ImageLayout(folder, entries);
  }

  /** Goes on with a layout that is there. */
  static async create(folder: string): Promise<ImageLayout> {
    await mkdir(join(folder, 'blobs'), { recursive: true });
    await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    return new ImageLayout(folder, (await readIndex(folder)) ?? []);
  }

  /** The only image, when there is one alone. */
  get single(): Digest | undefined {
    const digests = new Set(this.#entries.map(({ digest }) => digest));
    return digests.size === 1 ? [...digests][0] : undefined;
  }

  async tags(): Promise<readonly string[]> {
    return this.#entries.flatMap(({ annotations }) => annotations?.[NAME] ?? []);
  }

  /** A referrer that no list has yet was broken off: nobody would find it. */
  async resolve(reference: string): Promise<Digest | undefined> {
    const digest = await this.#find(reference);
    if (digest === undefined || this.#entries.some((entry) => entry.digest === digest)) return digest;
    return (await this.#subjectOf(digest)) === undefined ? digest : undefined;
  }

  async manifest(reference: string): Promise<FetchedManifest | undefined> {
    const digest = await this.#find(reference);
    if (digest === undefined) return undefined;
    const bytes = await readFile(this.#path(digest));
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest)
      throw new Error(`${this.title}: blob ${digest} is damaged`);
    return { digest, mediaType: parseManifest(bytes, undefined).mediaType, bytes };
  }

  blob(digest: Digest, start: number): AsyncIterable<Uint8Array> {
    return createReadStream(this.#path(digest), { start, highWaterMark: 1024 * 1024 });
  }

  /** Whatever the index lists that has this subject. */
  async referrers(subject: Digest): Promise<readonly ReferrerEntry[]> {
    const found: ReferrerEntry[] = [];
    for (const entry of this.#entries) {
      if ((await this.#subjectOf(entry.digest)) === subject) found.push(entry);
    }
    return found;
  }

  async #find(reference: string): Promise<Digest | undefined> {
    const digest = parseDigest(reference);
    if (digest === undefined)
      return this.#entries.find(({ annotations }) => annotations?.[NAME] === reference)?.digest;
    return (await this.#size(digest)) === undefined ? undefined : digest;
  }

  async #subjectOf(digest: Digest): Promise<Digest | undefined> {
    if (this.#subjects.has(digest)) return this.#subjects.get(digest);
    const manifest = await this.manifest(digest);
    const subject = manifest && parseManifest(manifest.bytes, manifest.mediaType).subject?.digest;
    if (manifest) this.#subjects.set(digest, subject);
    return subject;
  }

  async putBlob(
    content: BlobContent,
    _source: ImageSource,
    sent: (bytes: number) => void,
  ): Promise<BlobOutcome> {
    const { digest, size } = content;
    return this.#writing.run(digest, async () => {
      if ((await this.#size(digest)) === size) return 'there';
      await this.#write(digest, content.open(0), sent);
      return 'copied';
    });
  }

  /** A manifest with a name, or with a subject, is listed; a child of an index is found through it. */
  async putManifest(manifest: FetchedManifest, tag: string | undefined): Promise<void> {
    const { digest, mediaType, bytes } = manifest;
    await this.#writing.run(digest, () => this.#write(digest, [bytes], () => undefined));
    const { subject, artifactType } = parseManifest(bytes, mediaType);
    if (tag === undefined && subject === undefined) return;
    const entry = {
      mediaType,
      digest,
      size: bytes.length,
      ...(subject && artifactType !== undefined && { artifactType }),
      ...(tag !== undefined && { annotations: { [NAME]: tag } }),
    };
    const nameOf = (other: Entry): string | undefined => other.annotations?.[NAME];
    const ofIt = this.#entries.filter((other) => other.digest === digest);
    // What has a name already keeps it when it comes once more as a referrer.
    if (tag === undefined && ofIt.length > 0) return;
    const replaced = new Set(this.#entries.filter((other) => tag !== undefined && nameOf(other) === tag));
    for (const other of ofIt) if (nameOf(other) === undefined) replaced.add(other);
    // Copies end in any order; what they make should not depend on it.
    this.#entries = [...this.#entries.filter((other) => !replaced.has(other)), entry].toSorted(byName);
    await this.#writing.run('index', () => this.#writeIndex());
  }

  async #writeIndex(): Promise<void> {
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: this.#entries };
    const temporary = join(this.#folder, `.index-${process.pid}`);
    await writeFile(temporary, JSON.stringify(index));
    await rename(temporary, join(this.#folder, 'index.json'));
  }

  /** Ingest, verify, rename. */
  async #write(
    digest: Digest,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    sent: (bytes: number) => void,
  ): Promise<void> {
    const path = this.#path(digest);
    await mkdir(join(path, '..'), { recursive: true });
    const temporary = `${path}.${process.pid}.partial`;
    const file = await open(temporary, 'w');
    try {
      const hash = createHash(digestAlgorithm(digest));
      for await (const chunk of content) {
        hash.update(chunk);
        await file.writeFile(chunk);
        sent(chunk.length);
      }
      await file.close();
      if (finishDigest(hash, digestAlgorithm(digest)) !== digest)
        throw new Error(`what came is not ${digest}`);
      await rename(temporary, path);
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #path(digest: Digest): string {
    return join(this.#folder, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }
}

function byName(one: Entry, other: Entry): number {
  const [first, second] = [one, other].map(
    ({ annotations, digest }) => `${annotations?.[NAME] ?? ''} ${digest}`,
  );
  return first === second ? 0 : (first ?? '') < (second ?? '') ? -1 : 1;
}

async function readIndex(folder: string): Promise<readonly Entry[] | undefined> {
  try {
    const text = await readFile(join(folder, 'index.json'), 'utf8');
    const { manifests = [] } = JSON.parse(text) as { readonly manifests?: readonly Entry[] }; // an index
    return manifests.filter(({ digest }) => parseDigest(digest) !== undefined);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
