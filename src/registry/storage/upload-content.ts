import { createHash, randomUUID, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { finishDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.ts';
import { PathNotFoundError, type FileWriter, type StorageDriver } from './driver.ts';
import { deleteIfThere, listIfThere, moveIfThere, statIfThere } from './if-there.ts';
import { receiveBody } from './receive-body.ts';

/** An upload up to this size, in bytes, stays in memory: most configs and manifests' small layers never need a file. */
const LARGEST_IN_MEMORY = 64 * 1024;

/** How many bytes all uploads may keep in memory together; beyond that they go to files at once. */
export class UploadMemory {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  has(bytes: number): boolean {
    return bytes <= this.#left;
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** What one process of a server tells another that goes on with an upload. */
export type KeptContent = KeptBytes | KeptFile;

/** Bytes that are in memory alone, and by which algorithms they are hashed. */
interface KeptBytes {
  /** Where they go when they become many. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly algorithms: readonly DigestAlgorithm[];
}

interface KeptFile {
  /** Its name in the folder of the upload. */
  readonly file: string;
  readonly size: number;
  /** Another server had it, and may still write to it for a request that hangs. */
  readonly isForeign: boolean;
}

/** The file of an upload, as docker distribution calls it. */
const FILE = 'data';

export interface UploadContentOptions {
  readonly driver: StorageDriver;
  /** `_uploads/<id>` of the repository. */
  readonly folder: string;
  readonly memory: UploadMemory;
  /** What goes into `startedat`. */
  readonly startedAt: () => Date;
  /** Other processes serve the store as well: between two requests nothing may be in memory alone. */
  readonly isShared: boolean;
}

/**
 * The bytes of an upload so far, in memory while they are few, else in a file. In a store that is shared the file has the
 * few as well, for the others. They are hashed as they come; Node's hashes cannot be stored, so what another process
 * received is read again when the digest is asked for.
 *
 * On a volume each name in the folder belongs to one server: `data` to the one that began the upload, and whoever goes on
 * with it gives the file another name first. So what is published under a name of ours is not what others write to; what
 * they had open before is copied.
 */
export class UploadContent {
  readonly #driver: StorageDriver;
  readonly #options: UploadContentOptions;
  /** Bytes in memory; undefined when they are in the file. */
  #kept: Uint8Array[] | undefined;
  #file: string;
  #size: number;
  #isForeign: boolean;
  /** How many of the bytes in memory are in the file too; undefined when there is no folder. */
  #sharedSize: number | undefined;
  /** Hashes of all bytes; undefined when some of them came another way. */
  #hashes: Map<DigestAlgorithm, Hash> | undefined;

  private constructor(options: UploadContentOptions, { file, size, isForeign }: KeptFile) {
    this.#driver = options.driver;
    this.#options = options;
    this.#file = file;
    this.#size = size;
    this.#isForeign = isForeign;
  }

  /** Nothing yet. Blobs lie under their sha256, so that is hashed beside the algorithms that the client announced. */
  static empty(
    options: UploadContentOptions,
    algorithms: readonly DigestAlgorithm[],
    file = FILE,
  ): UploadContent {
    const content = new UploadContent(options, { file, size: 0, isForeign: false });
    content.#kept = [];
    content.#hashes = freshHashes(algorithms);
    return content;
  }

  /** What another process, or this one before a restart, left. @returns undefined when there is nothing. */
  static async find(options: UploadContentOptions): Promise<UploadContent | undefined> {
    const { driver, folder } = options;
    if (driver.movesAtomically) return UploadContent.#takeFile(options);
    const size = await sizeInStore(driver, folder);
    if (size === undefined) return undefined;
    return size > 0
      ? new UploadContent(options, { file: FILE, size, isForeign: false })
      : UploadContent.#begun(options, FILE);
  }

  /** Takes the file of whoever had the upload: who looks for it by its old name finds that it is gone. */
  static async #takeFile(options: UploadContentOptions): Promise<UploadContent | undefined> {
    const { driver, folder } = options;
    const names = await listIfThere(driver, folder);
    const file = ownName();
    const largest = await largestOf(driver, folder, names);
    if (largest === undefined)
      return names.includes('startedat') ? UploadContent.#begun(options, file) : undefined;
    // Somebody else may have been faster.
    if (!(await moveIfThere(driver, `${folder}/${largest}`, `${folder}/${file}`)))
      return UploadContent.#takeFile(options);
    const size = (await driver.unpublishedSize(`${folder}/${file}`)) ?? 0;
    return new UploadContent(options, { file, size, isForeign: true });
  }

  /** There is a folder, and nothing in it that counts. */
  static #begun(options: UploadContentOptions, file: string): UploadContent {
    const content = UploadContent.empty(options, [], file);
    content.#sharedSize = 0;
    return content;
  }

  /** Goes on with what another process of this server had. */
  static takeOver(options: UploadContentOptions, kept: KeptContent): UploadContent {
    if (!('bytes' in kept)) return new UploadContent(options, kept);
    const content = UploadContent.empty(options, kept.algorithms, kept.file);
    if (kept.bytes.length > 0) void content.#append(kept.bytes, undefined);
    return content;
  }

  get size(): number {
    return this.#size;
  }

  get #path(): string {
    return `${this.#options.folder}/${this.#file}`;
  }

  /** Looks whether another process has written meanwhile. @returns false when the upload is gone, or another's. */
  async refresh(): Promise<boolean> {
    if (this.#kept !== undefined && !this.#options.isShared) return true;
    const before = this.#size;
    const size = await this.#storedSize();
    if (size === undefined) return false;
    // It is as we know it, or a request that came meanwhile went on.
    if (size === before || before !== this.#size) return true;
    if (this.#kept !== undefined) {
      this.#options.memory.give(this.#size);
      this.#kept = undefined;
    }
    this.#hashes = undefined;
    this.#size = size;
    return true;
  }

  /** In a store that is shared: lets the others find the upload, with all bytes so far. */
  async share(): Promise<void> {
    if (!this.#options.isShared || this.#kept === undefined || this.#sharedSize === this.#size) return;
    await this.#begin();
    if (this.#size > 0) {
      const bytes = Buffer.concat(this.#kept);
      await this.#driver.putContent(this.#path, bytes, { durable: false });
    }
    this.#sharedSize = this.#size;
  }

  /**
   * Appends a body. What arrived stays, also when the client goes away or the store fails.
   * @param length bytes expected, where the client told.
   * @throws BodyCutOffError, what the store throws.
   */
  async receive(body: Readable, length: number | undefined): Promise<void> {
    const before = this.#kept ? this.#size : 0;
    let writer: FileWriter | undefined;
    try {
      if (!this.#mayKeep(length ?? 0)) writer = await this.#openFile();
      await receiveBody(body, (chunk) => {
        if (!writer && !this.#mayKeep(chunk.length)) {
          return this.#openFile().then(async (opened) => {
            writer = opened;
            await this.#append(chunk, writer);
          });
        }
        return this.#append(chunk, writer);
      });
    } finally {
      await this.#endOfBody(writer, before);
    }
  }

  /** Before the bytes are verified: copies what somebody else may still write to. What is verified then stays as it is. */
  async settle(): Promise<void> {
    if (!this.#isForeign) return;
    const source = this.#path;
    const copy = UploadContent.empty(this.#options, [], ownName());
    const writer = await this.#driver.writer(copy.#path, { append: false });
    try {
      for await (const chunk of await this.#driver.read(source)) {
        // The reader uses its buffer again.
        await copy.#append(Uint8Array.from(chunk), writer);
      }
    } catch (error) {
      await writer.close().catch(() => {});
      await deleteIfThere(this.#driver, copy.#path);
      throw error;
    }
    await writer.close();
    this.#file = copy.#file;
    this.#size = copy.#size;
    this.#hashes = copy.#hashes;
    this.#isForeign = false;
  }

  /** Digest of all bytes. Reads them again if they did not all pass through here. */
  async digest(algorithm: DigestAlgorithm): Promise<Digest> {
    this.#hashes ??= new Map();
    let hash = this.#hashes.get(algorithm);
    if (hash === undefined) {
      hash = createHash(algorithm);
      for await (const chunk of this.#kept ?? (await this.#readFile())) hash.update(chunk);
      this.#hashes.set(algorithm, hash);
    }
    // A copy, because a commit that is refused can be tried again.
    return finishDigest(hash.copy(), algorithm);
  }

  /** Where the bytes are, for publishing. */
  source(): { readonly content: Uint8Array } | { readonly from: string } {
    return this.#kept ? { content: Buffer.concat(this.#kept) } : { from: this.#path };
  }

  /** What another process of this server needs to go on; undefined when it finds all in the store. */
  handOver(): KeptContent | undefined {
    if (!this.#driver.movesAtomically && this.isOnDisk) return undefined;
    const file = this.#file;
    if (this.#kept === undefined) return { file, size: this.#size, isForeign: this.#isForeign };
    return { file, bytes: Buffer.concat(this.#kept), algorithms: [...(this.#hashes?.keys() ?? [])] };
  }

  /** Forgets the bytes in memory, which makes the upload unusable. */
  release(): void {
    if (this.#kept === undefined) return;
    this.#options.memory.give(this.#size);
    this.#kept = [];
    this.#size = 0;
  }

  /** Whether there are files to remove. */
  get isOnDisk(): boolean {
    return this.#kept === undefined || this.#sharedSize !== undefined;
  }

  #mayKeep(bytes: number): boolean {
    if (this.#kept === undefined || this.#size + bytes > LARGEST_IN_MEMORY) return false;
    return this.#options.memory.has(bytes);
  }

  #append(chunk: Uint8Array, writer: FileWriter | undefined): Promise<void> | undefined {
    for (const hash of this.#hashes?.values() ?? []) hash.update(chunk);
    this.#size += chunk.length;
    if (writer) return writer.write(chunk);
    this.#options.memory.take(chunk.length);
    this.#kept?.push(chunk);
    return undefined;
  }

  async #readFile(): Promise<AsyncIterable<Uint8Array>> {
    await this.#driver.seal(this.#path);
    return this.#driver.read(this.#path);
  }

  /** Opens the file behind what is there, and moves what is in memory there. */
  async #openFile(): Promise<FileWriter> {
    const kept = this.#kept;
    if (kept === undefined) return this.#reopen();
    await this.#begin();
    const writer = await this.#driver.writer(this.#path, { append: false });
    for (const chunk of kept) await writer.write(chunk);
    this.#options.memory.give(this.#size);
    this.#kept = undefined;
    return writer;
  }

  /** @throws PathNotFoundError when the file is not as it was left: somebody else has ended the upload, or goes on with it. */
  async #reopen(): Promise<FileWriter> {
    const writer = await this.#driver.writer(this.#path, { append: true });
    if (writer.size === this.#size) return writer;
    await writer.close();
    // Opening has made it.
    if (writer.size === 0) await deleteIfThere(this.#driver, this.#path);
    throw new PathNotFoundError(this.#path);
  }

  /** Makes the folder of the upload. */
  async #begin(): Promise<void> {
    if (this.#sharedSize !== undefined) return;
    const started = Buffer.from(this.#options.startedAt().toISOString());
    await this.#driver.putContent(`${this.#options.folder}/startedat`, started, { durable: false });
    this.#sharedSize = 0;
  }

  async #endOfBody(writer: FileWriter | undefined, before: number): Promise<void> {
    // One buffer of the right size: chunks of a socket may be small parts of large ones.
    if (this.#kept && this.#size > before) this.#kept = [Buffer.concat(this.#kept)];
    try {
      await writer?.close();
    } catch (error) {
      // The hashes have seen bytes that are not in the file.
      this.#hashes = undefined;
      this.#size = (await this.#storedSize()) ?? 0;
      throw error;
    }
  }

  #storedSize(): Promise<number | undefined> {
    return this.#driver.movesAtomically
      ? this.#driver.unpublishedSize(this.#path)
      : sizeInStore(this.#driver, this.#options.folder);
  }
}

/** A name that no other process uses. */
function ownName(): string {
  return `${FILE}-${randomUUID()}`;
}

/** The file that has most of an upload, undefined when none has anything: a process that was killed may leave several. */
async function largestOf(
  driver: StorageDriver,
  folder: string,
  names: readonly string[],
): Promise<string | undefined> {
  let [largest, most]: [string | undefined, number] = [undefined, 0];
  for (const name of names.filter((one) => one === FILE || one.startsWith(`${FILE}-`))) {
    const size = (await driver.unpublishedSize(`${folder}/${name}`)) ?? 0;
    if (size > most) [largest, most] = [name, size];
  }
  return largest;
}

function freshHashes(algorithms: readonly DigestAlgorithm[]): Map<DigestAlgorithm, Hash> {
  return new Map([...new Set(['sha256' as const, ...algorithms])].map((name) => [name, createHash(name)]));
}

/** Bytes of an upload in a bucket; 0 when it was only begun, undefined when there is none. */
async function sizeInStore(driver: StorageDriver, folder: string): Promise<number | undefined> {
  const size = await driver.unpublishedSize(`${folder}/${FILE}`);
  if (size !== undefined) return size;
  return (await statIfThere(driver, `${folder}/startedat`)) === undefined ? undefined : 0;
}
