import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { digestHex, digestOf, finishDigest, parseDigest, type Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-type.ts';
import type { BlobContent } from '../oci-client/push-blob.ts';
import type { FetchedManifest } from '../oci-client/registry-client.ts';
import { Semaphore } from '../process/semaphore.ts';
import type { BlobOutcome, ImageDestination, ImageSource } from './sides.ts';
import { readAt, readTarIndex, TAR_END, tarHeader, tarPadding, type TarEntry } from './tar.ts';

/** One image of `manifest.json`. */
interface ArchivedImage {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** What a file says of itself: `beginning` are its first bytes, in hex. */
interface Measured {
  readonly digest: Digest;
  readonly beginning: string;
}

const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** What `docker save` writes: images without manifests of their own, so an OCI manifest is made for each. */
export class ArchiveSource implements ImageSource {
  readonly title: string;
  readonly #file: string;
  readonly #entries: ReadonlyMap<string, TarEntry>;
  readonly #images: readonly ArchivedImage[];
  /** Where the blobs lie of the manifests that were made. */
  readonly #blobs = new Map<Digest, TarEntry>();
  /** Images share layers, and a layer is read as a whole for its digest. */
  readonly #measured = new Map<TarEntry, Promise<Measured>>();

  private constructor(
    file: string,
    entries: ReadonlyMap<string, TarEntry>,
    images: readonly ArchivedImage[],
  ) {
    this.title = `docker-archive:${file}`;
    this.#file = file;
    this.#entries = entries;
    this.#images = images;
  }

  /** @throws Error when the file is no such archive. */
  static async open(path: string): Promise<ArchiveSource> {
    await using file = await open(path);
    try {
      const entries = await readTarIndex(file);
      const listed = entries.get('manifest.json');
      if (listed === undefined) throw new Error('holds no manifest.json');
      const text = await readAt(file, listed.start, listed.size);
      return new ArchiveSource(path, entries, JSON.parse(text.toString()) as ArchivedImage[]); // docker's own format
    } catch (cause) {
      throw new Error(`${path} is not an archive of docker save: ${String(cause)}`, { cause });
    }
  }

  async tags(): Promise<readonly string[]> {
    return this.#images.flatMap(({ RepoTags }) => RepoTags ?? []);
  }

  /** @param reference as in `team/app:v1`, or the tag alone; empty for the only image. */
  async manifest(reference: string): Promise<FetchedManifest | undefined> {
    const image =
      reference === '' && this.#images.length === 1
        ? this.#images[0]
        : this.#images.find(({ RepoTags }) =>
            RepoTags?.some((name) => name === reference || name.endsWith(`:${reference}`)),
          );
    if (image === undefined) return undefined;
    const config = await this.#describe(image.Config, () => CONFIG);
    const layers = [];
    for (const name of image.Layers) layers.push(await this.#describe(name, layerType));
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
    const bytes = Buffer.from(JSON.stringify(document));
    return { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
  }

  blob(digest: Digest, start: number): AsyncIterable<Uint8Array> {
    const entry = this.#blobs.get(digest);
    if (entry === undefined) throw new Error(`${this.title} has no blob ${digest}`);
    return this.#read({ start: entry.start + start, size: entry.size - start });
  }

  async referrers(): Promise<readonly never[]> {
    return [];
  }

  async #describe(name: string, type: (beginning: string) => string): Promise<object> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`${this.title} has no file ${name}`);
    const measuring = this.#measured.get(entry) ?? this.#measure(entry);
    this.#measured.set(entry, measuring);
    const { digest, beginning } = await measuring;
    this.#blobs.set(digest, entry);
    return { mediaType: type(beginning), digest, size: entry.size };
  }

  async #measure(entry: TarEntry): Promise<Measured> {
    const hash = createHash('sha256');
    let beginning: string | undefined;
    for await (const chunk of this.#read(entry)) {
      hash.update(chunk);
      beginning ??= Buffer.from(chunk.subarray(0, 4)).toString('hex');
    }
    return { digest: finishDigest(hash, 'sha256'), beginning: beginning ?? '' };
  }

  async *#read({ start, size }: TarEntry): AsyncIterable<Uint8Array> {
    if (size === 0) return;
    yield* createReadStream(this.#file, { start, end: start + size - 1, highWaterMark: 1024 * 1024 });
  }
}

function layerType(beginning: string): string {
  if (beginning.startsWith('1f8b')) return `${LAYER}+gzip`;
  return beginning === '28b52ffd' ? `${LAYER}+zstd` : LAYER;
}

/** Writes one image as `docker save` does, for `docker load`. Nothing is at the path before `finish`. */
export class ArchiveDestination implements ImageDestination {
  readonly title: string;
  readonly takesIndexes = false;
  readonly #path: string;
  readonly #name: string | undefined;
  readonly #file: FileHandle;
  /** One after the other: it is one file. */
  readonly #writing = new Semaphore(1);
  readonly #names = new Map<Digest, string>();
  #image: ArchivedImage | undefined;

  private constructor(path: string, name: string | undefined, file: FileHandle) {
    this.title = `docker-archive:${path}`;
    this.#path = path;
    this.#name = name;
    this.#file = file;
  }

  /** @param name what `docker load` shall call the image, as in `team/app:v1`. */
  static async create(path: string, name: string | undefined): Promise<ArchiveDestination> {
    return new ArchiveDestination(path, name, await open(`${path}.partial`, 'w'));
  }

  async resolve(reference: string): Promise<Digest | undefined> {
    const digest = parseDigest(reference);
    return digest !== undefined && this.#names.has(digest) ? digest : undefined;
  }

  putBlob(content: BlobContent, _source: ImageSource, sent: (bytes: number) => void): Promise<BlobOutcome> {
    return this.#writing.run(async () => {
      if (this.#names.has(content.digest)) return 'there';
      const name = `${digestHex(content.digest)}.blob`;
      await this.#write(name, content.size, content.open(0), content.digest, sent);
      this.#names.set(content.digest, name);
      return 'copied';
    });
  }

  /** @throws Error for an image with layers that a registry need not have: an archive without them cannot be loaded. */
  async putManifest({ bytes, mediaType }: FetchedManifest): Promise<void> {
    const [config = '', ...layers] = parseManifest(bytes, mediaType).blobs.map(({ digest }) => {
      const name = this.#names.get(digest);
      if (name === undefined) throw new Error(`layer ${digest} is not distributed with the image`);
      return name;
    });
    const tags = this.#name === undefined ? null : [this.#name];
    this.#image = { Config: config, RepoTags: tags, Layers: layers };
  }

  async finish(): Promise<void> {
    const list = Buffer.from(JSON.stringify(this.#image === undefined ? [] : [this.#image]));
    await this.#write('manifest.json', list.length, [list], digestOf(list), () => undefined);
    await this.#file.writeFile(TAR_END);
    await this.#file.close();
    await rename(`${this.#path}.partial`, this.#path);
  }

  async abandon(): Promise<void> {
    await this.#file.close();
    await rm(`${this.#path}.partial`, { force: true });
  }

  async #write(
    name: string,
    size: number,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    digest: Digest,
    sent: (bytes: number) => void,
  ): Promise<void> {
    const hash = createHash(digest.startsWith('sha512:') ? 'sha512' : 'sha256');
    await this.#file.writeFile(tarHeader(name, size));
    for await (const chunk of content) {
      hash.update(chunk);
      await this.#file.writeFile(chunk);
      sent(chunk.length);
    }
    if (hash.digest('hex') !== digestHex(digest)) throw new Error(`what came is not ${digest}`);
    await this.#file.writeFile(tarPadding(size));
  }
}
